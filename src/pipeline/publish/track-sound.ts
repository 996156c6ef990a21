/** Cuts the sound that a track gives by itself (`MediaStreamTrackProcessor`) into blocks of 20 ms. */
import { AUDIO_PACKET_SAMPLES, AUDIO_SAMPLE_RATE, type PcmBlock } from "../../media/types.ts"

/** A device whose times jump by more than this has left out sound, or started anew. */
const GAP_SAMPLES = AUDIO_SAMPLE_RATE / 10
/** So many pieces in a row must say so: single times are imprecise. */
const GAP_PIECES = 3
const MAX_CHANNELS = 2

/** Sound of another rate than 48 kHz has to be resampled first, which only an AudioContext does. */
export class UnfitSound extends Error {}

export class BlockCutter {
  readonly #give: (block: PcmBlock) => void
  #planes: Float32Array<ArrayBuffer>[] = []
  #filled = 0
  /** Samples given out, and left out, before the present block. */
  #position = 0
  #firstUs: number | undefined
  #strange = 0

  constructor(give: (block: PcmBlock) => void) {
    this.#give = give
  }

  /** @throws UnfitSound when this is not sound at 48 kHz */
  add(data: Pick<AudioData, "sampleRate" | "numberOfChannels" | "numberOfFrames" | "timestamp" | "copyTo">): void {
    if (data.sampleRate !== AUDIO_SAMPLE_RATE) throw new UnfitSound(`${data.sampleRate} Hz`)
    const { numberOfFrames: length } = data
    const input: Float32Array[] = []
    for (let plane = 0; plane < Math.min(MAX_CHANNELS, data.numberOfChannels); plane++) {
      const samples = new Float32Array(length)
      data.copyTo(samples, { planeIndex: plane, format: "f32-planar" })
      input.push(samples)
    }
    this.#follow(data.timestamp)
    let from = 0
    while (from < length) {
      while (this.#planes.length < input.length) {
        // A second channel that appears in the middle of a block starts as a copy of the first.
        this.#planes.push(this.#planes[0]?.slice() ?? new Float32Array(AUDIO_PACKET_SAMPLES))
      }
      const count = Math.min(length - from, AUDIO_PACKET_SAMPLES - this.#filled)
      for (let i = 0; i < this.#planes.length; i++) {
        this.#planes[i]!.set(input[Math.min(i, input.length - 1)]!.subarray(from, from + count), this.#filled)
      }
      this.#filled += count
      from += count
      if (this.#filled === AUDIO_PACKET_SAMPLES) this.#flush()
    }
  }

  /** Positions count time: sound that was left out moves them on. */
  #follow(timestampUs: number): void {
    this.#firstUs ??= timestampUs
    const expected = this.#position + this.#filled
    const seen = Math.round(((timestampUs - this.#firstUs) * AUDIO_SAMPLE_RATE) / 1_000_000)
    if (Math.abs(seen - expected) < GAP_SAMPLES) {
      // Both clocks drift apart slowly; only a jump counts.
      this.#firstUs += (((seen - expected) / AUDIO_SAMPLE_RATE) * 1_000_000) / 64
      this.#strange = 0
      return
    }
    if (++this.#strange < GAP_PIECES) return
    this.#strange = 0
    if (seen > expected) {
      this.#filled = 0
      this.#planes = []
      this.#position = seen
    } else {
      this.#firstUs = timestampUs - (expected / AUDIO_SAMPLE_RATE) * 1_000_000
    }
  }

  #flush(): void {
    this.#give({ type: "pcm", position: this.#position, channels: this.#planes })
    this.#position += AUDIO_PACKET_SAMPLES
    this.#filled = 0
    this.#planes = []
  }
}

/**
 * Reads until the track ends or `stop` is called.
 *
 * @param unfit the sound has to come another way; nothing more comes from here
 */
export function readSound(
  source: ReadableStream<AudioData>,
  give: (block: PcmBlock) => void,
  unfit: () => void,
): { stop(): void } {
  const reader = source.getReader()
  const cutter = new BlockCutter(give)
  let open = true
  const stop = () => {
    if (!open) return
    open = false
    reader.cancel().catch(() => undefined)
  }
  const read = async () => {
    while (open) {
      const { value: data } = await reader.read()
      if (data === undefined) return
      try {
        if (open) cutter.add(data)
      } finally {
        data.close()
      }
    }
  }
  read().catch(() => {
    if (!open) return
    stop()
    unfit()
  })
  return { stop }
}
