/** The small parts: what waits for a reader, what is fed to a call, who waits for a session. */
import { afterEach, beforeEach, describe, expect, test, vi } from "vitest"
import { Meeting } from "./meeting.ts"
import { MessageQueue } from "./message-queue.ts"
import { feed } from "./streams.ts"

describe("messages that wait", () => {
  test("are bounded by number and by bytes, the oldest go, and what is there outlives the end", async () => {
    const byNumber = new MessageQueue<number>(() => {})
    for (let i = 0; i < 1_030; i++) byNumber.push(i, 1)
    expect([byNumber.dropped, await byNumber.next()]).toEqual([6, { done: false, value: 6 }])
    const ended = vi.fn()
    const byBytes = new MessageQueue<number>(ended)
    for (let i = 0; i < 20; i++) byBytes.push(i, 1024 * 1024)
    expect(byBytes.dropped).toBe(4)
    byBytes.end()
    byBytes.end()
    byBytes.push(99, 1)
    const rest: number[] = []
    for await (const item of byBytes) rest.push(item)
    expect(rest).toEqual(Array.from({ length: 16 }, (_, i) => i + 4))
    expect(ended).toHaveBeenCalledTimes(1)
  })

  test("go to one reader, in order", async () => {
    const queue = new MessageQueue<string>(() => {})
    const first = queue.next()
    await expect(queue.next()).rejects.toMatchObject({ code: "UsageError" })
    queue.push("a", 1)
    queue.push("b", 1)
    expect([(await first).value, (await queue.next()).value]).toEqual(["a", "b"])
    const last = queue.next()
    await queue.return()
    expect(await last).toEqual({ done: true, value: undefined })
  })
})

describe("feeding a call", () => {
  const never = new Promise<never>(() => {})

  test("takes arrays and generators, one item at a time", async () => {
    const written: number[] = []
    let busy = 0
    const write = async (item: number) => {
      expect(++busy).toBe(1)
      await Promise.resolve()
      written.push(item)
      busy--
    }
    await feed([1, 2], write, never)
    const generator = async function* () {
      yield 3
      yield 4
    }
    await feed(generator(), write, never)
    expect(written).toEqual([1, 2, 3, 4])
  })

  test("stops when the call is over, also while the source waits, and tells the source", async () => {
    let over: () => void = () => {}
    const ending = new Promise<void>((resolve) => {
      over = resolve
    })
    const left = vi.fn()
    const source = { [Symbol.asyncIterator]: () => ({ next: () => never, return: left }) }
    const fed = feed(source, async () => {}, ending)
    over()
    await fed
    expect(left).toHaveBeenCalledTimes(1)
    const late = vi.fn()
    await feed([1, 2, 3], async () => late(), Promise.reject(new Error("over")))
    expect(late.mock.calls.length).toBeLessThan(3)
  })
})

describe("waiting for a session", () => {
  beforeEach(() => vi.useFakeTimers())
  afterEach(() => vi.useRealTimers())

  test("asks twice for all who wait, and gives up after five seconds", async () => {
    const asked: [string, number][] = []
    const meeting = new Meeting((node, attempt) => asked.push([node, attempt]))
    const done: string[] = []
    void meeting.wait("a", Number.POSITIVE_INFINITY).then(() => done.push("patient"))
    void meeting.wait("a", 100).then(() => done.push("hasty"))
    await vi.advanceTimersByTimeAsync(100)
    expect([asked, done]).toEqual([[["a", 0]], ["hasty"]])
    await vi.advanceTimersByTimeAsync(4_900)
    expect(asked).toEqual([
      ["a", 0],
      ["a", 1],
    ])
    expect(done).toEqual(["hasty", "patient"])
    void meeting.wait("a", 1_000).then(() => done.push("met"))
    meeting.met("a")
    await vi.advanceTimersByTimeAsync(0)
    expect([done.at(-1), vi.getTimerCount()]).toEqual(["met", 0])
  })

  test("holds a bounded number of members, and ends with the room", async () => {
    const asked = vi.fn()
    const meeting = new Meeting(asked)
    let done = 0
    for (let i = 0; i < 70; i++) void meeting.wait(`${i}`, 5_000).then(() => done++)
    await vi.advanceTimersByTimeAsync(0)
    expect([asked.mock.calls.length, done]).toEqual([64, 6])
    meeting.close()
    await vi.advanceTimersByTimeAsync(0)
    expect([done, vi.getTimerCount()]).toEqual([70, 0])
  })
})
