/** Who drops which symbol and who fetches which: one plan per content that every peer with the same view finds alike (D11). */
import { compareUtf8 } from "../../wire/bytes.ts"
import type { PeerKeyId } from "../../wire/types.ts"
import { RankTable } from "./ranks.ts"
import { type ConsentState, overTargetThreshold } from "./rarity.ts"

export interface RetentionPlanInput {
  contentId: string
  policy: { nSource: number; kRepair: number; targetHolders: number }
  consent: ConsentState
  localPeer: PeerKeyId
  /** The local peer's real symbols, and other peers' unexpired claims whose possession was proven; nothing weaker (N6). */
  holdings: ReadonlyMap<PeerKeyId, readonly number[]>
  /** Connected peers willing to hold, the local one included. */
  livePeers: readonly PeerKeyId[]
  /** Of the plans before: spares their hashes. The plan is the same without. */
  ranks?: RankTable
}

/** Symbol ids, ascending. */
export interface RetentionPlan {
  evict: "revoked" | "unknown" | null
  /** To drop: too many copies. */
  trim: number[]
  /** To fetch. */
  adopt: number[]
  /** Held here, with at most one copy among the peers that matter. */
  rare: number[]
}

export function retentionPlan(input: RetentionPlanInput): RetentionPlan {
  if (input.consent === "Revoked") return { evict: "revoked", trim: [], adopt: [], rare: [] }
  if (input.consent === "Unknown") return { evict: "unknown", trim: [], adopt: [], rare: [] }
  const copies = new Copies(input)
  const rare = copies.rareAt(input.localPeer)
  const trimming = copies.holders > overTargetThreshold(input.policy.targetHolders)
  const own = trimming ? copies.trim(input) : copies.adopt(input)
  const ascending = own.sort((a, b) => a - b)
  return { evict: null, trim: trimming ? ascending : [], adopt: trimming ? [] : ascending, rare }
}

/** The copies of each symbol on all peers but the heaviest, which is normally the publisher and may leave. */
class Copies {
  /** By symbol id. */
  readonly #holders: Set<PeerKeyId>[]
  readonly #held = new Map<PeerKeyId, Set<number>>()
  readonly #heavy: PeerKeyId | undefined
  readonly #contentId: string
  readonly #ranks: RankTable
  #pairs = 0

  constructor({ contentId, policy, holdings, ranks = new RankTable() }: RetentionPlanInput) {
    const total = policy.nSource + policy.kRepair
    this.#contentId = contentId
    this.#ranks = ranks
    this.#holders = Array.from({ length: total }, () => new Set<PeerKeyId>())
    for (const [peer, ids] of holdings) this.#held.set(peer, new Set(ids.filter((id) => id < total)))
    let most = 0
    for (const [peer, { size }] of this.#held) {
      const first = this.#heavy === undefined || compareUtf8(peer, this.#heavy) < 0
      if (size > most || (size === most && size > 0 && first)) [this.#heavy, most] = [peer, size]
    }
    for (const [peer, ids] of this.#held) {
      if (peer === this.#heavy) continue
      this.#pairs += ids.size
      for (const id of ids) this.#holders[id]!.add(peer)
    }
  }

  /** Peers that count and hold anything. */
  get holders(): number {
    return [...this.#held].filter(([peer, ids]) => peer !== this.#heavy && ids.size > 0).length
  }

  rareAt(peer: PeerKeyId): number[] {
    const most = peer === this.#heavy ? 0 : 1
    return [...(this.#held.get(peer) ?? [])].filter((id) => this.#holders[id]!.size <= most).sort((a, b) => a - b)
  }

  /** Takes copies away until there are as many as wanted; gives those of the local peer. */
  trim({ policy, localPeer }: RetentionPlanInput): number[] {
    const own: number[] = []
    const leaving = this.#holders.map((_, id) => once(() => this.#ranked(id, [...this.#holders[id]!])))
    while (this.#pairs > policy.targetHolders) {
      const id = this.#extreme((a, b) => a > b)
      if (id === undefined || this.#holders[id]!.size <= 1) break
      const peer = leaving[id]!().pop()!
      this.#holders[id]!.delete(peer)
      this.#pairs -= 1
      if (peer === localPeer) own.push(id)
    }
    return own
  }

  /** Adds copies until there are enough and none is missing; gives those of the local peer. */
  adopt({ policy, localPeer, livePeers }: RetentionPlanInput): number[] {
    const own: number[] = []
    const load = new Map<PeerKeyId, number>()
    for (const peer of livePeers) if (peer !== this.#heavy) load.set(peer, this.#held.get(peer)?.size ?? 0)
    const open = new Set(this.#holders.keys())
    const ranks = this.#holders.map((_, id) => once(() => this.#ranked(id, [...load.keys()])))
    while (open.size > 0 && (this.#pairs < policy.targetHolders || this.#holders.some(({ size }) => size === 0))) {
      const id = this.#extreme((a, b) => a < b, open)!
      const holders = this.#holders[id]!
      let chosen: PeerKeyId | undefined
      // By rank already: among equal loads the first one wins.
      for (const peer of ranks[id]!()) {
        if (!holders.has(peer) && (chosen === undefined || load.get(peer)! < load.get(chosen)!)) chosen = peer
      }
      if (chosen === undefined) {
        open.delete(id)
        continue
      }
      holders.add(chosen)
      load.set(chosen, load.get(chosen)! + 1)
      this.#pairs += 1
      if (chosen === localPeer) own.push(id)
    }
    return own
  }

  /** The lowest symbol with the most or the fewest copies. */
  #extreme(better: (a: number, b: number) => boolean, among: Iterable<number> = this.#holders.keys()): number | undefined {
    let found: number | undefined
    for (const id of among) {
      if (found === undefined || better(this.#holders[id]!.size, this.#holders[found]!.size)) found = id
    }
    return found
  }

  /** Ascending. */
  #ranked(id: number, peers: readonly PeerKeyId[]): PeerKeyId[] {
    return this.#ranks.order(this.#contentId, id, peers)
  }
}

function once<T>(make: () => T): () => T {
  let made: T | undefined
  return () => {
    made ??= make()
    return made
  }
}
