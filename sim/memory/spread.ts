/** How the contents of a mesh are spread over its live peers, as somebody sees it who sees everything. */
import type { VirtualMesh } from "../../src/holonomic/gossip/virtual-mesh.ts"
import { type ContentRef, DEFAULT_K_REPAIR, DEFAULT_N_SOURCE } from "../../src/holonomic/index.ts"

/** Over all contents; "beside" is without the heaviest holder of each. */
export interface Spread {
  /** Peers beside that hold any symbol. */
  holders: { min: number; median: number; max: number }
  /** Symbols kept beside in all, by those of a content; `total` is each once. */
  copies: { min: number; mean: number; max: number }
  /** Copies beside of one symbol. */
  copiesOfOne: { min: number; max: number }
  /** Distinct symbols on all live peers and on those beside, of the content that has fewest. */
  distinct: number
  distinctBeside: number
  /** Symbols of a content. */
  total: number
  /** Contents of which fewer than the source symbols are there. */
  lost: number
}

export class Census {
  readonly refs: ContentRef[] = []
  readonly #mesh: VirtualMesh

  constructor(mesh: VirtualMesh) {
    this.#mesh = mesh
  }

  async look(): Promise<Spread> {
    const total = DEFAULT_N_SOURCE + DEFAULT_K_REPAIR
    const [holders, copies, distinct, beside]: [number[], number[], number[], number[]] = [[], [], [], []]
    const ofOne = { min: Number.POSITIVE_INFINITY, max: 0 }
    for (const ref of this.refs) {
      const holdings: { peer: string; ids: number[] }[] = []
      for (const { node, signer } of this.#mesh.online()) {
        const ids = await node.shelf.symbolIds(ref)
        if (ids.length > 0) holdings.push({ peer: signer.keyId, ids })
      }
      // The heaviest as plans find it: of those with as much, the first.
      holdings.sort((a, b) => b.ids.length - a.ids.length || (a.peer < b.peer ? -1 : 1))
      const held = holdings.map(({ ids }) => ids)
      const counts = new Array<number>(total).fill(0)
      for (const ids of held.slice(1)) for (const id of ids) counts[id]! += 1
      holders.push(Math.max(0, held.length - 1))
      copies.push(counts.reduce((sum, count) => sum + count, 0))
      distinct.push(new Set(held.flat()).size)
      beside.push(counts.filter((count) => count > 0).length)
      ofOne.min = Math.min(ofOne.min, ...counts)
      ofOne.max = Math.max(ofOne.max, ...counts)
    }
    const sorted = holders.toSorted((a, b) => a - b)
    const mean = copies.reduce((sum, count) => sum + count, 0) / Math.max(1, copies.length)
    return {
      holders: { min: sorted[0] ?? 0, median: sorted[Math.floor(sorted.length / 2)] ?? 0, max: sorted.at(-1) ?? 0 },
      copies: { min: Math.min(...copies), mean: Math.round(10 * mean) / 10, max: Math.max(...copies) },
      copiesOfOne: ofOne,
      distinct: Math.min(...distinct),
      distinctBeside: Math.min(...beside),
      total,
      lost: distinct.filter((count) => count < DEFAULT_N_SOURCE).length,
    }
  }

  /** Every symbol on a live peer, with the peer. */
  async held(): Promise<Map<string, string>> {
    const found = new Map<string, string>()
    for (const { node, signer } of this.#mesh.online()) {
      for (const ref of this.refs) {
        for (const id of await node.shelf.symbolIds(ref)) found.set(`${signer.keyId} ${ref.contentId} ${id}`, signer.keyId)
      }
    }
    return found
  }

  async isGone(ref: ContentRef): Promise<boolean> {
    for (const { node } of this.#mesh.online()) if ((await node.shelf.symbolIds(ref)).length > 0) return false
    return true
  }
}
