/** What the links of this page show once a second, in the words of those who choose parents. */
import type { LinkSample } from "../../alm/index.ts"
import type { MeshLinkStats } from "../../pipeline/index.ts"
import type { Milliseconds, PeerKeyId } from "../../wire/types.ts"
import { IncomingLoss } from "./incoming-loss.ts"

/** A link whose messages wait so long is full, ms. */
const FULL_QUEUE_MS = 100

export class LinkMeasures {
  readonly #loss = new IncomingLoss()
  #shed = new Map<string, number>()

  /** Rates and congestion, one sample for each link, and round trips by peer, ms. */
  take(links: readonly MeshLinkStats[], now: Milliseconds): { samples: LinkSample[]; rtts: Map<PeerKeyId, Milliseconds> } {
    const before = this.#shed
    this.#shed = new Map(links.map(({ link, shed }) => [link, shed]))
    this.#loss.sample(links, now)
    const samples = links.map((link): LinkSample => {
      const shed = link.shed > (before.get(link.link) ?? link.shed)
      const congested = shed || link.queueMs >= FULL_QUEUE_MS
      return { deliveredMbps: link.delivered / 1e6, targetMbps: link.rate / 1e6, congested }
    })
    const rtts = links.flatMap(({ peer, rttMs }) => (peer === undefined || rttMs === undefined ? [] : [[peer, rttMs] as const]))
    return { samples, rtts: new Map(rtts) }
  }

  /** Messages of this peer get lost on the way here. */
  isLossy(keyId: PeerKeyId): boolean {
    return this.#loss.isLossy(keyId)
  }
}
