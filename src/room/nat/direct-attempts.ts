/** Counts direct attempts, and tells which are not worth making again because of the NATs at both ends (control-plane 6.7, 6.9). */
import { type NatClass, pairAction } from "../../rendezvous/nat/classify.ts"
import type { Milliseconds, NodeId } from "../../wire/types.ts"

/** Attempts at direct links with other members, ICE restarts of links that were up not included. */
export interface DirectStats {
  /** Whose description was answered, so that ICE could begin. */
  attempted: number
  succeeded: number
  /** Of those attempted, by why the link closed before anything could be said on it. */
  failed: Record<string, number>
  /** Attempts that failed, or were not made because of the NATs at both ends, while a routed session worked. */
  relayFallbacks: number
}

interface DirectAttemptsAround {
  /** The NAT classes of this page and of the node, as announced. */
  classes(node: NodeId): readonly [own: NatClass, other: NatClass]
  /** A TURN server gets through any NAT. */
  hasTurn(): boolean
  isRouted(node: NodeId): boolean
  now(): Milliseconds
}

/** Not tried again for this long after a failure, then twice that, ms. */
const PAUSE_MS = 600_000
const MAX_PAUSE_MS = 3_600_000
/** Nodes remembered; the oldest goes. */
const MAX_NODES = 1_024

export class DirectAttempts {
  readonly #around: DirectAttemptsAround
  /** Links whose descriptions were exchanged, and that are not up yet. */
  readonly #open = new Map<string, NodeId>()
  readonly #failures = new Map<NodeId, { count: number; at: Milliseconds }>()
  readonly #stats: DirectStats = { attempted: 0, succeeded: 0, failed: {}, relayFallbacks: 0 }

  constructor(around: DirectAttemptsAround) {
    this.#around = around
  }

  get stats(): DirectStats {
    return { ...this.#stats, failed: { ...this.#stats.failed } }
  }

  /**
   * False where the NATs of both ends say that it cannot work, no TURN server is known, and it did not work already: two machines in one
   * network reach each other whatever stands at its border, so the first attempt is always made.
   */
  isWorthIt(node: NodeId): boolean {
    const failure = this.#failures.get(node)
    if (failure === undefined || this.#around.hasTurn()) return true
    const pause = Math.min(MAX_PAUSE_MS, PAUSE_MS * 2 ** (failure.count - 1))
    if (this.#around.now() - failure.at >= pause || !isHopeless(this.#around.classes(node))) return true
    if (this.#around.isRouted(node)) this.#stats.relayFallbacks++
    return false
  }

  /** The descriptions of both ends are there. */
  answered(link: string, node: NodeId): void {
    if (this.#open.has(link)) return
    this.#open.set(link, node)
    this.#stats.attempted++
  }

  succeeded(link: string): void {
    const node = this.#open.get(link)
    if (node === undefined) return
    this.#open.delete(link)
    this.#failures.delete(node)
    this.#stats.succeeded++
  }

  /** A link closed; one that was up, or was never answered, does not count. */
  closed(link: string, reason: string): void {
    const node = this.#open.get(link)
    if (node === undefined) return
    this.#open.delete(link)
    // What this page ended itself says nothing about the way.
    if (reason === "local") return
    this.#stats.failed[reason] = (this.#stats.failed[reason] ?? 0) + 1
    if (this.#around.isRouted(node)) this.#stats.relayFallbacks++
    const count = (this.#failures.get(node)?.count ?? 0) + 1
    this.#failures.delete(node)
    if (this.#failures.size >= MAX_NODES) this.#failures.delete(this.#failures.keys().next().value as NodeId)
    this.#failures.set(node, { count, at: this.#around.now() })
  }

  /** What failed in the old network may work in this one. */
  networkChanged(): void {
    this.#failures.clear()
  }
}

/** Of a class that nobody knows nothing follows: a link that failed for another reason must be tried again. */
function isHopeless([own, other]: readonly [own: NatClass, other: NatClass]): boolean {
  return own !== "unknown" && other !== "unknown" && pairAction(own, other) === "skip"
}
