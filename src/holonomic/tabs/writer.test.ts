/** Tabs of one origin: one writes, the others hand it their orders, and when it closes the next one goes on. */
import { expect, test, vi } from "vitest"
import { type LocksPort, type TabChannel, type TabNode, TabWriter } from "./writer.ts"

/** `navigator.locks`, as far as it is used: one holder, the others wait in order. */
class Locks implements LocksPort {
  #tail: Promise<void> = Promise.resolve()

  request(_name: string, { signal }: { signal?: AbortSignal }, held: () => Promise<void>): Promise<void> {
    const before = this.#tail
    let done = () => {}
    this.#tail = new Promise((resolve) => {
      done = resolve
    })
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
function channels(): () => TabChannel {
  const all = new Set<TabChannel>()
  return () => {
    const channel: TabChannel = {
      onmessage: null,
      close: () => void all.delete(channel),
      postMessage: (message) => {
        const data = structuredClone(message)
        for (const other of all) if (other !== channel) queueMicrotask(() => other.onmessage?.({ data }))
      },
    }
    all.add(channel)
    return channel
  }
}

function tabs() {
  const [locks, open] = [new Locks(), channels()]
  /** What happened, in order: writers never overlap. */
  const log: string[] = []
  const tab = (tabId: string, handle: (order: unknown) => Promise<unknown> = async (order) => `${tabId}: ${String(order)}`) => {
    const begin = async (): Promise<TabNode> => {
      log.push(`${tabId} begins`)
      return {
        handle,
        close: async () => {
          log.push(`${tabId} ends`)
        },
      }
    }
    return new TabWriter({ meshId: "m-tabs", locks, channel: open(), tabId, begin })
  }
  return { tab, log }
}

test("one tab writes; orders of the others reach it; the next takes over when it closes", async () => {
  const { tab, log } = tabs()
  const [a, b, c] = [tab("a"), tab("b"), tab("c")]
  expect(await b.order("put")).toBe("a: put")
  expect([a.isWriter, b.isWriter, c.isWriter]).toEqual([true, false, false])
  await a.close()
  expect(await c.order("list")).toBe("b: list")
  await vi.waitFor(() => expect(b.isWriter).toBe(true))
  // One that waits may go without having written.
  await c.close()
  await b.close()
  expect(log).toEqual(["a begins", "a ends", "b begins", "b ends"])
})

test("an order that was given before there was a writer is carried out once", async () => {
  const { tab } = tabs()
  const seen: unknown[] = []
  const first = tab("a", async (order) => {
    seen.push(order)
    await new Promise((resolve) => setTimeout(resolve, 1_200))
    return seen.length
  })
  const second = tab("b")
  // It takes longer than the order waits before it is sent again.
  expect(await second.order("slow")).toBe(1)
  expect(seen).toEqual(["slow"])
  await Promise.all([first.close(), second.close()])
})

test("a refusal reaches whoever gave the order; a closed tab takes none", async () => {
  const { tab } = tabs()
  const first = tab("a", () => Promise.reject(Object.assign(new Error("full"), { name: "QuotaExceeded" })))
  const second = tab("b")
  await expect(second.order("put")).rejects.toMatchObject({ code: "StorageUnavailable", details: { reason: "QuotaExceeded" } })
  await second.close()
  await expect(second.order("put")).rejects.toMatchObject({ code: "HandleClosedError" })
  await first.close()
})

test("changes are told to every tab", async () => {
  const [locks, open] = [new Locks(), channels()]
  const seen: string[] = []
  const make = (tabId: string) =>
    new TabWriter({
      meshId: "m-tabs",
      locks,
      channel: open(),
      tabId,
      begin: async () => ({ handle: async () => undefined, close: async () => {} }),
      changed: () => seen.push(tabId),
    })
  const [a, b] = [make("a"), make("b")]
  await b.order("anything")
  seen.length = 0
  a.tellChanged()
  await vi.waitFor(() => expect(seen).toEqual(["a", "b"]))
  await a.close()
  await b.close()
})
