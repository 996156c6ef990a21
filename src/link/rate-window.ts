/** The last reports of a link: how fast it delivers and what share it loses (link-lanes LL-12, `dr` and `loss`). */

/** Reports kept: four seconds of them. */
const MAX_KEPT = 80
/** Below this distance two reports say nothing about a rate, in ms. */
const MIN_SPAN_MS = 20

interface KeptReport {
  /** Our clock, ms. */
  now: number
  /** The receiver's clock, ms since any moment. */
  receiverMs: number
  got: number
  /** Negative when late messages were counted as lost before. */
  lost: number
  /** Bytes that arrived since the link began, with what lies under a message. */
  rx: number
}

export class ReportWindow {
  readonly #reports: KeptReport[] = []

  /** Reports kept, the newest included. */
  get size(): number {
    return this.#reports.length
  }

  push(report: KeptReport): void {
    this.#reports.push(report)
    if (this.#reports.length > MAX_KEPT) this.#reports.shift()
  }

  /** Bit/s that arrived over about the last `ms` of the receiver's clock; 0 while that is not known. */
  delivered(ms: number): number {
    const newest = this.#reports.at(-1)
    if (newest === undefined) return 0
    const from = this.#reports.findLast((report) => newest.receiverMs - report.receiverMs >= ms) ?? this.#reports[0]!
    const span = newest.receiverMs - from.receiverMs
    return span <= MIN_SPAN_MS ? 0 : (8_000 * (newest.rx - from.rx)) / span
  }

  /** Share of messages that were lost, in reports less than `ms` old at `now`; 0 without messages. */
  loss(now: number, ms: number): number {
    let got = 0
    let lost = 0
    for (let index = this.#reports.length - 1; index >= 0; index--) {
      const report = this.#reports[index]!
      if (now - report.now >= ms) break
      got += report.got
      lost += report.lost
    }
    return got + lost <= 0 ? 0 : Math.max(0, lost / (got + lost))
  }
}
