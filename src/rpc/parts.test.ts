import { describe, expect, it, onTestFinished, vi } from "vitest"
import { CallerLru } from "./caller-lru.ts"
import { clampCallMs, MAX_TIMER_MS, systemClock } from "./clock.ts"
import { ResponseDrainer } from "./drainer.ts"
import { RpcLink } from "./link.ts"
import { OVERFLOW_LABEL, RpcMetrics } from "./metrics.ts"
import { decodeStatus, grpcCode, RPC_STATUS, RpcError, type RpcFailure } from "./status.ts"
import { failure, nodeId, settle, TestNet } from "./test-net.ts"
import { callTyped, type StandardSchema, serveTyped } from "./typed.ts"

describe("RPC-R6: the memory of callers", () => {
  it("keeps 4096, the most recently used", () => {
    const lru = new CallerLru<number>()
    for (let i = 1; i <= 200_000; i++) {
      lru.set(nodeId(i), i)
      if (i % 1_000 === 0) lru.get(nodeId(1))
    }
    expect(lru.size).toBe(4_096)
    expect([lru.get(nodeId(1)), lru.get(nodeId(200_000)), lru.get(nodeId(195_000))]).toEqual([1, 200_000, undefined])
    const two = new CallerLru<string>(2)
    two.set("a", "1")
    two.set("b", "2")
    two.set("a", "3")
    two.set("c", "4")
    expect([two.get("a"), two.get("b"), two.get("c")]).toEqual(["3", undefined, "4"])
  })
})

describe("timers", () => {
  it("RPC-R8: do not fire at once for long times", () => {
    vi.useFakeTimers()
    onTestFinished(() => void vi.useRealTimers())
    let fired = false
    systemClock.after(2 ** 33, () => (fired = true))
    const cancel = systemClock.after(5, () => (fired = true))
    systemClock.after(Number.POSITIVE_INFINITY, () => (fired = true))
    cancel()
    vi.advanceTimersByTime(1_000_000)
    expect([fired, vi.getTimerCount()]).toEqual([false, 1])
    vi.advanceTimersByTime(MAX_TIMER_MS)
    expect(fired).toBe(true)
    expect([clampCallMs(0.2), clampCallMs(1e12), clampCallMs(-5)]).toEqual([1, 86_400_000, 1])
  })
})

describe("statuses", () => {
  it("keep reserved numbers apart from applications' (D20)", () => {
    expect(decodeStatus(8)).toEqual({ kind: "known", name: "CapabilityDenied", value: 8 })
    expect([9, 0x7fff].map((value) => decodeStatus(value).kind)).toEqual(["reserved", "reserved"])
    expect([0x8000, 0xffff].map((value) => decodeStatus(value).kind)).toEqual(["application", "application"])
    expect(Object.values(RPC_STATUS).map(grpcCode)).toEqual([0, 5, 7, 4, 8, 1, 13, 12, 7])
    expect([grpcCode(9), grpcCode(0x8000)]).toEqual([2, undefined])
  })

  it("RPC-R1: every failure has its sentence and its kind", () => {
    const failures: RpcFailure[] = [
      { kind: "no-route", target: nodeId(1), reason: "no session" },
      { kind: "timeout", elapsedMs: 12.4 },
      { kind: "transport", message: "gone" },
      { kind: "server-error", status: 9, message: "" },
      { kind: "codec", direction: "decode", message: "x" },
      { kind: "capability-denied", target: nodeId(1), capability: "echo" },
      { kind: "cancelled" },
    ]
    for (const one of failures) {
      const error = new RpcError(one)
      expect([error.code, error.name, error.kind, error.message.length > 5]).toEqual(["RpcError", "RpcError", one.kind, true])
    }
  })
})

describe("RPC-R13: metrics", () => {
  it("count in few labels and cumulate when read", () => {
    const metrics = new RpcMetrics(3)
    for (const name of ["a", "b", "c", "d", "e"]) metrics.of(name).add("calls_total")
    expect([...metrics.entries()].map(([name, { counters }]) => [name, counters.calls_total])).toEqual([
      ["a", 1],
      ["b", 1],
      ["c", 1],
      [OVERFLOW_LABEL, 2],
    ])
    const { latency } = metrics.of("a")
    for (const ms of [5, 6, 90, 20_000]) latency.observe(ms)
    expect(latency.buckets).toEqual([1, 1, 0, 0, 1, 0, 0, 0, 0, 0, 0, 1])
    expect(latency.cumulated()).toEqual([1, 2, 2, 2, 3, 3, 3, 3, 3, 3, 3, 4])
    expect([latency.count, latency.sum]).toEqual([4, 20.101])
  })
})

describe("RPC-R5: the queue of answers", () => {
  it("holds up a peer that does not read, and nobody else; drops the new one when full", async () => {
    const sent: string[] = []
    const buffered = new Map<string, number>()
    const link = (peer: string) =>
      new RpcLink({
        peer,
        entity: new Uint8Array(),
        send: (bytes) => sent.push(`${peer}${bytes[0]}`),
        bufferedAmount: () => buffered.get(peer) ?? 0,
      })
    const [a, b] = [link("a"), link("b")]
    const drainer = new ResponseDrainer(3)
    const results: boolean[] = []
    buffered.set("a", 2_000_000)
    const push = (to: RpcLink, n: number) => drainer.push(to, Uint8Array.of(n), (ok) => results.push(ok))
    expect([push(a, 1), push(b, 1), push(a, 2), push(b, 2)]).toEqual([true, true, true, false])
    await settle()
    expect([sent, drainer.size, results]).toEqual([["b1"], 2, [false, true]])
    push(b, 3)
    await settle()
    buffered.set("a", 0)
    a.drained()
    await settle()
    expect([sent, drainer.size]).toEqual([["b1", "b3", "a1", "a2"], 0])
    push(a, 4)
    a.close()
    await settle()
    expect([sent.length, results]).toEqual([4, [false, true, true, true, true, false]])
  })
})

describe("typed calls", () => {
  const number: StandardSchema<number> = {
    "~standard": {
      version: 1,
      vendor: "test",
      validate: (value) => (typeof value === "number" ? { value } : { issues: [{ message: "not a number" }] }),
    },
  }

  it("check both directions and say which one failed", async () => {
    const net = new TestNet()
    const [a, b] = [net.node(1), net.node(2)]
    net.join(1, 2)
    const double = { name: "double", input: number, output: number }
    serveTyped(b, double, async (input) => input * 2)
    expect(await callTyped(a, nodeId(2), double, 21)).toBe(42)
    expect(await failure(callTyped(a, nodeId(2), double, "x" as unknown as number))).toEqual({
      kind: "server-error",
      status: 7,
      message: "not a number",
    })
    b.serve("liar", async () => new TextEncoder().encode('"no"'))
    expect(await failure(callTyped(a, nodeId(2), { ...double, name: "liar" }, 1))).toEqual({
      kind: "codec",
      direction: "decode",
      message: "not a number",
    })
    expect(await failure(callTyped(a, nodeId(2), double, 1n as unknown as number))).toMatchObject({
      kind: "codec",
      direction: "encode",
    })
    expect(await failure(callTyped(a, null, double, 1))).toMatchObject({ kind: "no-route" })
  })
})
