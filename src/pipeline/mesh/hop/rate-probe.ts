/** Tries whether a link carries more, with padding, before more is switched on (link-lanes LL-12, "Probing"). */
import { FULL_MS, type RateMode } from "../../../link/rate-controller.ts"

/** A probe lasts this long at most, ms. */
const PROBE_MS = 1_000
/** It adds at most this share of the present rate. */
const MOST_SHARE = 0.5

interface Probe {
  /** Bit/s on top of what is sent. */
  extra: number
  startedAt: number
  done(fits: boolean): void
}

export class RateProbe {
  #probe: Probe | undefined

  /**
   * Starts a probe; one that runs already answers for both.
   * @param wanted bit/s on top of `rate`, what the link may send now
   * @param done `true` when the queue stayed short and the path is not contested
   */
  start(wanted: number, rate: number, now: number, done: (fits: boolean) => void): void {
    const running = this.#probe
    if (running !== undefined) {
      const before = running.done
      running.done = (fits) => {
        before(fits)
        done(fits)
      }
      return
    }
    this.#probe = { extra: Math.min(wanted, MOST_SHARE * rate), startedAt: now, done }
  }

  running(now: number): boolean {
    return this.#probe !== undefined && now - this.#probe.startedAt < PROBE_MS
  }

  /** Bit/s that the pacer adds. */
  extra(now: number): number {
    return this.running(now) ? this.#probe!.extra : 0
  }

  /** A report came; ends the probe when its time is over or the path objected. */
  report(queueMs: number, mode: RateMode, now: number): void {
    const probe = this.#probe
    if (probe === undefined) return
    const objected = queueMs >= FULL_MS || mode === "compete"
    if (!objected && now - probe.startedAt < PROBE_MS) return
    this.#probe = undefined
    probe.done(!objected)
  }
}
