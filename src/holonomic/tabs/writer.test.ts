/** Tabs of one origin: one writes, the others hand it their orders, and when it closes the next one goes on. */
import { expect, test, vi } from "vitest"
import { AvError } from "../../wire/errors.ts"
import { readTabMessage } from "./messages.ts"
import { TestLocks, testChannels } from "./testing.ts"
import { type OrderControl, type TabNode, TabWriter } from "./writer.ts"

/** A busy machine takes its time. */
const soon = (check: () => unknown) => vi.waitFor(check, { timeout: 20_000 })

type Handle = (order: unknown, control: OrderControl) => Promise<unknown>

function tabs() {
  const [locks, open] = [new TestLocks(), testChannels()]
  /** What happened, in order: writers never overlap. */
  const log: string[] = []
  const news: string[] = []
  const tab = (tabId: string, { handle, preferred = false }: { handle?: Handle; preferred?: boolean } = {}) => {
    const begin = async (): Promise<TabNode> => {
      log.push(`${tabId} begins`)
      return {
        handle: handle ?? (async (order) => `${tabId}: ${String(order)}`),
        close: async () => {
          log.push(`${tabId} ends`)
        },
      }
    }
    const told = (what: unknown) => news.push(`${tabId} ${String(what)}`)
    return new TabWriter({ meshId: "m-tabs", locks, channel: open(), tabId, preferred, begin, told })
  }
  return { tab, log, news, locks, open }
}

const wait = (ms: number) => new Promise((resolve) => setTimeout(resolve, ms))

test("one tab writes; orders of the others reach it; the next takes over when it closes", async () => {
  const { tab, log } = tabs()
  const [a, b, c] = [tab("a"), tab("b"), tab("c")]
  expect(await b.order("put")).toBe("a: put")
  expect([a.isWriter, b.isWriter, c.isWriter]).toEqual([true, false, false])
  await a.close()
  expect(await c.order("list")).toBe("b: list")
  await soon(() => expect(b.isWriter).toBe(true))
  // One that waits may go without having written.
  await c.close()
  await b.close()
  expect(log).toEqual(["a begins", "a ends", "b begins", "b ends"])
})

test("an order is carried out once, however often it has to be asked for", async () => {
  const { tab } = tabs()
  const seen: unknown[] = []
  const slow: Handle = async (order) => {
    seen.push(order)
    // Longer than an order waits before it is sent again.
    await wait(1_200)
    return seen.length
  }
  const [first, second] = [tab("a", { handle: slow }), tab("b")]
  expect(await second.order("slow")).toBe(1)
  expect(await first.order("own")).toBe(2)
  expect(seen).toEqual(["slow", "own"])
  await Promise.all([first.close(), second.close()])
})

test("an order that takes long does not count as unanswered; one that nobody takes does", async () => {
  vi.useFakeTimers({ toFake: ["setTimeout", "clearTimeout", "Date"] })
  try {
    const { tab, locks, open } = tabs()
    const [first, second] = [
      tab("a", { handle: () => new Promise((resolve) => setTimeout(() => resolve("done"), 60_000)) }),
      tab("b"),
    ]
    const long = second.order("long")
    await vi.advanceTimersByTimeAsync(61_000)
    expect(await long).toBe("done")
    await Promise.all([first.close(), second.close()])
    // A storage that takes long to open is waited for, here and there.
    const begin = async (): Promise<TabNode> => {
      await new Promise((resolve) => setTimeout(resolve, 30_000))
      return { handle: async (order) => `late ${String(order)}`, close: async () => {} }
    }
    const [slow, behind] = ["s", "t"].map((tabId) => new TabWriter({ meshId: "m-tabs", locks, channel: open(), tabId, begin }))
    const orders = Promise.all([slow!.order("here"), behind!.order("there")])
    await vi.advanceTimersByTimeAsync(31_000)
    expect(await orders).toEqual(["late here", "late there"])
    await behind!.close()
    await slow!.close()
    // Somebody holds the lock and says nothing.
    void locks.request("holomesh memory m-tabs", {}, () => new Promise(() => {}))
    const third = new TabWriter({ meshId: "m-tabs", locks, channel: open(), tabId: "c", begin: () => Promise.reject() })
    const failed = expect(third.order("list")).rejects.toMatchObject({ code: "StorageUnavailable" })
    await vi.advanceTimersByTimeAsync(11_000)
    await failed
    await third.close()
  } finally {
    vi.useRealTimers()
  }
})

test("a refusal reaches whoever gave the order, with its name; a closed tab takes none", async () => {
  const { tab } = tabs()
  let error: Error = new AvError("QuotaExceeded", { need: 5, left: 3 })
  const [first, second] = [tab("a", { handle: () => Promise.reject(error) }), tab("b")]
  await expect(second.order("put")).rejects.toMatchObject({ code: "QuotaExceeded", details: { need: 5, left: 3 } })
  error = new TypeError("no")
  await expect(second.order("put")).rejects.toMatchObject({ code: "StorageUnavailable", details: { reason: "TypeError" } })
  await second.close()
  await expect(second.order("put")).rejects.toMatchObject({ code: "HandleClosedError" })
  await first.close()
})

test("progress comes back, and an order can be taken back, here and there", async () => {
  const { tab } = tabs()
  const ended: string[] = []
  const handle: Handle = (order, { signal, tell }) =>
    new Promise((resolve, reject) => {
      signal.addEventListener("abort", () => {
        ended.push(String(order))
        reject(new AvError("Aborted"))
      })
      tell(1)
      tell(2)
      if (order === "quick") resolve("done")
    })
  const [first, second] = [tab("a", { handle }), tab("b")]
  for (const one of [first, second]) {
    const told: unknown[] = []
    expect(await one.order("quick", { tell: (value) => told.push(value) })).toBe("done")
    expect(told).toEqual([1, 2])
    const control = new AbortController()
    const order = one.order(one === first ? "own" : "other", { signal: control.signal, tell: () => control.abort() })
    await expect(order).rejects.toMatchObject({ code: "Aborted" })
    await expect(one.order("never", { signal: AbortSignal.abort() })).rejects.toMatchObject({ code: "Aborted" })
  }
  await soon(() => expect(ended).toEqual(["own", "other"]))
  await Promise.all([first.close(), second.close()])
})

test("a tab with the stored identity gets the storage, and what was under way is done by it", async () => {
  const { tab, log } = tabs()
  // Those without it never come to an end.
  const handle: Handle = () => new Promise(() => {})
  const first = tab("a", { handle })
  const [own, other] = [first.order("put"), tab("b", { handle }).order("get")]
  await soon(() => expect(first.isWriter).toBe(true))
  const stored = tab("s", { preferred: true })
  expect(await own).toBe("s: put")
  expect(await other).toBe("s: get")
  expect(stored.isWriter).toBe(true)
  // Whoever has no claim to it does not push it out.
  const late = tab("c")
  expect(await late.order("list")).toBe("s: list")
  expect(stored.isWriter).toBe(true)
  await stored.close()
  await vi.waitFor(() => expect(first.isWriter).toBe(true), { timeout: 5_000 })
  const order = log.map((line) => line.split(" "))
  for (let i = 0; i + 1 < order.length; i += 2) expect(order[i + 1]).toEqual([order[i]![0], "ends"])
})

test("a storage that cannot be opened is told to whoever asks", async () => {
  const { locks, open } = tabs()
  const begin = () => Promise.reject(new AvError("StorageCorrupt", { what: "log" }))
  const one = new TabWriter({ meshId: "m-tabs", locks, channel: open(), tabId: "x", begin })
  await expect(one.order("list")).rejects.toMatchObject({ code: "StorageCorrupt" })
  await expect(one.order("list")).rejects.toMatchObject({ code: "StorageCorrupt" })
  await one.close()
  expect(() => new TabWriter({ meshId: "no mesh", locks, channel: open(), tabId: "x", begin })).toThrow(AvError)
})

test("news reach every tab, and come from the one that writes alone", async () => {
  const { tab, news } = tabs()
  const [a, b] = [tab("a"), tab("b")]
  await b.order("anything")
  a.tellAll("changed")
  b.tellAll("not mine to tell")
  await soon(() => expect(news).toEqual(["a changed", "b changed"]))
  await a.close()
  await b.close()
})

test("what tabs of another version say is dropped", () => {
  for (const message of [
    undefined,
    null,
    "order",
    {},
    { kind: "other" },
    { kind: "toString" },
    { kind: "order", from: "a" },
    { kind: "order", id: 1 },
    { kind: "told", id: 1 },
    { kind: "answer", to: "a", id: 1, failure: "no" },
    { kind: "answer", to: "a", id: 1, failure: { code: 5, details: {} } },
    { kind: "began" },
  ]) {
    expect(readTabMessage(message)).toBeUndefined()
  }
  expect(readTabMessage({ kind: "yield" })).toEqual({ kind: "yield" })
})
