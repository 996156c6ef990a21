/** Two ways to decode Opus behind one face: libopus as WASM, which hides losses, and the browser's `AudioDecoder`, which cannot. */
import { carriesFec, type Opus, type OpusDecoder, type SoundPlanes } from "../../media/opus/opus.ts"
import { AUDIO_PACKET_SAMPLES, AUDIO_SAMPLE_RATE } from "../../media/types.ts"

/** A longer hole is a pause; nothing is made up for it. */
const MAX_CONCEAL_US = 400_000
const US_PER_SAMPLE = 1_000_000 / AUDIO_SAMPLE_RATE

/** Where a block of sound comes from: its own packet, the copy inside the next one, or made up from what came before. */
export type SoundOrigin = "decoded" | "recovered" | "concealed"

interface SoundPacket {
  ptsUs: number
  data: ArrayBuffer
  /** A jump of `ptsUs` before this packet is intended. */
  discontinuity: boolean
  /** False while nothing plays any more: then filling the hole before this packet would only delay what comes after it. */
  bridge: boolean
}

interface SoundDecoderSink {
  sound(ptsUs: number, planes: SoundPlanes, origin: SoundOrigin, discontinuity: boolean): void
  /** The decoder is closed and useless now. */
  failed(cause: unknown): void
  /** One packet was garbage; the decoder goes on. */
  garbage(cause: unknown): void
}

/** Packets in order go in, sound comes out of the sink, at once or later. */
export interface SoundDecoder {
  /** Packets taken whose sound has not come out. */
  readonly pending: number
  decode(packet: SoundPacket): void
  close(): void
}

/** libopus: every lost packet becomes sound, from the FEC data of the next packet where it has some. */
export class OpusSoundDecoder implements SoundDecoder {
  readonly pending = 0
  readonly #decoder: OpusDecoder
  readonly #sink: SoundDecoderSink
  /** `pts` at which the next packet is due; undefined before the first. */
  #dueUs: number | undefined
  #samples = AUDIO_PACKET_SAMPLES

  /** @throws AvError `MediaDecodeFailed` */
  constructor(opus: Opus, channels: 1 | 2, sink: SoundDecoderSink) {
    this.#decoder = opus.decoder(channels)
    this.#sink = sink
  }

  decode({ ptsUs, data, discontinuity, bridge }: SoundPacket): void {
    const packet = new Uint8Array(data)
    if (bridge && !discontinuity && this.#dueUs !== undefined) this.#bridge(ptsUs, packet)
    let planes: SoundPlanes
    try {
      planes = this.#decoder.decode(packet)
    } catch (cause) {
      this.#sink.garbage(cause)
      return
    }
    this.#samples = planes[0]!.length
    this.#dueUs = ptsUs + this.#samples * US_PER_SAMPLE
    this.#sink.sound(ptsUs, planes, "decoded", discontinuity)
  }

  close(): void {
    this.#decoder.close()
  }

  /** Makes sound for the packets that are missing before `next`. */
  #bridge(ptsUs: number, next: Uint8Array): void {
    const lengthUs = this.#samples * US_PER_SAMPLE
    const holeUs = ptsUs - this.#dueUs!
    if (holeUs > MAX_CONCEAL_US) return
    const missing = Math.round(holeUs / lengthUs)
    for (let i = missing; i > 0; i--) {
      const fec = i === 1 && carriesFec(next)
      try {
        const planes = fec ? this.#decoder.recover(next, this.#samples) : this.#decoder.conceal(this.#samples)
        this.#sink.sound(Math.round(ptsUs - i * lengthUs), planes, fec ? "recovered" : "concealed", false)
      } catch (cause) {
        this.#sink.garbage(cause)
        return
      }
    }
  }
}

/** `AudioDecoder`: for browsers or policies without WebAssembly. Holes are left to the playout ring. */
export class BrowserSoundDecoder implements SoundDecoder {
  /** One packet gives one block, but the decoder's own output times ignore lost packets and pauses. */
  readonly #pending: { ptsUs: number; discontinuity: boolean }[] = []
  readonly #decoder: AudioDecoder
  readonly #sink: SoundDecoderSink
  #closed = false

  constructor(config: AudioDecoderConfig, sink: SoundDecoderSink) {
    this.#sink = sink
    this.#decoder = new AudioDecoder({
      output: (sound) => this.#output(sound),
      error: (error) => this.#failed(error),
    })
    this.#decoder.configure(config)
  }

  get pending(): number {
    return this.#pending.length
  }

  decode({ ptsUs, data, discontinuity }: SoundPacket): void {
    try {
      this.#decoder.decode(new EncodedAudioChunk({ type: "key", timestamp: ptsUs, data }))
      this.#pending.push({ ptsUs, discontinuity })
    } catch (cause) {
      this.#failed(cause)
    }
  }

  close(): void {
    this.#closed = true
    if (this.#decoder.state !== "closed") this.#decoder.close()
  }

  #output(sound: AudioData): void {
    try {
      const packet = this.#pending.shift()
      if (this.#closed || packet === undefined || sound.sampleRate !== AUDIO_SAMPLE_RATE) return
      const planes: SoundPlanes = []
      for (let planeIndex = 0; planeIndex < Math.min(2, sound.numberOfChannels); planeIndex++) {
        const plane = new Float32Array(sound.numberOfFrames)
        sound.copyTo(plane, { planeIndex, format: "f32-planar" })
        planes.push(plane)
      }
      this.#sink.sound(packet.ptsUs, planes, "decoded", packet.discontinuity)
    } finally {
      sound.close()
    }
  }

  #failed(cause: unknown): void {
    if (this.#closed) return
    this.close()
    this.#sink.failed(cause)
  }
}
