import { describe, expect, it } from "vitest"
import { encodeRpc, RPC_FLAGS, type RpcFrame } from "../wire/rpc-frame.ts"
import { RpcAppError } from "./status.ts"
import { failure, nodeId, settle, TestNet, text, words } from "./test-net.ts"

const [A, B, C] = [nodeId(1), nodeId(2), nodeId(3)] as const

function pair() {
  const net = new TestNet()
  const [a, b] = [net.node(1), net.node(2)]
  return { net, a, b, session: net.join(1, 2) }
}

async function all(items: AsyncIterable<Uint8Array>): Promise<string[]> {
  const out: string[] = []
  for await (const item of items) out.push(words(item))
  return out
}

describe("calls", () => {
  it("answer in all four shapes", async () => {
    const { a, b } = pair()
    b.serve("Upper", async (context, body) => ({
      headers: { "X-Caller": context.caller },
      body: text(words(body).toUpperCase()),
    }))
    b.serveStreaming("count", async (_context, body, sink) => {
      for (let i = 1; i <= Number(words(body)); i++) await sink.write(text(`${i}`))
    })
    b.serveClientStream("join", async (_context, items) => text((await all(items)).join("+")))
    b.serveDuplex("echo", async (_context, items, sink) => {
      for await (const item of items) await sink.write(item)
    })

    const reply = await a.call(B, "upper", text("hello"))
    expect([words(reply.body), reply.headers.map(({ name, value }) => [name, words(value)])]).toEqual([
      "HELLO",
      [["x-caller", A]],
    ])
    expect(await all(a.callStreaming(B, "count", text("100")))).toHaveLength(100)
    const upload = a.callClientStream(B, "join")
    for (let i = 0; i < 50; i++) await upload.write(text(`${i}`))
    expect(words((await upload.finish()).body)).toBe(Array.from({ length: 50 }, (_, i) => i).join("+"))
    const { sink, stream } = a.callDuplex(B, "echo")
    const heard = all(stream)
    for (const word of ["a", "", "c"]) await sink.write(text(word))
    await sink.end()
    expect(await heard).toEqual(["a", "", "c"])
  })

  it("count both ends as partners while they run, and no longer", async () => {
    const { net, a, b } = pair()
    const waiting: (() => void)[] = []
    b.serve("slow", () => new Promise((resolve) => void waiting.push(() => resolve(text("done")))))
    net.node(3)
    net.join(1, 3)
    expect([...a.partners, ...b.partners]).toEqual([])
    const reply = a.call(B, "slow", text(""))
    await settle()
    expect([[...a.partners], [...b.partners]]).toEqual([[B], [A]])
    for (const finish of waiting) finish()
    await reply
    await settle()
    expect([...a.partners, ...b.partners]).toEqual([])
  })

  it("prefer a session without anybody in between, whichever came last", async () => {
    const net = new TestNet()
    const a = net.node(1)
    const sent: string[] = []
    const session = (name: string, direct: boolean) => ({
      peer: B,
      entity: new Uint8Array(32),
      direct,
      send: () => sent.push(name),
      bufferedAmount: () => 0,
    })
    a.attach(session("routed", false))
    const inlet = a.attach(session("direct", true))
    a.attach(session("routed later", false))
    const first = failure(a.call(B, "x", text("")))
    await settle()
    inlet.close()
    void failure(a.call(B, "x", text("")))
    await settle()
    expect(sent).toEqual(["direct", "routed later"])
    expect(await first).toMatchObject({ kind: "transport" })
  })

  it("reach the node itself by the same path", async () => {
    const { a } = pair()
    a.serve("me", async (context) => text(context.caller))
    expect(words((await a.call(A, "me", text(""))).body)).toBe(A)
  })

  it("RPC-R11: take an empty item for an item only where the rules say so", async () => {
    const { b, net, session } = pair()
    const seen: string[][] = []
    b.serveClientStream("items", async (_context, items) => {
      seen.push(await all(items))
      return text("")
    })
    const [C, END] = [RPC_FLAGS.clientStreaming, RPC_FLAGS.requestEnd]
    let callId = 100n
    const send = (frames: [number, number, string][]) => {
      callId += 1n
      for (const [seq, flags, body] of frames) {
        const head = { seq, callId, body: text(body) }
        const frame: RpcFrame =
          seq === 0
            ? { kind: "request", flags: flags | C, service: "items", timeoutMs: 0, responseWindow: 0, headers: [], ...head }
            : { kind: "chunk", flags, ...head }
        session.inlet(B).receive(encodeRpc(frame))
      }
      return settle()
    }
    await send([[0, END, ""]])
    await send([[0, END, "a"]])
    await send([
      [0, 0, "a"],
      [1, END, ""],
    ])
    await send([
      [0, 0, ""],
      [1, 0, ""],
      [2, END, ""],
    ])
    await send([
      [0, 0, "a"],
      [1, 0, "b"],
      [2, END, "c"],
    ])
    expect(seen).toEqual([[], ["a"], ["a"], [""], ["a", "b", "c"]])
    expect(net.events.filter(({ at }) => at === B).map(({ outcome }) => outcome)).toEqual(Array(5).fill("ok"))
  })

  it("tell failures apart", async () => {
    const { a, b } = pair()
    b.serve("app", async () => Promise.reject(new RpcAppError(0x8001, "busy")))
    b.serve("bad-app", async () => Promise.reject(new RpcAppError(7, "busy")))
    b.serve("throws", async () => Promise.reject(new Error("oops")))
    b.serve("huge", async () => new Uint8Array(4_194_305))
    expect(await failure(a.call(B, "app", text("")))).toEqual({ kind: "server-error", status: 0x8001, message: "busy" })
    expect(await failure(a.call(B, "bad-app", text("")))).toMatchObject({ status: 6 })
    expect(await failure(a.call(B, "throws", text("")))).toEqual({ kind: "server-error", status: 6, message: "oops" })
    expect(await failure(a.call(B, "huge", text("")))).toMatchObject({ status: 6 })
    expect(await failure(a.call(B, "nothing", text("")))).toMatchObject({ kind: "server-error", status: 1 })
    expect(await failure(a.call(C, "app", text("")))).toMatchObject({ kind: "no-route", target: C })
    expect(await failure(a.call(B, "No Name", text("")))).toMatchObject({ code: "InvalidChar" })
    expect(() => b.serve("APP", async () => text(""))).toThrow(expect.objectContaining({ code: "AlreadyServing" }))
  })

  it("RPC-R15: refuse another shape than the registered one", async () => {
    const { a, b } = pair()
    b.serve("unary", async () => text(""))
    expect(await failure(a.callClientStream(B, "unary").finish())).toMatchObject({ status: 6, message: "shape mismatch" })
    await expect(all(a.callStreaming(B, "unary", text("")))).rejects.toMatchObject({ failure: { message: "shape mismatch" } })
  })

  it("answer a request that does not decode when its head does", async () => {
    const { a, session } = pair()
    const bytes = encodeRpc({
      kind: "request",
      flags: 0,
      seq: 0,
      callId: 9n,
      service: "x",
      timeoutMs: 0,
      responseWindow: 0,
      headers: [],
      body: text(""),
    })
    session.inlet(B).receive(bytes.subarray(0, 20))
    session.inlet(B).receive(bytes.subarray(0, 15))
    session.inlet(B).receive(encodeRpc({ kind: "cancel", flags: 0, seq: 0, callId: 9n }))
    expect(session.log.map(({ frame }) => frame)).toMatchObject([{ kind: "response", callId: 9n, status: 7 }])
    expect(a.metrics.of("").counters.frames_ignored_total).toBe(0)
  })

  it("RPC-R3: leave a call alone when another peer answers it", async () => {
    const { net, a, b, session } = pair()
    net.node(3)
    const other = net.join(1, 3)
    let finish = () => {}
    b.serve("slow", () => new Promise((resolve) => (finish = () => resolve(text("right")))))
    const reply = a.call(B, "slow", text(""))
    await settle()
    const { callId } = session.log[0]!.frame
    const forged: RpcFrame[] = [
      { kind: "response", flags: 0, seq: 0, callId, status: 0, headers: [], body: text("wrong") },
      { kind: "deadline-exceeded", flags: 0, seq: 0, callId },
      { kind: "request-grant", flags: 0, seq: 0, callId, credits: 1 },
    ]
    for (const frame of forged) other.inlet(A).receive(encodeRpc(frame))
    finish()
    expect(words((await reply).body)).toBe("right")
    expect(a.metrics.of("slow").counters.rpc_response_wrong_peer_total).toBe(3)
  })

  it("RPC-R4: answer a repeated id of a running call without disturbing it", async () => {
    const { b, session } = pair()
    const seen: string[] = []
    let finish = () => {}
    b.serve("slow", (_context, body) => {
      seen.push(words(body))
      return new Promise((resolve) => (finish = () => resolve(text("done"))))
    })
    const request = (body: string): RpcFrame => ({
      kind: "request",
      flags: 0,
      seq: 0,
      callId: 5n,
      service: "slow",
      timeoutMs: 0,
      responseWindow: 0,
      headers: [],
      body: text(body),
    })
    session.inlet(B).receive(encodeRpc(request("first")))
    session.inlet(B).receive(encodeRpc(request("second")))
    await settle()
    finish()
    await settle()
    expect(seen).toEqual(["first"])
    expect(session.log.map(({ frame }) => frame.kind === "response" && [frame.status, words(frame.body)])).toEqual([
      [6, "duplicate call"],
      [0, "done"],
    ])
  })

  it("RPC-R10: end on a gap and on a repeat, at whichever side sees it", async () => {
    for (const seq of [0, 2]) {
      const { a, b, session } = pair()
      let aborted = false
      b.serveStreaming("stream", async (context, _body, sink) => {
        await sink.write(text("0"))
        await new Promise((resolve) => context.signal.addEventListener("abort", resolve))
        aborted = true
      })
      const stream = a.callStreaming(B, "stream", text(""))
      expect(words((await stream.next()).value!)).toBe("0")
      const { callId } = session.log[0]!.frame
      const forged: RpcFrame = {
        kind: "response",
        flags: RPC_FLAGS.responseContinue,
        seq,
        callId,
        status: 0,
        headers: [],
        body: text("x"),
      }
      session.inlet(A).receive(encodeRpc(forged))
      expect(await failure(stream.next())).toEqual({ kind: "server-error", status: 6, message: "sequence gap" })
      await settle()
      expect(aborted).toBe(true)
    }
    for (const seq of [1, 3]) {
      const { a, b, session } = pair()
      b.serveClientStream("join", async (_context, items) => text((await all(items)).join("")))
      const upload = a.callClientStream(B, "join")
      await upload.write(text("1"))
      const { callId } = session.log[0]!.frame
      session.hold = false
      session.inlet(B).receive(encodeRpc({ kind: "chunk", flags: 0, seq, callId, body: text("x") }))
      expect(await failure(upload.finish())).toMatchObject({ status: 6, message: "sequence gap" })
    }
  })

  it("RPC-R14: end with their session, handlers included", async () => {
    const { net, a, b, session } = pair()
    const reasons: unknown[] = []
    b.serve(
      "slow",
      (context) => new Promise((_, reject) => context.signal.addEventListener("abort", () => reject(context.signal.reason))),
    )
    b.serveDuplex("talk", async (context, items) => {
      context.signal.addEventListener("abort", () => reasons.push(context.signal.reason))
      await all(items)
    })
    const unary = failure(a.call(B, "slow", text("")))
    const duplex = a.callDuplex(B, "talk")
    await settle()
    session.close()
    expect(await unary).toEqual({ kind: "transport", message: "the session ended" })
    expect(await failure(duplex.stream.next())).toMatchObject({ kind: "transport" })
    expect(await failure(duplex.sink.write(text("")))).toMatchObject({ kind: "transport" })
    await settle()
    expect(reasons).toMatchObject([{ failure: { kind: "transport" } }])
    expect([a, b].map((node) => node.metrics.of("slow").counters.in_flight)).toEqual([0, 0])
    expect(b.metrics.of("slow").counters.handler_in_flight).toBe(0)
    expect(net.clock.pending).toBe(0)
  })

  it("keep running on their session when a newer one with the same peer opens", async () => {
    const { net, a, b, session } = pair()
    b.serve("slow", () => new Promise((resolve) => net.clock.after(10, () => resolve(text("old")))))
    const reply = a.call(B, "slow", text(""))
    await settle()
    const newer = net.join(1, 2)
    await net.clock.pass(10)
    expect(words((await reply).body)).toBe("old")
    await Promise.all([a.call(B, "slow", text("")), net.clock.pass(20)])
    expect(newer.log).toHaveLength(2)
    newer.close()
    await Promise.all([a.call(B, "slow", text("")), net.clock.pass(20)])
    expect(session.log.filter(({ frame }) => frame.kind === "request")).toHaveLength(2)
  })

  it("end when their session refuses bytes", async () => {
    const { net, a, b } = pair()
    b.serve("echo", async (_context, body) => body)
    const inlet = a.attach({
      peer: C,
      entity: new Uint8Array(32),
      bufferedAmount: () => 0,
      send: () => {
        throw new Error("full")
      },
    })
    expect(await failure(a.call(C, "echo", text("")))).toEqual({ kind: "transport", message: "the session ended" })
    expect(await failure(a.call(C, "echo", text("")))).toMatchObject({ kind: "no-route" })
    inlet.close()
    expect(words((await a.call(B, "echo", text("x"))).body)).toBe("x")
    expect(net.clock.pending).toBe(0)
  })

  it("carry trace headers untouched", async () => {
    const { a, b, session } = pair()
    b.serve("trace", async (context) => text(JSON.stringify(context.trace)))
    const trace = { traceparent: "00-0af7651916cd43dd8448eb211c80319c-b7ad6b7169203331-01", tracestate: "a=1" }
    expect(JSON.parse(words((await a.call(B, "trace", text(""), { trace })).body))).toEqual(trace)
    expect(session.log[0]!.frame.flags & RPC_FLAGS.propagateTrace).not.toBe(0)
  })

  it("are told about once each, with their bytes", async () => {
    const { net, a, b } = pair()
    b.serve("echo", async (_context, body) => body)
    await a.call(B, "echo", text("12"))
    const call = { service: "echo", status: 0, outcome: "ok", durationMs: 0 }
    expect(net.events).toEqual([
      { at: B, direction: "in", peer: A, ...call, bytesIn: 36, bytesOut: 25 },
      { at: A, direction: "out", peer: B, ...call, bytesIn: 25, bytesOut: 36 },
    ])
  })
})
