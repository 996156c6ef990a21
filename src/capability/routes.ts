/** Ways to nodes that are not neighbours, learned from the announcements that came along them (control-plane 2.8). */
import { LruMap } from "../identity/index.ts"
import type { Milliseconds, NodeId } from "../wire/types.ts"

const MAX_ROUTES = 16_384

interface Route {
  via: NodeId
  metric: number
  expiresAt: Milliseconds
}

export class RouteTable {
  readonly #routes = new LruMap<NodeId, Route>(MAX_ROUTES)

  /** An announcement of `origin` came through `via` after `hopCount` hops and lives until `expiresAt`. */
  learn(origin: NodeId, via: NodeId, hopCount: number, expiresAt: Milliseconds, now: Milliseconds): void {
    if (hopCount === 0) return
    const known = this.nextHop(origin, now)
    const metric = hopCount + 2
    // Another way must be shorter; the same way is refreshed, also when it became longer.
    if (known === undefined || known.via === via || metric < known.metric) this.#routes.set(origin, { via, metric, expiresAt })
  }

  nextHop(origin: NodeId, now: Milliseconds): Route | undefined {
    const route = this.#routes.get(origin)
    return route !== undefined && now < route.expiresAt ? route : undefined
  }

  /** Forgets every way through a neighbour that left. */
  neighbourLost(via: NodeId): void {
    for (const [origin, route] of [...this.#routes.entries()]) if (route.via === via) this.#routes.delete(origin)
  }
}
