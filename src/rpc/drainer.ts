/** The one queue that all single answers of a service pass, and the one loop that empties it (control-plane 4.7). */
import type { Bytes, NodeId } from "../wire/types.ts"
import type { RpcLink } from "./link.ts"

interface Waiting {
  link: RpcLink
  bytes: Bytes
  /** Told when the answer left the queue. */
  done(sent: boolean): void
}

const MAX_WAITING = 1_024
/** Bytes that may wait: 1 024 of the largest answers would be 4 GiB. */
const MAX_WAITING_BYTES = 64 * 1_048_576

/**
 * Answers leave in the order in which handlers finished. A peer that does not read holds up its own answers only. When the queue is
 * full, the new answer is dropped and its caller runs into its timeout.
 */
export class ResponseDrainer {
  readonly #limit: number
  readonly #queue: Waiting[] = []
  readonly #wanted = new Map<RpcLink, () => void>()
  #bytes = 0
  #scheduled = false

  constructor(limit = MAX_WAITING) {
    this.#limit = limit
  }

  get size(): number {
    return this.#queue.length
  }

  /** Appends an encoded answer; false when it was dropped. */
  push(link: RpcLink, bytes: Bytes, done: (sent: boolean) => void): boolean {
    if (this.#queue.length >= this.#limit || this.#bytes + bytes.length > MAX_WAITING_BYTES) {
      done(false)
      return false
    }
    this.#queue.push({ link, bytes, done })
    this.#bytes += bytes.length
    this.#schedule()
    return true
  }

  #schedule(): void {
    if (this.#scheduled) return
    this.#scheduled = true
    queueMicrotask(() => this.#drain())
  }

  #drain(): void {
    this.#scheduled = false
    const blocked = new Set<NodeId>()
    const left: Waiting[] = []
    for (const waiting of this.#queue) {
      const { link, bytes, done } = waiting
      if (link.open && (blocked.has(link.peer) || !link.hasSpace)) {
        blocked.add(link.peer)
        left.push(waiting)
        this.#wait(link)
        continue
      }
      this.#bytes -= bytes.length
      const sent = link.open
      link.sendBytes(bytes)
      done(sent)
    }
    this.#queue.splice(0, this.#queue.length, ...left)
  }

  #wait(link: RpcLink): void {
    if (this.#wanted.has(link)) return
    const wake = () => {
      this.#wanted.delete(link)
      this.#schedule()
    }
    this.#wanted.set(link, link.whenSpace(wake))
  }
}
