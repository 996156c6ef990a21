/** Parents, depths and children of one path of a tree, over peers named by number. */
import type { RootedEdge } from "./rooted-core.ts"

const NOBODY = -1
const NO_PLACE = -1

export class Branches {
  /** Most steps from the source. */
  readonly depth: number
  readonly #parent: Int32Array
  readonly #depth: Int32Array
  /** Children of a peer, one after another; made when first asked for. */
  #children: { from: Int32Array; list: Int32Array } | undefined

  /** @param edges in the order in which they were laid: a parent has its place before its children */
  constructor(count: number, source: number, edges: readonly Pick<RootedEdge, "parent" | "child">[]) {
    this.#parent = new Int32Array(count).fill(NOBODY)
    this.#depth = new Int32Array(count).fill(NO_PLACE)
    this.#depth[source] = 0
    let deepest = 0
    for (const { parent, child } of edges) {
      const depth = this.#depth[parent]! + 1
      this.#parent[child] = parent
      this.#depth[child] = depth
      if (depth > deepest) deepest = depth
    }
    this.depth = deepest
  }

  parentOf(place: number): number | undefined {
    const parent = this.#parent[place]!
    return parent === NOBODY ? undefined : parent
  }

  depthOf(place: number): number | undefined {
    const depth = this.#depth[place]!
    return depth === NO_PLACE ? undefined : depth
  }

  /** Ascending. */
  childrenOf(place: number): Int32Array {
    this.#children ??= this.#sortByParent()
    const { from, list } = this.#children
    return list.subarray(from[place]!, from[place + 1]!)
  }

  /** Level by level. */
  descendantsOf(place: number): number[] {
    const found = [...this.childrenOf(place)]
    // Grows while it is read: a tree has no cycle that could keep it growing.
    for (const peer of found) found.push(...this.childrenOf(peer))
    return found
  }

  isBelow(place: number, above: number): boolean {
    let at = this.#parent[place]!
    while (at !== NOBODY && at !== above) at = this.#parent[at]!
    return at === above && at !== NOBODY
  }

  #sortByParent(): { from: Int32Array; list: Int32Array } {
    const parents = this.#parent
    const from = new Int32Array(parents.length + 1)
    for (const parent of parents) if (parent !== NOBODY) from[parent + 1]!++
    for (let i = 1; i < from.length; i++) from[i]! += from[i - 1]!
    const list = new Int32Array(from[parents.length]!)
    const next = from.slice()
    for (let child = 0; child < parents.length; child++) {
      const parent = parents[child]!
      if (parent !== NOBODY) list[next[parent]!++] = child
    }
    return { from, list }
  }
}
