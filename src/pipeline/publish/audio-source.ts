/** Takes sound of one microphone from the capture worklet and gives it to every encoding of it. */
import { CaptureClock, nowUs } from "../../media/capture-clock.ts"
import { rootMeanSquare, SpeakingDetector } from "../../media/speaking.ts"
import { AUDIO_SAMPLE_RATE, type PcmBlock } from "../../media/types.ts"
import type { AudioStream } from "./audio-stream.ts"

/** Blocks between two level events: 100 ms. */
const LEVEL_EVERY = 5
const US_PER_SECOND = 1_000_000

export class AudioSource {
  readonly streams = new Set<AudioStream>()
  readonly #onLevel: (level: number, speaking: boolean) => void
  readonly #clock = new CaptureClock()
  readonly #speaking = new SpeakingDetector()
  #port: MessagePort
  #blocks = 0
  #muted = false

  constructor(port: MessagePort, onLevel: (level: number, speaking: boolean) => void) {
    this.#onLevel = onLevel
    this.#port = port
    this.#listen(port)
  }

  /** The port of another capture node. */
  replace(port: MessagePort): void {
    this.#port.close()
    this.#port = port
    this.#clock.restart()
    for (const stream of this.streams) stream.resume()
    this.#listen(port)
  }

  setMuted(muted: boolean): void {
    if (muted === this.#muted) return
    this.#muted = muted
    if (muted) {
      this.#speaking.mute()
      this.#onLevel(0, false)
    } else {
      for (const stream of this.streams) stream.resume()
    }
  }

  close(): void {
    this.#port.close()
    for (const stream of this.streams) stream.close()
    this.streams.clear()
  }

  #listen(port: MessagePort): void {
    port.onmessage = (event: MessageEvent<PcmBlock>) => {
      if (port === this.#port && event.data.type === "pcm") this.#input(event.data)
    }
  }

  #input({ position, channels }: PcmBlock): void {
    const length = channels[0]?.length ?? 0
    // A block arrives when its last sample was captured; its presentation time is that of its first.
    const endUs = ((position + length) * US_PER_SECOND) / AUDIO_SAMPLE_RATE
    const ptsUs = this.#clock.pts(endUs, nowUs()) - Math.round((length * US_PER_SECOND) / AUDIO_SAMPLE_RATE)
    if (this.#muted) return
    for (const stream of this.streams) stream.input(channels, ptsUs)
    this.#speaking.update(rootMeanSquare(channels[0]!), performance.now())
    if (++this.#blocks % LEVEL_EVERY === 0) this.#onLevel(this.#speaking.level, this.#speaking.speaking)
  }
}
