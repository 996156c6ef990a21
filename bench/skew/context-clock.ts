/** Maps times of an AudioContext to the page's clock: when a sample is made, and when it comes out of the loudspeaker. */

const EVERY_MS = 100
/** Five seconds: callbacks of a busy machine come late by much more than two clocks drift apart meanwhile. */
const KEPT = 50

/** The page's clock as events know it: right even where `performance.now()` is wrong on purpose. */
export const eventClock = (): number => new Event("now").timeStamp

export class ContextClock {
  readonly #context: AudioContext
  readonly #made: number[] = []
  readonly #heard: number[] = []

  constructor(context: AudioContext) {
    this.#context = context
    setInterval(() => this.#look(), EVERY_MS)
  }

  /** When the sample of this context time was rendered, in ms. Seen late at times and never early: the least counts. */
  madeAt(seconds: number): number {
    return seconds * 1_000 + Math.min(...this.#made)
  }

  /** When it is heard, by what the browser says of the output; the median of what it said lately. */
  heardAt(seconds: number): number {
    const sorted = [...this.#heard].sort((a, b) => a - b)
    return seconds * 1_000 + (sorted[sorted.length >> 1] ?? Number.NaN)
  }

  #look(): void {
    const { contextTime = 0, performanceTime = 0 } = this.#context.getOutputTimestamp()
    // Nothing has been put out yet.
    if (performanceTime === 0) return
    keep(this.#heard, performanceTime - contextTime * 1_000)
    keep(this.#made, eventClock() - this.#context.currentTime * 1_000)
  }
}

function keep(values: number[], value: number): void {
  values.push(value)
  if (values.length > KEPT) values.shift()
}
