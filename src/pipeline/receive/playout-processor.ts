/** AudioWorklet processor: plays the sound of one received stream out of a {@link PlayoutRing}. */
import { PlayoutRing } from "../../media/playout-ring.ts"
import { type PlayoutCommand, type PlayoutReport, PROCESSOR_ENDED } from "../../media/types.ts"

/** Render quanta of 128 samples between two reports: 40 ms. */
const REPORT_EVERY = 15

export class PlayoutProcessor extends AudioWorkletProcessor {
  readonly #ring = new PlayoutRing()
  #receiver: MessagePort | undefined
  #open = true
  #received = 0
  #quanta = 0
  #squares = 0
  #samples = 0

  constructor() {
    super()
    // The node's own port brings the port of the receive worker, and later `null` as the end.
    this.port.onmessage = (event: MessageEvent<MessagePort | null>) => {
      if (event.data === null) this.#end()
      else this.#connect(event.data)
    }
  }

  process(_inputs: Float32Array[][], outputs: Float32Array[][]): boolean {
    if (!this.#open) {
      this.port.postMessage(PROCESSOR_ENDED)
      return false
    }
    const left = outputs[0]?.[0]
    if (left === undefined) return true
    this.#ring.read(left, outputs[0]?.[1] ?? left)
    for (const sample of left) this.#squares += sample * sample
    this.#samples += left.length
    if (++this.#quanta % REPORT_EVERY === 0) this.#report()
    return true
  }

  #connect(port: MessagePort): void {
    this.#receiver = port
    port.onmessage = (event: MessageEvent<PlayoutCommand>) => this.#command(event.data)
  }

  #command(command: PlayoutCommand): void {
    if (command.type === "pcm") {
      this.#received++
      this.#ring.write(command.ptsUs, command.channels, command.discontinuity)
    } else if (command.type === "target") this.#ring.setTarget(command.ms)
    else if (command.type === "adjust") this.#ring.adjust(command.ms)
    else this.#ring.clear()
  }

  #report(): void {
    const report: PlayoutReport = {
      type: "played",
      ptsUs: this.#ring.ptsUs,
      bufferedMs: this.#ring.bufferedMs,
      rms: Math.sqrt(this.#squares / Math.max(1, this.#samples)),
      received: this.#received,
      concealedMs: this.#ring.concealedMs,
      longestGapMs: this.#ring.longestGapMs,
    }
    this.#squares = 0
    this.#samples = 0
    this.#receiver?.postMessage(report)
  }

  #end(): void {
    this.#open = false
    this.#receiver?.close()
    this.#receiver = undefined
  }
}
