/** AudioWorklet processor: cuts microphone sound into blocks of 20 ms for the publish worker. */
import { AUDIO_PACKET_SAMPLES, type PcmBlock, PROCESSOR_ENDED } from "../../media/types.ts"

export class CaptureProcessor extends AudioWorkletProcessor {
  #sink: MessagePort | undefined
  #open = true
  #position = 0
  #filled = 0
  #planes: Float32Array<ArrayBuffer>[] = []

  constructor() {
    super()
    // The node's own port brings the port of the publish worker, and later `null` as the end.
    this.port.onmessage = (event: MessageEvent<MessagePort | null>) => {
      if (event.data === null) {
        this.#open = false
        this.#sink?.close()
      } else this.#sink = event.data
    }
  }

  process(inputs: Float32Array[][]): boolean {
    if (!this.#open) {
      this.port.postMessage(PROCESSOR_ENDED)
      return false
    }
    const input = inputs[0] ?? []
    // Without a connected microphone there is no channel at all: time goes on in silence.
    const length = input[0]?.length ?? 128
    const channels = Math.max(1, Math.min(2, input.length))
    let from = 0
    while (from < length) {
      if (this.#filled === 0 || this.#planes.length < channels) this.#addPlanes(channels)
      const count = Math.min(length - from, AUDIO_PACKET_SAMPLES - this.#filled)
      for (let i = 0; i < this.#planes.length; i++) {
        const source = input[Math.min(i, input.length - 1)]
        if (source !== undefined) this.#planes[i]!.set(source.subarray(from, from + count), this.#filled)
      }
      this.#filled += count
      from += count
      if (this.#filled === AUDIO_PACKET_SAMPLES) this.#flush()
    }
    return true
  }

  /** A second channel that appears in the middle of a block starts as a copy of the first. */
  #addPlanes(channels: number): void {
    if (this.#filled === 0) this.#planes = []
    while (this.#planes.length < channels) {
      this.#planes.push(this.#planes[0] === undefined ? new Float32Array(AUDIO_PACKET_SAMPLES) : this.#planes[0].slice())
    }
  }

  #flush(): void {
    const block: PcmBlock = { type: "pcm", position: this.#position, channels: this.#planes }
    this.#sink?.postMessage(
      block,
      this.#planes.map((plane) => plane.buffer),
    )
    this.#position += AUDIO_PACKET_SAMPLES
    this.#filled = 0
    this.#planes = []
  }
}
