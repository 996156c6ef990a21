/** Whom a call by name goes to, and what happens when it fails: gate, policies, retries, hedges, breaker. */
import { describe, expect, it } from "vitest"
import { CircuitBreaker } from "./breaker.ts"
import { hedged } from "./hedge.ts"
import { DEFAULT_RETRY, RetrySchedule } from "./retry.ts"
import { Router, type RoutingPolicy, type RpcDirectory, stickyChoice } from "./routing.ts"
import { RpcError, type RpcFailure, retryable } from "./status.ts"
import { failure, nodeId, settle, TestClock, TestNet, text, words } from "./test-net.ts"

const ids = (...numbers: number[]) => numbers.map(nodeId)
/** The gate as the capabilities answer it; its own tests are there. */
const directory = (providers: number[], allowed: number[]): RpcDirectory => ({
  candidates(service) {
    const offering = service === "echo" ? ids(...providers) : []
    const nodes = offering.filter((node) => ids(...allowed).includes(node))
    if (offering[0] === undefined) return { kind: "no-route" }
    return nodes.length > 0
      ? { kind: "candidates", nodes }
      : { kind: "capability-denied", target: offering[0], capability: service }
  },
})
const transport: RpcFailure = { kind: "transport", message: "" }

describe("RPC-R12: routing policies", () => {
  it("take turns, also among concurrent calls; draw; keep to a key; prefer the nearest", () => {
    const router = new Router(() => 0.999_999)
    const nodes = ids(1, 2, 3)
    expect(Array.from({ length: 4 }, () => router.choose({ kind: "round-robin" }, nodes))).toEqual(ids(1, 2, 3, 1))
    expect(router.choose({ kind: "round-robin" }, ids(7))).toBe(nodeId(7))
    expect(router.choose({ kind: "random" }, nodes)).toBe(nodeId(3))
    expect(new Router(() => 0).choose({ kind: "random" }, nodes)).toBe(nodeId(1))
    expect(router.choose({ kind: "sticky", key: 5n }, ["047e8b2117aa69b3", "652f03ba688dde03"])).toBe("652f03ba688dde03")
    const rtt = new Map([
      [nodeId(2), 20],
      [nodeId(3), 10],
    ])
    expect(router.choose({ kind: "lowest-latency" }, nodes, (node) => rtt.get(node))).toBe(nodeId(3))
    expect(router.choose({ kind: "lowest-latency" }, nodes)).toBe(nodeId(1))
  })

  it("moves only the keys of the node that left", () => {
    const nodes = Array.from({ length: 8 }, (_, i) => nodeId(0x1000 + i * 77))
    const gone = nodes[3]!
    const left = nodes.filter((node) => node !== gone)
    let moved = 0
    for (let key = 0n; key < 1_000n; key++) {
      const before = stickyChoice(key, nodes)
      const after = stickyChoice(key, left)
      if (before === gone) moved += 1
      else expect(after).toBe(before)
    }
    expect(moved).toBeGreaterThan(60)
    expect(moved).toBeLessThan(200)
    expect(stickyChoice(1n, [])).toBeUndefined()
  })

  it("AUTH-R4: every policy asks the one node that lets us in", async () => {
    const policies: RoutingPolicy[] = [
      { kind: "round-robin" },
      { kind: "random" },
      { kind: "sticky", key: 1n },
      { kind: "lowest-latency" },
    ]
    const net = new TestNet()
    const a = net.node(1, { directory: directory([2, 3, 4], [4]) })
    for (const n of [2, 3, 4]) {
      net.node(n).serve("echo", async () => text(`${n}`))
      net.join(1, n)
    }
    for (const policy of policies) expect(words((await a.callService("echo", text(""), { policy })).body)).toBe("4")
    const strict = new TestNet().node(1, { directory: directory([2], []) })
    expect(await failure(strict.callService("echo", text("")))).toEqual({
      kind: "capability-denied",
      target: nodeId(2),
      capability: "echo",
    })
    expect(strict.metrics.of("echo").counters.capability_denied_caller_side).toBe(1)
    expect(await failure(strict.callService("other", text("")))).toMatchObject({ kind: "no-route", target: null })
    expect(await failure(strict.callServiceStreaming("echo", text("")).next())).toMatchObject({ kind: "capability-denied" })
    expect(await failure(strict.callServiceClientStream("echo").finish())).toMatchObject({ kind: "capability-denied" })
    expect(await failure(strict.callServiceDuplex("echo").stream.next())).toMatchObject({ kind: "capability-denied" })
  })
})

describe("retries", () => {
  it("follow the table", () => {
    const server = (status: number): RpcFailure => ({ kind: "server-error", status, message: "" })
    expect([3, 4, 6].map((status) => retryable(server(status)))).toEqual([true, true, true])
    expect([1, 2, 5, 7, 8, 9, 0x7fff, 0x8000, 0xffff].some((status) => retryable(server(status)))).toBe(false)
    expect([transport, { kind: "timeout", elapsedMs: 1 } as const].every(retryable)).toBe(true)
  })

  it("pause longer each time, never above the maximum, shortened by at most a half", () => {
    const pauses = (random: number) => {
      const schedule = new RetrySchedule({ maxAttempts: 8 }, 0, () => random)
      return Array.from({ length: 8 }, () => schedule.next(transport, 0)).map((step) => (step.retry ? step.afterMs : -1))
    }
    expect(pauses(1)).toEqual([50, 100, 200, 400, 800, 1_000, 1_000, -1])
    expect(pauses(0)).toEqual([25, 50, 100, 200, 400, 500, 500, -1])
    const none = new RetrySchedule({ maxAttempts: 0 }, 0, Math.random)
    expect(none.next(transport, 0).retry).toBe(false)
    const denied: RpcFailure = { kind: "capability-denied", target: nodeId(1), capability: "x" }
    expect(new RetrySchedule({ retryable: () => true }, 0, Math.random).next(denied, 0).retry).toBe(false)
    expect(DEFAULT_RETRY.maxAttempts).toBe(3)
  })

  it("RPC-R9: start nothing later than 20 s after the first try", async () => {
    const net = new TestNet()
    const a = net.node(1)
    let tries = 0
    const b = net.node(2)
    b.serve("bad", async () => {
      tries += 1
      throw new Error("no")
    })
    const session = net.join(1, 2)
    const retry = { maxAttempts: 1_000, initialBackoffMs: 1_000, jitter: false }
    const failed = failure(a.call(nodeId(2), "bad", text(""), { retry }))
    await net.clock.pass(60_000)
    expect(await failed).toEqual({ kind: "transport", message: "saturated: no progress within 20000 ms" })
    expect(tries).toBe(21)
    // Waiting for space counts, also before anything was sent.
    session.buffered.set(nodeId(1), 2_000_000)
    const stuck = failure(a.call(nodeId(2), "bad", text(""), { retry: {} }))
    await net.clock.pass(20_000)
    expect(await stuck).toEqual({ kind: "transport", message: "saturated: no progress within 20000 ms" })
    expect(net.clock.pending).toBe(0)
  })

  it("ask another node the next time, share one budget, and stop at a signal", async () => {
    const net = new TestNet()
    const a = net.node(1, { directory: directory([2, 3], [2, 3]) })
    net.node(2).serve("echo", async () => Promise.reject(new Error("down")))
    net.node(3).serve("echo", async () => text("up"))
    net.join(1, 2)
    net.join(1, 3)
    const reply = a.callService("echo", text(""), { retry: {} })
    await net.clock.pass(100)
    expect(words((await reply).body)).toBe("up")
    const bad = { maxAttempts: 50, initialBackoffMs: 40, maxBackoffMs: 40, jitter: false }
    const failed = failure(a.call(nodeId(2), "echo", text(""), { retry: bad, timeoutMs: 100 }))
    await net.clock.pass(1_000)
    expect(await failed).toMatchObject({ kind: "server-error" })
    expect(net.events.filter(({ direction, peer }) => direction === "out" && peer === nodeId(2)).length).toBe(4)
    const abort = new AbortController()
    const stopped = failure(a.call(nodeId(2), "echo", text(""), { retry: bad, signal: abort.signal }))
    await settle()
    abort.abort()
    expect(await stopped).toEqual({ kind: "cancelled" })
  })
})

describe("wrappers", () => {
  it("hedge after a pause, cancel the loser, and report the first target's error", async () => {
    const clock = new TestClock()
    const log: string[] = []
    const attempt =
      (name: string, ms: number, fails = false) =>
      (signal: AbortSignal) => {
        log.push(name)
        signal.addEventListener("abort", () => log.push(`${name} cancelled`))
        return new Promise<string>((resolve, reject) => clock.after(ms, () => (fails ? reject(new Error(name)) : resolve(name))))
      }
    const won = hedged([attempt("a", 500), attempt("b", 10)], 50, clock)
    await clock.pass(100)
    expect([await won, log]).toEqual(["b", ["a", "b", "a cancelled"]])
    const lost = hedged([attempt("c", 60, true), attempt("d", 5, true)], 50, clock).catch((error: Error) => error.message)
    await clock.pass(100)
    expect(await lost).toBe("c")
    const quick = hedged([attempt("e", 1, true), attempt("f", 1)], 5_000, clock)
    await clock.pass(10)
    expect(await quick).toBe("f")
  })

  it("hedges a call at a second node that passed the gate", async () => {
    const net = new TestNet()
    const a = net.node(1, { directory: directory([2, 3, 4], [2, 4]) })
    let aborted = 0
    net.node(2).serve("echo", (context) => new Promise(() => context.signal.addEventListener("abort", () => (aborted += 1))))
    for (const n of [3, 4]) net.node(n).serve("echo", async () => text(`${n}`))
    for (const n of [2, 3, 4]) net.join(1, n)
    const reply = a.callService("echo", text(""), { hedge: true })
    await net.clock.pass(50)
    expect(words((await reply).body)).toBe("4")
    await settle()
    expect(aborted).toBe(1)
  })

  it("opens after five failures in a row, tries once after 30 s, closes on success", async () => {
    const clock = new TestClock()
    const breaker = new CircuitBreaker({}, clock)
    const fail = () => breaker.run(() => Promise.reject(new RpcError(transport)))
    for (let i = 0; i < 5; i++) expect(await failure(fail())).toEqual(transport)
    expect(await failure(fail())).toMatchObject({ kind: "no-route" })
    await clock.pass(30_000)
    expect(await failure(fail())).toEqual(transport)
    expect(breaker.open).toBe(true)
    await clock.pass(30_000)
    expect(await breaker.run(async () => 1)).toBe(1)
    expect(breaker.open).toBe(false)
    // A service that refuses works.
    for (let i = 0; i < 9; i++) await failure(breaker.run(() => Promise.reject(new RpcError({ kind: "cancelled" }))))
    expect(breaker.open).toBe(false)
  })
})
