/** What tabs of one origin share, inside one process: a lock with a queue, and a channel that reaches all others. */
import type { LocksPort, TabChannel } from "./writer.ts"

/** `navigator.locks`, as far as it is used: one holder of each name, the others wait in order. */
export class TestLocks implements LocksPort {
  readonly #tails = new Map<string, Promise<void>>()

  request(name: string, { signal }: { signal?: AbortSignal }, held: () => Promise<void>): Promise<void> {
    const before = this.#tails.get(name) ?? Promise.resolve()
    let done = () => {}
    this.#tails.set(
      name,
      new Promise((resolve) => {
        done = resolve
      }),
    )
    return new Promise((resolve, reject) => {
      let began = false
      signal?.addEventListener("abort", () => {
        if (!began) reject(new DOMException("aborted", "AbortError"))
      })
      void before.then(async () => {
        if (!signal?.aborted) {
          began = true
          await held().then(resolve, reject)
        }
        done()
      })
    })
  }
}

/** Channels of one name: each message reaches all others, later. */
export function testChannels(): () => TabChannel {
  const all = new Set<TabChannel>()
  return () => {
    const channel: TabChannel = {
      onmessage: null,
      close: () => void all.delete(channel),
      postMessage: (message) => {
        const data = structuredClone(message)
        for (const other of all)
          if (other !== channel) queueMicrotask(() => other.onmessage?.(new MessageEvent("message", { data })))
      },
    }
    all.add(channel)
    return channel
  }
}
