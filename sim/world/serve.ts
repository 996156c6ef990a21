/** The side of a parent: who is taken, who is refused, who has to go so that a planned child finds its place. */
import { chooseEviction, mayTakePlace, type SymbolRange } from "../../src/alm/index.ts"
import { toHex } from "../../src/wire/bytes.ts"
import { UNCAPPED } from "../../src/wire/layers.ts"
import type { PeerKeyId } from "../../src/wire/types.ts"
import { oneWayMs } from "../model/places.ts"
import type { Metrics } from "../report/metrics.ts"
import type { Hop, Hops } from "./hop.ts"
import type { Mail } from "./mail.ts"
import type { SimPeer } from "./peer.ts"
import { type SimRoom, STREAM_ID, UNIX_BEGIN } from "./room.ts"

const STREAM = toHex(STREAM_ID)
/** An evicted child has this long to find another parent, ms (D-45). */
const EVICTION_MS = 2_000

interface ChildDuties {
  subscribed(child: SimPeer, parent: SimPeer): void
  refused(child: SimPeer, parent: SimPeer, error: string): void
  leaving(child: SimPeer, parent: SimPeer, inMs: number): void
  /** The parent ended it. */
  lost(child: SimPeer, parent: SimPeer): void
  /** Who takes the stream from `parent` has changed. */
  downstreamChanged(parent: SimPeer): void
}

export class Serving {
  readonly #room: SimRoom
  readonly #hops: Hops
  readonly #mail: Mail
  readonly #metrics: Metrics
  readonly #mbps: number
  readonly #duties: ChildDuties

  constructor(room: SimRoom, hops: Hops, mail: Mail, metrics: Metrics, mbps: number, duties: ChildDuties) {
    this.#room = room
    this.#hops = hops
    this.#mail = mail
    this.#metrics = metrics
    this.#mbps = mbps
    this.#duties = duties
  }

  /** `av.subscribe` has come. */
  subscribe(parent: SimPeer, child: SimPeer, range: SymbolRange | undefined): void {
    const now = this.#mail.now
    const held = parent.roster.get(child.keyId)
    if (held?.hop.open && child.up.get(parent.index) === held.hop) {
      held.hop.range = range
      this.#answer(parent, child, undefined)
      return
    }
    if (held !== undefined) this.close(held.hop)
    const limit = parent.leaving ? "leaving" : this.#limitFor(parent, child)
    if (limit !== undefined && (limit === "leaving" || !this.#makePlace(parent, child))) {
      this.#metrics.add(this.#metrics.refusals, limit)
      this.#answer(parent, child, "CapacityExceeded")
      return
    }
    parent.ledger.admit(STREAM, child.keyId, { mbps: this.#mbps })
    const hop = this.#hops.open(parent, child, oneWayMs(parent.place, child.place), range, now)
    parent.roster.set({ peer: child.keyId, policy: UNCAPPED, hop })
    child.up.set(parent.index, hop)
    this.#duties.downstreamChanged(parent)
    this.#answer(parent, child, undefined)
  }

  /** The parent sends nothing more. */
  close(hop: Hop): void {
    const { parent, child } = hop
    if (!hop.open) return
    this.#hops.close(hop)
    if (parent.roster.get(child.keyId)?.hop !== hop) return
    parent.roster.delete(child.keyId)
    parent.ledger.release(STREAM, child.keyId)
    if (parent.alive) this.#duties.downstreamChanged(parent)
  }

  /** Undefined: the child may come. */
  #limitFor(parent: SimPeer, child: SimPeer): string | undefined {
    const limit = parent.ledger.exceeded(STREAM, child.keyId, { mbps: this.#mbps })
    if (limit !== undefined) return limit
    const { uplinkMbps = 0 } = parent.ledger.limits
    const free = Math.floor((uplinkMbps - parent.ledger.mbps) / this.#mbps)
    const { now } = this.#mail
    const hasChild = (keyId: PeerKeyId) => parent.roster.get(keyId) !== undefined
    const planned = parent.reserved.planned(child.keyId, hasChild, Math.floor(uplinkMbps / this.#mbps), now)
    return mayTakePlace(free, child.keyId, planned, hasChild) ? undefined : "reserved"
  }

  #makePlace(parent: SimPeer, asker: SimPeer): boolean {
    const now = this.#mail.now
    const children = [...parent.roster].map(({ peer, hop }) => ({ keyId: peer, since: UNIX_BEGIN + hop.openedAt }))
    const tree = this.#room.treeFor(parent)
    const keyId = chooseEviction(parent.keyId, tree, asker.keyId, children, UNIX_BEGIN + now)
    const evicted = keyId === undefined ? undefined : parent.roster.get(keyId)
    if (evicted === undefined) return false
    this.#metrics.evictions++
    parent.ledger.release(STREAM, evicted.peer)
    this.sayLeaving(evicted.hop, EVICTION_MS)
    return parent.ledger.exceeded(STREAM, asker.keyId, { mbps: this.#mbps }) === undefined
  }

  /** `av.leaving`, and the end of it when the time is over. */
  sayLeaving(hop: Hop, inMs: number): void {
    const { parent, child } = hop
    this.#mail.send(parent, child, "leaving", 60, () => this.#duties.leaving(child, parent, inMs))
    this.#mail.later(inMs, () => {
      if (!hop.open) return
      this.close(hop)
      if (child.up.get(parent.index) !== hop) return
      child.up.delete(parent.index)
      this.#duties.lost(child, parent)
    })
  }

  #answer(parent: SimPeer, child: SimPeer, error: string | undefined): void {
    this.#mail.send(parent, child, "answer", 160, () => {
      if (error === undefined) this.#duties.subscribed(child, parent)
      else this.#duties.refused(child, parent, error)
    })
  }
}
