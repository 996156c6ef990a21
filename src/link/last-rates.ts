/** What links to peers could send when they ended: a new link to the same peer begins near it (link-lanes LL-12, START). */

/** Older figures say nothing, ms. */
const USEFUL_MS = 600_000
const START_SHARE = 0.7
const MAX_PEERS = 256

export class LastRates {
  readonly #rates = new Map<string, { rate: number; at: number }>()

  /** @param link its target in bit/s; a link that never measured anything is not remembered */
  remember(peer: string, link: { target: number; measured: boolean }, now: number): void {
    if (!link.measured) return
    this.#rates.delete(peer)
    this.#rates.set(peer, { rate: link.target, at: now })
    if (this.#rates.size > MAX_PEERS) this.#rates.delete(this.#rates.keys().next().value!)
  }

  /** First rate for a new link, bit/s; `undefined` when nothing useful is known. */
  recall(peer: string, now: number): number | undefined {
    const known = this.#rates.get(peer)
    return known === undefined || now - known.at > USEFUL_MS ? undefined : START_SHARE * known.rate
  }
}
