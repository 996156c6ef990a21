/** Messages of others, one after the other: revocations before everything else, and no peer can fill the queue. */
import type { PeerKeyId } from "../../wire/types.ts"

/** Of one peer; what comes beyond is dropped, and asked for again where it matters. */
const MAX_WAITING = 512

interface Entry {
  peer: PeerKeyId
  run(): Promise<void>
  resolve(): void
  reject(error: unknown): void
}

export class Inbox {
  readonly #urgent: Entry[] = []
  readonly #waiting: Entry[] = []
  readonly #counts = new Map<PeerKeyId, number>()
  #running = false

  /** Runs when everything before it has run; resolves then. False, at once, when the peer has too many waiting. */
  async push(peer: PeerKeyId, urgent: boolean, run: () => Promise<void>): Promise<boolean> {
    const count = this.#counts.get(peer) ?? 0
    if (count >= MAX_WAITING) return false
    this.#counts.set(peer, count + 1)
    await new Promise<void>((resolve, reject) => {
      const entry = { peer, run, resolve, reject }
      if (urgent) this.#urgent.push(entry)
      else this.#waiting.push(entry)
      void this.#drain()
    })
    return true
  }

  async #drain(): Promise<void> {
    if (this.#running) return
    this.#running = true
    for (let entry = this.#next(); entry !== undefined; entry = this.#next()) {
      const count = (this.#counts.get(entry.peer) ?? 1) - 1
      if (count > 0) this.#counts.set(entry.peer, count)
      else this.#counts.delete(entry.peer)
      try {
        await entry.run()
        entry.resolve()
      } catch (error) {
        entry.reject(error)
      }
    }
    this.#running = false
  }

  #next(): Entry | undefined {
    return this.#urgent.shift() ?? this.#waiting.shift()
  }
}
