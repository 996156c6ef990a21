/** Calls that wait for a session with a member. */
import type { Milliseconds, NodeId } from "../../wire/types.ts"

/** A handshake through others takes two round trips; longer than this it is not worth waiting, ms. */
const PATIENCE_MS = 5_000
const SECOND_TRY_MS = 1_500
/** Members that are waited for at once. */
const MAX_WAITED = 64

interface Waited {
  wake: Set<() => void>
  again: ReturnType<typeof setTimeout>
}

export class Meeting {
  readonly #ask: (node: NodeId, attempt: number) => void
  readonly #waited = new Map<NodeId, Waited>()

  /** @param ask asks for a session; called again, with the next number, when nothing came of it */
  constructor(ask: (node: NodeId, attempt: number) => void) {
    this.#ask = ask
  }

  /** Resolves when the session is there, or the time is up. */
  wait(node: NodeId, timeoutMs: Milliseconds): Promise<void> {
    let waited = this.#waited.get(node)
    if (waited === undefined) {
      if (this.#waited.size >= MAX_WAITED) return Promise.resolve()
      const again = setTimeout(() => this.#ask(node, 1), SECOND_TRY_MS)
      waited = { wake: new Set(), again }
      this.#waited.set(node, waited)
      this.#ask(node, 0)
    }
    const { wake } = waited
    return new Promise((resolve) => {
      const done = () => {
        clearTimeout(timer)
        wake.delete(done)
        if (wake.size === 0) this.#forget(node)
        resolve()
      }
      const timer = setTimeout(done, Math.min(PATIENCE_MS, Math.max(0, timeoutMs)))
      wake.add(done)
    })
  }

  met(node: NodeId): void {
    for (const wake of [...(this.#waited.get(node)?.wake ?? [])]) wake()
  }

  close(): void {
    for (const node of [...this.#waited.keys()]) this.met(node)
  }

  #forget(node: NodeId): void {
    clearTimeout(this.#waited.get(node)?.again)
    this.#waited.delete(node)
  }
}
