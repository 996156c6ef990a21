/** Which snapshot of a room is in use, and the trees computed from it (D19, D44). */
import { toHex } from "../../wire/bytes.ts"
import type { Milliseconds, PeerKeyId } from "../../wire/types.ts"
import { RoomSnapshot, type RoomView, TOPOLOGY_EPOCH_MS, topologyEpoch } from "./room-snapshot.ts"
import { RoomTree, type RoomTreeOptions } from "./room-tree.ts"

/** A snapshot is not used before it is this old: by then the others have made theirs. */
const SETTLE_MS = 2_000
/** Trees kept for one snapshot; streams of a whole stage. The one that was asked for first goes first. */
const MAX_TREES = 256
/** While there is no plan yet, how often what is known is looked at again. */
const EARLY_UPDATE_MS = 500
/** Flatter plans need no places for second parents: nearly everybody may take from somebody next to the source. */
const SPARE_FROM_DEPTH = 3
/** A plan that leaves places may be so many steps deeper. */
const SPARE_DEPTH = 2

interface Cut {
  snapshot: RoomSnapshot
  /** Unix ms. */
  since: Milliseconds
}

/** One receiver's view of a planned tree, as the choice of parents takes it. */
export interface TreeOfReceiver {
  since: Milliseconds
  /** The plan leaves relays places for second parents. */
  spare: boolean
  parent: PeerKeyId | undefined
  depthOf(keyId: PeerKeyId): number | undefined
  parentOf(keyId: PeerKeyId): PeerKeyId | undefined
}

/**
 * Makes a snapshot at the beginning of each topology epoch and goes over to it two seconds later; until then the one before stays
 * in use, so that the whole room changes its plan at about the same time. A newcomer's first snapshot takes in what arrives during
 * these two seconds.
 */
export class RoomPlan {
  #used: Cut | undefined
  #coming: Cut | undefined
  readonly #trees = new Map<string, RoomTree>()

  /** The snapshot in use; undefined while there is none old enough, or nobody advertises: parents are then found without a tree. */
  get snapshot(): RoomSnapshot | undefined {
    return this.#used?.snapshot
  }

  /**
   * Takes notice of the time. `view` is asked for only when a snapshot is due.
   * @param nowUnixMs wall clock
   * @returns true when the snapshot in use is another one now
   */
  update(view: () => RoomView, nowUnixMs: Milliseconds): boolean {
    const changed = this.#settle(nowUnixMs)
    if (this.#used === undefined) this.#gather(view, nowUnixMs)
    else if ((this.#coming ?? this.#used).snapshot.epochId !== topologyEpoch(nowUnixMs)) {
      this.#coming = { snapshot: new RoomSnapshot(view(), nowUnixMs), since: nowUnixMs }
    }
    return changed
  }

  /** When to call {@link update} next, at the latest. */
  nextUpdateMs(nowUnixMs: Milliseconds): Milliseconds {
    const boundary = (Math.floor(nowUnixMs / TOPOLOGY_EPOCH_MS) + 1) * TOPOLOGY_EPOCH_MS
    if (this.#used === undefined) return Math.min(boundary, nowUnixMs + EARLY_UPDATE_MS)
    return this.#coming === undefined ? boundary : Math.min(boundary, Math.max(nowUnixMs, this.#coming.since + SETTLE_MS))
  }

  /** The planned tree of a stream, computed once per snapshot; undefined without a snapshot in use. */
  tree(options: RoomTreeOptions): RoomTree | undefined {
    const used = this.#used
    if (used === undefined) return undefined
    const { streamId, edgeMillibps = 0n, sourcePeerId, parents = 1 } = options
    const key = `${toHex(streamId)} ${edgeMillibps} ${parents} ${sourcePeerId}`
    const known = this.#trees.get(key)
    if (known !== undefined) return known
    const tree = parents === 2 ? treeWithSpare(used.snapshot, options) : new RoomTree(used.snapshot, options)
    if (this.#trees.size >= MAX_TREES) this.#trees.delete(this.#trees.keys().next().value!)
    this.#trees.set(key, tree)
    return tree
  }

  /** The tree as `receiver` uses it; undefined without a snapshot in use, or when the tree has no edge. */
  treeFor(receiver: PeerKeyId, options: RoomTreeOptions): TreeOfReceiver | undefined {
    const tree = this.tree(options)
    if (tree?.hasEdges !== true || this.#used === undefined) return undefined
    return {
      since: this.#used.since,
      spare: tree.edgeMillibps > (options.edgeMillibps ?? 0n),
      parent: tree.parentOf(receiver),
      depthOf: (keyId) => tree.depthOf(keyId),
      parentOf: (keyId) => tree.parentOf(keyId),
    }
  }

  /** Goes over to a snapshot that is old enough. An empty one ends the use of trees. */
  #settle(nowUnixMs: Milliseconds): boolean {
    const coming = this.#coming
    if (coming === undefined || nowUnixMs - coming.since < SETTLE_MS) return false
    if (coming.snapshot.empty && this.#used === undefined) return false
    this.#used = coming.snapshot.empty ? undefined : coming
    this.#coming = undefined
    this.#trees.clear()
    return true
  }

  /** The first snapshot: taken anew with each call, its age counts from the first advertisement on. */
  #gather(view: () => RoomView, nowUnixMs: Milliseconds): void {
    const before = this.#coming
    const since = before === undefined || before.snapshot.empty ? nowUnixMs : before.since
    this.#coming = { snapshot: new RoomSnapshot(view(), nowUnixMs), since }
  }
}

/**
 * Who takes two copies needs two places. A plan that fills the relays leaves none near the source, where candidates are few (D-44), so each
 * edge is counted twice where that leaves nobody out and the plan does not get much deeper.
 */
function treeWithSpare(snapshot: RoomSnapshot, options: RoomTreeOptions): RoomTree {
  const full = new RoomTree(snapshot, options)
  const { edgeMillibps = 0n } = options
  if (edgeMillibps === 0n || full.depth < SPARE_FROM_DEPTH) return full
  const spare = new RoomTree(snapshot, { ...options, edgeMillibps: 2n * edgeMillibps })
  return spare.size >= full.size && spare.depth <= full.depth + SPARE_DEPTH ? spare : full
}
