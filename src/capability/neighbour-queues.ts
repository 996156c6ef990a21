/** What waits to be sent to each neighbour, within its budget; gossip that cannot wait is dropped, the oldest first (control-plane 2.8). */
import type { Bytes, Milliseconds, NodeId } from "../wire/types.ts"
import { type Rate, TokenBuckets } from "./token-bucket.ts"

const FORWARD_RATE: Rate = { burst: 200, perSecond: 50 }
/** Holds a whole join sync: own announcement, 256 floors, 256 announcements. */
const MAX_QUEUED = 1_024

/** A control frame for a neighbour. */
export interface GossipFrame {
  to: NodeId
  type: number
  payload: Bytes
}

export class NeighbourQueues {
  readonly #queues = new Map<NodeId, { type: number; payload: Bytes }[]>()
  readonly #budget = new TokenBuckets(FORWARD_RATE)
  #dropped = 0

  get neighbours(): Iterable<NodeId> {
    return this.#queues.keys()
  }

  /** Frames that found no place in a queue. */
  get dropped(): number {
    return this.#dropped
  }

  has(node: NodeId): boolean {
    return this.#queues.has(node)
  }

  open(node: NodeId): void {
    if (!this.#queues.has(node)) this.#queues.set(node, [])
  }

  close(node: NodeId): void {
    this.#queues.delete(node)
    this.#budget.forget(node)
  }

  push(to: NodeId, type: number, payload: Bytes): void {
    const queue = this.#queues.get(to)
    if (queue === undefined) return
    if (queue.length >= MAX_QUEUED) {
      queue.shift()
      this.#dropped++
    }
    queue.push({ type, payload })
  }

  /** Everything that may go now. */
  take(now: Milliseconds): GossipFrame[] {
    const out: GossipFrame[] = []
    for (const [to, queue] of this.#queues) {
      while (queue.length > 0 && this.#budget.take(to, now)) {
        const frame = queue.shift()
        if (frame !== undefined) out.push({ ...frame, to })
      }
    }
    return out
  }

  /** When {@link take} will give something again; `Infinity` when nothing waits. */
  dueAt(now: Milliseconds): Milliseconds {
    let due = Number.POSITIVE_INFINITY
    for (const [to, queue] of this.#queues) if (queue.length > 0) due = Math.min(due, now + this.#budget.waitFor(to, now))
    return due
  }
}
