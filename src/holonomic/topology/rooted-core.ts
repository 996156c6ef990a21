/** The source-rooted rule of profile 1001 (D18) over peers named by number, so that ten thousand of them take no time. */
import type { U64 } from "../../wire/types.ts"
import type { Candidate } from "./candidates.ts"
import { NO_EDGE, type PairScores } from "./pairs.ts"
import { PENALTY_PER_SUB_PATH_DUP, parentScore } from "./quantise.ts"
import { type PathKey, sortedPaths } from "./sub-path.ts"

export interface RootedEdge {
  parent: number
  child: number
  path: PathKey
}

/**
 * Attaches peers level by level below the source, path by path. Nothing is attached twice on a path, and a parent is always one level
 * higher than its child, so no cycle can arise.
 * @param peers in peer order; the numbers in the result are places in it
 */
export function growTrees(peers: readonly Candidate[], source: number, pairs: PairScores, edgeMillibps: U64): RootedEdge[] {
  return new Grower(peers, pairs, edgeMillibps).grow(source)
}

class Grower {
  readonly #peers: readonly Candidate[]
  readonly #pairs: PairScores
  readonly #own: Int32Array
  /** Copies a parent's uplink carries, over all paths. */
  readonly #maxEdges: Float64Array
  readonly #children: Int32Array
  readonly #edges: Int32Array
  /** Children on the path that is being laid, and how many may be. */
  readonly #pathEdges: Int32Array
  readonly #pathMax: Float64Array
  /** Paths a child takes from a parent already, by `parent · n + child`; kept when there is more than one path. */
  readonly #shared = new Map<number, number>()
  #severalPaths = false
  readonly #scores: Int32Array

  constructor(peers: readonly Candidate[], pairs: PairScores, edgeMillibps: U64) {
    const count = peers.length
    this.#peers = peers
    this.#pairs = pairs
    this.#own = Int32Array.from(peers, ({ millibps }) => parentScore(millibps))
    this.#maxEdges = Float64Array.from(peers, ({ millibps }) =>
      edgeMillibps > 0n ? Number(BigInt(millibps) / edgeMillibps) : Number.POSITIVE_INFINITY,
    )
    this.#children = new Int32Array(count)
    this.#edges = new Int32Array(count)
    this.#pathEdges = new Int32Array(count)
    this.#pathMax = new Float64Array(count)
    this.#scores = new Int32Array(count)
  }

  grow(source: number): RootedEdge[] {
    const waiting = new Map<PathKey, number[]>()
    for (const child of this.#byCapacity()) {
      if (child === source) continue
      for (const path of this.#peers[child]!.paths) {
        const list = waiting.get(path)
        if (list === undefined) waiting.set(path, [child])
        else list.push(child)
      }
    }
    this.#severalPaths = waiting.size > 1
    return sortedPaths(waiting.keys()).flatMap((path) => this.#lay(path, source, waiting.get(path)!))
  }

  /** Who can carry most comes first and so gets close to the source. */
  #byCapacity(): number[] {
    const peers = this.#peers
    return Array.from(peers, (_, place) => place).sort((a, b) => peers[b]!.millibps - peers[a]!.millibps || a - b)
  }

  #lay(path: PathKey, source: number, children: number[]): RootedEdge[] {
    this.#pathEdges.fill(0)
    for (const [place, { promised }] of this.#peers.entries()) {
      this.#pathMax[place] = promised === undefined ? Number.POSITIVE_INFINITY : (promised.get(path) ?? 0)
    }
    const laid: RootedEdge[] = []
    let waiting = children
    let level = [source]
    while (level.length > 0 && waiting.length > 0) {
      const open = level.filter((parent) => this.#mayServe(parent))
      level = []
      this.#pairs.prepare(open)
      const left: number[] = []
      let at = 0
      for (; at < waiting.length && open.length > 0; at++) {
        const child = waiting[at]!
        const parent = this.#choose(child, open)
        if (parent === undefined) {
          left.push(child)
          continue
        }
        this.#attach(parent, child)
        laid.push({ parent, child, path })
        level.push(child)
        if (!this.#mayServe(parent)) open.splice(open.indexOf(parent), 1)
      }
      // Nobody could serve more: whoever was not asked goes on waiting. Copied only when somebody was passed over.
      waiting = left.length === 0 ? waiting.slice(at) : left.concat(waiting.slice(at))
      level.sort((a, b) => a - b)
    }
    return laid
  }

  /** Fewest shared paths first, then the best score, then peer order. `open` is in peer order. */
  #choose(child: number, open: readonly number[]): number | undefined {
    this.#pairs.fill(child, open, this.#scores)
    const [own, scores, pathEdges, children, peers] = [this.#own, this.#scores, this.#pathEdges, this.#children, this.#peers]
    let best: number | undefined
    let bestShared = Number.POSITIVE_INFINITY
    let bestScore = -1
    for (let i = 0; i < open.length; i++) {
      const pair = scores[i]!
      if (pair === NO_EDGE) continue
      const parent = open[i]!
      const score = Math.max(0, own[parent]! + pair - PENALTY_PER_SUB_PATH_DUP * pathEdges[parent]!)
      // With one path everybody shares nothing yet: what scores no better cannot win.
      if (!this.#severalPaths && score <= bestScore) continue
      const shared = this.#severalPaths ? (this.#shared.get(this.#pairKey(parent, child)) ?? 0) : 0
      if (shared > bestShared || (shared === bestShared && score <= bestScore)) continue
      if (shared === 0 && children[parent]! >= peers[parent]!.maxSubscribers) continue
      best = parent
      bestShared = shared
      bestScore = score
    }
    return best
  }

  #attach(parent: number, child: number): void {
    this.#edges[parent]!++
    this.#pathEdges[parent]!++
    if (!this.#severalPaths) {
      this.#children[parent]!++
      return
    }
    const key = this.#pairKey(parent, child)
    const shared = this.#shared.get(key) ?? 0
    if (shared === 0) this.#children[parent]!++
    this.#shared.set(key, shared + 1)
  }

  /** False: no edge on this path can start here any more. With one path alone every child is a new one. */
  #mayServe(parent: number): boolean {
    if (this.#pathEdges[parent]! >= this.#pathMax[parent]! || this.#edges[parent]! >= this.#maxEdges[parent]!) return false
    return this.#takesNewChildren(parent) || (this.#severalPaths && this.#children[parent]! > 0)
  }

  #takesNewChildren(parent: number): boolean {
    return this.#children[parent]! < this.#peers[parent]!.maxSubscribers
  }

  #pairKey(parent: number, child: number): number {
    return parent * this.#peers.length + child
  }
}
