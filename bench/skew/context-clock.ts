/** How far the loudspeaker is from an AudioContext, by what the browser says while it runs. */

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

  /** From rendering to the loudspeaker, in ms. Rendering is seen late at times and never early: the least counts. */
  get outputMs(): number {
    const heard = [...this.#heard].sort((a, b) => a - b)
    return (heard[heard.length >> 1] ?? Number.NaN) - Math.min(...this.#made)
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
