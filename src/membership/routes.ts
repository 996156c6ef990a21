/** Ways to members without a link, over the links that members tell of in their states (RM-19, RM-20). */
import type { Milliseconds, NodeId } from "../wire/types.ts"
import type { RoomCore } from "./core.ts"
import type { Leaves } from "./leaves.ts"
import type { RoomSession } from "./sessions.ts"
import type { StateBook } from "./state-book.ts"

/** States change rarely; a way is looked for anew after this time. */
const FRESH_MS = 1_000
/** Ways remembered at once; others are looked for each time. */
const MAX_KNOWN = 256

type Graph = ReadonlyMap<NodeId, ReadonlySet<NodeId>>

export class Routes {
  readonly #core: RoomCore
  readonly #leaves: Pick<Leaves, "nodeOf">
  readonly #states: Pick<StateBook, "all">
  #graph: { told: Graph; agreed: Graph } | undefined
  #madeAt: Milliseconds = 0
  /** Hops from each node to a destination. */
  readonly #hops = new Map<string, ReadonlyMap<NodeId, number>>()

  constructor(core: RoomCore, leaves: Pick<Leaves, "nodeOf">, states: Pick<StateBook, "all">) {
    this.#core = core
    this.#leaves = leaves
    this.#states = states
  }

  /**
   * The neighbours that are nearest to a node, `except` left out: several when several are as near. Only links that both ends tell of
   * count, so that nobody can draw others' traffic by inventing links; where there is no such way, the word of one end will do.
   */
  nearest(node: NodeId, except?: NodeId): RoomSession[] {
    const sessions = this.#neighbours().filter(({ peer }) => peer.nodeId !== node && peer.nodeId !== except)
    for (const kind of ["agreed", "told"] as const) {
      const hops = this.#hopsTo(node, kind)
      let least = Number.POSITIVE_INFINITY
      for (const { peer } of sessions) least = Math.min(least, hops.get(peer.nodeId) ?? Number.POSITIVE_INFINITY)
      if (least < Number.POSITIVE_INFINITY) return sessions.filter(({ peer }) => hops.get(peer.nodeId) === least)
    }
    return []
  }

  /** The neighbours that are linked to that node as well. */
  common(node: NodeId): RoomSession[] {
    const hops = this.#hopsTo(node, "told")
    return this.others(node).filter(({ peer }) => hops.get(peer.nodeId) === 1)
  }

  /** Direct sessions with members whose leaf is alive, one for each. */
  others(node: NodeId): RoomSession[] {
    return this.#neighbours().filter(({ peer }) => peer.nodeId !== node)
  }

  /** Where a frame of `from` for `node` goes next. */
  next(node: NodeId, from: NodeId): RoomSession | undefined {
    return this.#neighbours().find(({ peer }) => peer.nodeId === node) ?? this.nearest(node, from)[0]
  }

  #neighbours(): RoomSession[] {
    const { sessions, members } = this.#core
    const newest = new Map<NodeId, RoomSession>()
    for (const session of sessions.all()) {
      const { keyId, nodeId } = session.peer
      if (session.kind === "direct" && members.has(keyId) && !session.returning) newest.set(nodeId, session)
    }
    return [...newest.values()]
  }

  #hopsTo(node: NodeId, kind: "agreed" | "told"): ReadonlyMap<NodeId, number> {
    this.#refresh()
    const key = `${kind} ${node}`
    const known = this.#hops.get(key)
    if (known !== undefined) return known
    const graph = this.#graph?.[kind] ?? new Map<NodeId, ReadonlySet<NodeId>>()
    const hops = distances(graph, node, this.#core.options.self.nodeId)
    if (this.#hops.size < MAX_KNOWN) this.#hops.set(key, hops)
    return hops
  }

  #refresh(): void {
    const { now } = this.#core
    if (this.#graph !== undefined && now - this.#madeAt < FRESH_MS) return
    this.#madeAt = now
    this.#hops.clear()
    const links = new Map<NodeId, Set<NodeId>>()
    for (const [keyId, { state }] of this.#states.all()) {
      const node = this.#leaves.nodeOf(keyId)
      if (node !== undefined) links.set(node, new Set(state.links.map(([other]) => other)))
    }
    const told = new Map<NodeId, Set<NodeId>>()
    const agreed = new Map<NodeId, Set<NodeId>>()
    for (const [node, others] of links) {
      for (const other of others) {
        // Of members only: a link to anybody else leads nowhere.
        if (!links.has(other)) continue
        join(told, node, other)
        if (links.get(other)?.has(node) === true) join(agreed, node, other)
      }
    }
    this.#graph = { told, agreed }
  }
}

/** Hops to `to` from everywhere, not leading through `avoid`. */
function distances(graph: Graph, to: NodeId, avoid: NodeId): Map<NodeId, number> {
  const hops = new Map([[to, 0]])
  const queue = [to]
  for (const node of queue) {
    for (const next of graph.get(node) ?? []) {
      if (next === avoid || hops.has(next)) continue
      hops.set(next, (hops.get(node) ?? 0) + 1)
      queue.push(next)
    }
  }
  return hops
}

function join(graph: Map<NodeId, Set<NodeId>>, a: NodeId, b: NodeId): void {
  for (const [from, to] of [
    [a, b],
    [b, a],
  ] as const) {
    const others = graph.get(from)
    if (others === undefined) graph.set(from, new Set([to]))
    else others.add(to)
  }
}
