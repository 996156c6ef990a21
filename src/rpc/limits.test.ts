/** Time, cancellation, queues and gates of calls, on a clock that stands still. */
import { describe, expect, it } from "vitest"
import { encodeRpc, type RpcFrame } from "../wire/rpc-frame.ts"
import { failure, nodeId, settle, TestNet, text, words } from "./test-net.ts"

const [A, B, C] = [nodeId(1), nodeId(2), nodeId(3)] as const

function pair() {
  const net = new TestNet()
  const [a, b] = [net.node(1), net.node(2)]
  return { net, a, b, session: net.join(1, 2) }
}

function request(callId: bigint, service: string): RpcFrame {
  return { kind: "request", flags: 0, seq: 0, callId, service, timeoutMs: 0, responseWindow: 0, headers: [], body: text("") }
}

const forever = () => new Promise<never>(() => {})

describe("RPC-R8: deadlines and cancellation", () => {
  it("end the call at both ends when the time is up", async () => {
    const { net, a, b, session } = pair()
    let reason: unknown
    b.serve("slow", (context) => {
      expect(context.deadlineMs).toBe(1_250)
      context.signal.addEventListener("abort", () => (reason = context.signal.reason))
      return forever()
    })
    const failed = failure(a.call(B, "slow", text(""), { timeoutMs: 250 }))
    await settle()
    session.hold = true
    await net.clock.pass(250)
    expect(await failed).toEqual({ kind: "timeout", elapsedMs: 250 })
    expect(reason).toMatchObject({ failure: { kind: "timeout" } })
    expect(session.log.map(({ frame }) => frame.kind).sort()).toEqual(["cancel", "deadline-exceeded", "request"])
  })

  it("bound a call whose caller set no limit", async () => {
    const { net, a, b } = pair()
    b.serve("slow", (context) => {
      expect(context.deadlineMs).toBeNull()
      return forever()
    })
    const failed = failure(a.call(B, "slow", text("")))
    await net.clock.pass(300_000)
    expect(await failed).toEqual({ kind: "timeout", elapsedMs: 300_000 })
  })

  it("answer Timeout when the handler never came to its turn", async () => {
    const { net, b, session } = pair()
    b.serve("slow", forever, { concurrency: 1 })
    for (const callId of [1n, 2n]) session.inlet(B).receive(encodeRpc({ ...request(callId, "slow"), timeoutMs: 100 } as RpcFrame))
    await net.clock.pass(100)
    expect(session.log.map(({ frame }) => [frame.callId, frame.kind, "status" in frame && frame.status])).toEqual([
      [1n, "deadline-exceeded", false],
      [2n, "response", 3],
    ])
    expect(b.metrics.of("slow").counters.handler_invocations_total).toBe(1)
  })

  it("clamp budgets beyond a day", async () => {
    const { a, b, session } = pair()
    b.serve("x", async () => text(""))
    await a.call(B, "x", text(""), { timeoutMs: 2 ** 40 })
    expect(session.log[0]?.frame).toMatchObject({ timeoutMs: 86_400_000 })
    expect(await failure(a.call(B, "x", text(""), { timeoutMs: 0 }))).toMatchObject({ kind: "timeout" })
  })

  it("send CANCEL exactly once for a signal and for a stream that is left", async () => {
    const { a, b, session } = pair()
    let aborts = 0
    const watch = (signal: AbortSignal) => signal.addEventListener("abort", () => (aborts += 1))
    b.serve("slow", (context) => {
      watch(context.signal)
      return forever()
    })
    b.serveStreaming("endless", async (context, _body, sink) => {
      watch(context.signal)
      for (;;) await sink.write(text("x"))
    })
    const abort = new AbortController()
    const failed = failure(a.call(B, "slow", text(""), { signal: abort.signal }))
    await settle()
    abort.abort()
    expect(await failed).toEqual({ kind: "cancelled" })
    for await (const _item of a.callStreaming(B, "endless", text(""))) break
    await settle()
    expect(session.log.filter(({ frame }) => frame.kind === "cancel")).toHaveLength(2)
    expect(aborts).toBe(2)
    expect(b.metrics.of("endless").counters.handler_in_flight).toBe(0)
    expect(await failure(a.call(B, "slow", text(""), { signal: AbortSignal.abort() }))).toEqual({ kind: "cancelled" })
  })

  it("keep a duplex call until both of its halves are given up", async () => {
    const { a, b, session } = pair()
    b.serveDuplex("echo", async (_context, items, sink) => {
      for await (const item of items) await sink.write(item)
    })
    const { sink, stream } = a.callDuplex(B, "echo")
    await sink.write(text("1"))
    expect(words((await stream.next()).value!)).toBe("1")
    sink.abort()
    await settle()
    expect(session.log.some(({ frame }) => frame.kind === "cancel")).toBe(false)
    await stream.return!()
    expect(session.log.filter(({ frame }) => frame.kind === "cancel")).toHaveLength(1)
  })
})

describe("flow control", () => {
  it("RPC-R7: lets a slow reader lose nothing and hold no more than its window", async () => {
    const { a, b, session } = pair()
    let written = 0
    b.serveStreaming("count", async (_context, _body, sink) => {
      for (; written < 500; written++) await sink.write(text(`${written}`))
    })
    const stream = a.callStreaming(B, "count", text(""), { window: 4 })
    await settle()
    expect(written).toBe(4)
    const seen: number[] = []
    for await (const item of stream) {
      seen.push(Number(words(item)))
      if (seen.length % 50 === 0) await settle()
      expect(written - seen.length).toBeLessThanOrEqual(4)
    }
    expect(seen).toEqual(Array.from({ length: 500 }, (_, i) => i))
    // Half a window at a time: far fewer grants than items.
    expect(session.log.filter(({ frame }) => frame.kind === "grant").length).toBeLessThanOrEqual(251)
  })

  it("waits for space on the session and goes on when it drained", async () => {
    const { a, b, session } = pair()
    b.serveClientStream("join", async (_context, items) => {
      let count = 0
      for await (const _item of items) count++
      return text(`${count}`)
    })
    const upload = a.callClientStream(B, "join")
    await upload.write(text("1"))
    session.buffered.set(A, 1_048_577)
    let written = false
    const write = upload.write(text("2")).then(() => (written = true))
    await settle()
    expect(written).toBe(false)
    session.buffered.set(A, 262_145)
    session.inlet(A).drained()
    await settle()
    expect(written).toBe(false)
    session.buffered.set(A, 262_144)
    session.inlet(A).drained()
    await write
    expect(words((await upload.finish()).body)).toBe("2")
  })

  it("refuses a stream's item above the limit", async () => {
    const { a, b } = pair()
    b.serveClientStream("join", async () => text(""))
    await expect(a.callClientStream(B, "join").write(new Uint8Array(65_537))).rejects.toMatchObject({ code: "TooLarge" })
  })
})

describe("bounds", () => {
  it("answer Backpressure to the 129th call of one caller, not to another's", async () => {
    const { net, b, session } = pair()
    net.node(3)
    const other = net.join(3, 2)
    b.serve("slow", forever)
    for (let i = 1n; i <= 130n; i++) session.inlet(B).receive(encodeRpc(request(i, "slow")))
    expect(session.log.map(({ frame }) => "status" in frame && frame.status)).toEqual([4, 4])
    other.inlet(B).receive(encodeRpc(request(1n, "slow")))
    expect(other.log).toEqual([])
    // A cancelled call whose handler goes on keeps its place.
    session.inlet(B).receive(encodeRpc({ kind: "cancel", flags: 0, seq: 0, callId: 1n }))
    session.inlet(B).receive(encodeRpc(request(500n, "slow")))
    await settle()
    expect(session.log.map(({ frame }) => "status" in frame && frame.status)).toEqual([4, 4, 4, 5])
  })

  it("free the place when the handler has returned", async () => {
    const { a, b } = pair()
    b.serve("echo", async (_context, body) => body)
    for (let round = 0; round < 3; round++) {
      await Promise.all(Array.from({ length: 128 }, () => a.call(B, "echo", text("x"))))
    }
    expect(b.metrics.of("echo").counters.handler_in_flight).toBe(0)
  })

  it("RPC-R5: send answers in the order of completion, drop beyond the queue, and end with it", async () => {
    const { net, b, session } = pair()
    const finish = new Map<string, () => void>()
    const handle = b.serve(
      "slow",
      (context) => new Promise((resolve) => finish.set(`${context.callId}`, () => resolve(text(`${context.callId}`)))),
    )
    for (const id of [1n, 2n, 3n]) session.inlet(B).receive(encodeRpc(request(id, "slow")))
    await settle()
    for (const id of ["3", "1", "2"]) {
      finish.get(id)!()
      await Promise.resolve()
    }
    await settle()
    expect(session.log.map(({ frame }) => frame.callId)).toEqual([3n, 1n, 2n])

    session.inlet(B).receive(encodeRpc(request(4n, "slow")))
    session.buffered.set(B, 2_000_000)
    handle.dispose()
    let drained = false
    void handle.drained.then(() => (drained = true))
    finish.get("4")!()
    await settle()
    expect([drained, session.log.length]).toEqual([false, 3])
    session.buffered.set(B, 0)
    session.inlet(B).drained()
    await settle()
    expect([drained, session.log.length]).toEqual([true, 4])
    expect(net.clock.pending).toBe(0)
  })

  it("answer a refused flood only while the flooder reads", async () => {
    const { b, session } = pair()
    session.buffered.set(B, 2_000_000)
    for (let i = 1n; i <= 100n; i++) session.inlet(B).receive(encodeRpc(request(i, "nothing")))
    expect(session.log).toEqual([])
    expect(b.metrics.of("").counters.refusals_dropped_total).toBe(100)
  })
})

describe("the callee's gate", () => {
  it("stands before all four shapes and creates nothing for who is refused", async () => {
    const net = new TestNet()
    const asked: [string, string][] = []
    const b = net.node(2, { admits: (service, caller) => asked.push([service, caller]) > 0 && caller !== A })
    const [a, c] = [net.node(1), net.node(3)]
    net.join(1, 2)
    net.join(3, 2)
    let ran = 0
    const run = async () => {
      ran += 1
      return text("ok")
    }
    b.serve("u", run)
    b.serveClientStream("c", run)
    b.serveStreaming("s", async () => void (await run()))
    b.serveDuplex("d", async () => void (await run()))
    const denied = { kind: "capability-denied", target: B }
    expect(await failure(a.call(B, "u", text("")))).toEqual({ ...denied, capability: "u" })
    expect(await failure(a.callClientStream(B, "c").finish())).toEqual({ ...denied, capability: "c" })
    expect(await failure(a.callStreaming(B, "s", text("")).next())).toEqual({ ...denied, capability: "s" })
    expect(await failure(a.callDuplex(B, "d").stream.next())).toEqual({ ...denied, capability: "d" })
    expect(ran).toBe(0)
    expect(words((await c.call(B, "u", text(""))).body)).toBe("ok")
    expect(asked.map(([, caller]) => caller)).toEqual([A, A, A, A, C])
    expect(["u", "c", "s", "d"].map((name) => b.metrics.of(name).counters.capability_denied_callee_side)).toEqual([1, 1, 1, 1])
  })

  it("falls silent after 64 refusals in 10 s", async () => {
    const net = new TestNet()
    const b = net.node(2, { admits: () => false })
    net.node(1)
    const session = net.join(1, 2)
    b.serve("x", async () => text(""))
    for (let i = 1n; i <= 70n; i++) session.inlet(B).receive(encodeRpc(request(i, "x")))
    expect(session.log).toHaveLength(64)
    expect(session.log[0]?.frame).toMatchObject({ status: 8, headers: [], body: text("capability denied: nrpc:x") })
    await net.clock.pass(10_000)
    session.inlet(B).receive(encodeRpc(request(71n, "x")))
    expect(session.log).toHaveLength(65)
  })

  it("ends running calls when the policy turns against them", async () => {
    const net = new TestNet()
    let open = true
    const b = net.node(2, { admits: () => open })
    const a = net.node(1)
    net.join(1, 2)
    let reason: unknown
    b.serveDuplex("talk", async (context, items) => {
      context.signal.addEventListener("abort", () => (reason = context.signal.reason))
      for await (const _item of items);
    })
    const { stream } = a.callDuplex(B, "talk")
    await settle()
    open = false
    b.policyChanged()
    expect(await failure(stream.next())).toEqual({ kind: "capability-denied", target: B, capability: "talk" })
    expect(reason).toMatchObject({ failure: { kind: "capability-denied" } })
  })

  it("is told of a service before anybody can reach it, and of its end", () => {
    const net = new TestNet()
    const log: string[] = []
    const b = net.node(2, {
      onServe: (name) => {
        if (name === "bad") throw new Error("no policy")
        log.push(`+${name}`)
      },
      onUnserve: (name) => log.push(`-${name}`),
    })
    const handle = b.serve("x", async () => text(""))
    expect(() => b.serve("bad", async () => text(""))).toThrow("no policy")
    handle.dispose()
    handle.dispose()
    b.serve("x", async () => text(""))
    expect(log).toEqual(["+x", "-x", "+x"])
  })
})
