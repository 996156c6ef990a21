/** What happens to packets between the two ends of a simulated hop: loss, a narrow place that all share on the way there, delay. */

export interface ImpairmentOptions {
  delayMs?: number
  /** Added at random per packet. */
  jitterMs?: number
  /** Mean length of losses in time instead of packets, ms. */
  burstMs?: number
  /** Bit/s and bytes of the place that all lanes share. */
  bottleneck?: { rate: number; buffer: number }
}

/** What may change while packets are on their way. */
interface Weather {
  readonly random: () => number
  loss: number
  /** Mean run of losses in packets; 1: independent. */
  burst: number
  /** Bit/s of the narrow place. */
  rate: number
}

export class Impairment {
  /** How long the narrow place is busy, at the last look; and packets that it had no room for. */
  queuedMs = 0
  dropped = 0
  readonly #options: ImpairmentOptions
  readonly #weather: Weather
  readonly #inRun = { there: false, back: false }
  #runUntil = 0
  #calmUntil = 0
  #freeAt = 0

  constructor(options: ImpairmentOptions, weather: Weather) {
    this.#options = options
    this.#weather = weather
  }

  /** Until a packet of so many bytes arrives, ms; `undefined`: it does not. */
  wait(bytes: number, now: number, back: boolean): number | undefined {
    const { delayMs = 25, jitterMs = 0, bottleneck } = this.#options
    if (this.#lost(now, back)) return undefined
    const wait = delayMs + jitterMs * this.#weather.random()
    if (bottleneck === undefined || back) return wait
    const perMs = this.#weather.rate / 8_000
    this.queuedMs = Math.max(0, this.#freeAt - now)
    if (this.queuedMs * perMs + bytes > bottleneck.buffer) {
      this.dropped += 1
      return undefined
    }
    this.#freeAt = now + this.queuedMs + bytes / perMs
    return wait + this.#freeAt - now
  }

  #lost(now: number, back: boolean): boolean {
    const { random, loss, burst } = this.#weather
    const { burstMs } = this.#options
    if (burstMs !== undefined) return this.#lostInTime(burstMs, now)
    if (burst === 1) return random() < loss
    const stay = 1 - 1 / burst
    const enter = (loss * (1 - stay)) / (1 - loss)
    const way = back ? "back" : "there"
    this.#inRun[way] = random() < (this.#inRun[way] ? stay : enter)
    return this.#inRun[way]
  }

  /** Outages of exponential length, whatever is sent in them. */
  #lostInTime(meanMs: number, now: number): boolean {
    const { random, loss } = this.#weather
    const draw = (mean: number) => -mean * Math.log(1 - random())
    while (now >= this.#calmUntil) {
      this.#runUntil = this.#calmUntil + draw(meanMs)
      this.#calmUntil = this.#runUntil + draw((meanMs * (1 - loss)) / loss)
    }
    return now < this.#runUntil
  }
}
