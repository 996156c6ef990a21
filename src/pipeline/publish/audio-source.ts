/** Takes sound of one microphone, from its track or the capture worklet, and gives it to every encoding of it. */
import { CaptureClock, nowUs } from "../../media/capture-clock.ts"
import { rootMeanSquare, SpeakingDetector } from "../../media/speaking.ts"
import { AUDIO_SAMPLE_RATE, type PcmBlock, SOUND_UNFIT } from "../../media/types.ts"
import type { AudioStream } from "./audio-stream.ts"
import { readSound } from "./track-sound.ts"

/** Blocks between two level events: 100 ms. */
const LEVEL_EVERY = 5
const US_PER_SECOND = 1_000_000
/** So much loud sound in one stretch of talking into a muted microphone is noticed: a cough is shorter. */
const MUTED_SPEECH_MS = 500
/** About -38 dBFS, as for speaking. */
const LOUD = 0.012

export class AudioSource {
  readonly streams = new Set<AudioStream>()
  readonly #onLevel: (level: number, speaking: boolean) => void
  readonly #onMutedSpeech: () => void
  readonly #clock = new CaptureClock()
  readonly #speaking = new SpeakingDetector()
  #port: MessagePort
  /** Ends reading from the track itself. */
  #stop: () => void = () => undefined
  #blocks = 0
  #lastPtsUs = Number.NEGATIVE_INFINITY
  /** Loud sound since talking into the muted microphone began; told once. */
  #mutedSpeechMs = 0
  #mutedSpeechTold = false
  #muted = false

  constructor(
    port: MessagePort,
    onLevel: (level: number, speaking: boolean) => void,
    onMutedSpeech: () => void = () => undefined,
  ) {
    this.#onLevel = onLevel
    this.#onMutedSpeech = onMutedSpeech
    this.#port = port
    this.#listen(port)
  }

  /** The port of another capture node. */
  replace(port: MessagePort): void {
    this.#stop()
    this.#port.close()
    this.#port = port
    this.#clock.restart()
    for (const stream of this.streams) stream.resume()
    this.#listen(port)
  }

  setMuted(muted: boolean): void {
    if (muted === this.#muted) return
    this.#muted = muted
    this.#speaking.mute()
    this.#forgetMutedSpeech()
    if (muted) {
      this.#onLevel(0, false)
    } else {
      for (const stream of this.streams) stream.resume()
    }
  }

  close(): void {
    this.#stop()
    this.#port.close()
    for (const stream of this.streams) stream.close()
    this.streams.clear()
  }

  #listen(port: MessagePort): void {
    port.onmessage = ({ data }: MessageEvent<PcmBlock | ReadableStream<AudioData>>) => {
      if (port !== this.#port) return
      if (!(data instanceof ReadableStream)) {
        if (data.type === "pcm") this.#input(data)
        return
      }
      this.#stop()
      const give = (block: PcmBlock) => this.#input(block)
      this.#stop = readSound(data, give, () => {
        this.#clock.restart()
        port.postMessage(SOUND_UNFIT)
      }).stop
    }
  }

  #input({ position, channels }: PcmBlock): void {
    const length = channels[0]?.length ?? 0
    // A block arrives when its last sample was captured; its presentation time is that of its first.
    const endUs = ((position + length) * US_PER_SECOND) / AUDIO_SAMPLE_RATE
    const ptsUs = this.#clock.pts(endUs, nowUs()) - Math.round((length * US_PER_SECOND) / AUDIO_SAMPLE_RATE)
    const elapsedUs = ptsUs - this.#lastPtsUs
    this.#lastPtsUs = ptsUs
    if (elapsedUs < (length * US_PER_SECOND) / AUDIO_SAMPLE_RATE / 2) {
      // Blocks before this one came late and so were dated too late; time stands until the clock is right again.
      for (const stream of this.streams) stream.resume()
      return
    }
    const rms = rootMeanSquare(channels[0]!)
    this.#speaking.update(rms, performance.now())
    if (this.#muted) {
      this.#watchMuted(rms > LOUD ? (length * 1_000) / AUDIO_SAMPLE_RATE : 0)
      return
    }
    for (const stream of this.streams) stream.input(channels, ptsUs)
    if (++this.#blocks % LEVEL_EVERY === 0) this.#onLevel(this.#speaking.level, this.#speaking.speaking)
  }

  #watchMuted(loudMs: number): void {
    if (!this.#speaking.speaking) {
      this.#forgetMutedSpeech()
      return
    }
    this.#mutedSpeechMs += loudMs
    if (this.#mutedSpeechTold || this.#mutedSpeechMs < MUTED_SPEECH_MS) return
    this.#mutedSpeechTold = true
    this.#onMutedSpeech()
  }

  #forgetMutedSpeech(): void {
    this.#mutedSpeechMs = 0
    this.#mutedSpeechTold = false
  }
}
