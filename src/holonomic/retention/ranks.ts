/** Ranks of peers for symbols, kept: each plan of a content needs nearly the same ones as the plan before, and each is a hash. */
import { compareBytes } from "../../wire/bytes.ts"
import type { PeerKeyId } from "../../wire/types.ts"
import { ejectionRank } from "../claims/digests.ts"

/** Pairs of content and peer; each takes eight bytes per symbol. */
const MAX_ROWS = 20_000
/** Bytes of a rank that are kept: as many as a number holds exactly. */
const KEPT = 6

export class RankTable {
  /** By content and peer, one number per symbol. The content that was not asked for longest comes first. */
  readonly #contents = new Map<string, Map<PeerKeyId, Float64Array>>()
  #rows = 0

  /** Peers by their rank for a symbol, ascending. */
  order(contentId: string, symbolId: number, peers: readonly PeerKeyId[]): PeerKeyId[] {
    const rows = this.#use(contentId)
    const ranked = peers.map((peer) => ({ peer, rank: this.#rank(rows, contentId, symbolId, peer) }))
    ranked.sort((a, b) => a.rank - b.rank || compareWhole(contentId, symbolId, a.peer, b.peer))
    this.#bound(contentId)
    return ranked.map(({ peer }) => peer)
  }

  #use(contentId: string): Map<PeerKeyId, Float64Array> {
    const rows = this.#contents.get(contentId) ?? new Map<PeerKeyId, Float64Array>()
    this.#contents.delete(contentId)
    this.#contents.set(contentId, rows)
    return rows
  }

  #rank(rows: Map<PeerKeyId, Float64Array>, contentId: string, symbolId: number, peer: PeerKeyId): number {
    let row = rows.get(peer)
    if (row === undefined || row.length <= symbolId) {
      const wider = new Float64Array(Math.max(32, 2 * symbolId)).fill(-1)
      if (row === undefined) this.#rows += 1
      else wider.set(row)
      row = wider
      rows.set(peer, row)
    }
    const known = row[symbolId]!
    if (known >= 0) return known
    const bytes = ejectionRank(contentId, symbolId, peer)
    let rank = 0
    for (let i = 0; i < KEPT; i++) rank = rank * 256 + bytes[i]!
    row[symbolId] = rank
    return rank
  }

  /** Forgets contents, never the one in use, until there is room again; a content that fills everything by itself starts anew. */
  #bound(inUse: string): void {
    for (const [contentId, rows] of this.#contents) {
      if (this.#rows <= MAX_ROWS) return
      this.#rows -= rows.size
      if (contentId === inUse) rows.clear()
      else this.#contents.delete(contentId)
    }
  }
}

function compareWhole(contentId: string, symbolId: number, a: PeerKeyId, b: PeerKeyId): number {
  return compareBytes(ejectionRank(contentId, symbolId, a), ejectionRank(contentId, symbolId, b))
}
