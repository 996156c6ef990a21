/** The two halves of a call against each other: a random network, random readers and writers, and the rules that must always hold. */
import fc from "fast-check"
import { describe, expect, it } from "vitest"
import { RPC_FLAGS, type RpcFrame, type RpcRequest } from "../wire/rpc-frame.ts"
import { type ClientAction, ClientCall } from "./client-call.ts"
import { type ServerAction, ServerCall } from "./server-call.ts"
import type { RpcShape } from "./shape.ts"
import { downloads, uploads } from "./shape.ts"

const callId = 77n
const item = (n: number) => Uint8Array.of(n & 0xff, n >> 8)
const numberOf = (bytes: Uint8Array) => (bytes[0] ?? 0) | ((bytes[1] ?? 0) << 8)

function clientOf(shape: RpcShape, window: number) {
  return new ClientCall({
    callId,
    target: "0000000000000002",
    service: "s",
    shape,
    deadlineAt: 1e6,
    startedAt: 0,
    window,
    headers: [],
    trace: false,
  })
}

/** How a client with this window begins. */
function requestFrame(responseWindow: number): RpcRequest {
  const rest = { timeoutMs: 0, headers: [], body: new Uint8Array() }
  return { kind: "request", flags: 0, seq: 0, callId, service: "s", responseWindow, ...rest }
}

class Side<Action extends { type: string }> {
  readonly inbox: RpcFrame[] = []
  readonly unread: number[] = []
  readonly read: number[] = []
  written = 0
  ended = false
  terminals = 0
  uploadEnds = 0
  aborted = false
  readonly peer: () => Side<ClientAction> | Side<ServerAction>

  constructor(peer: () => Side<ClientAction> | Side<ServerAction>) {
    this.peer = peer
  }

  take(actions: readonly Action[]): void {
    for (const action of actions as readonly (ClientAction | ServerAction)[]) {
      if (action.type === "send" || action.type === "reply") this.peer().inbox.push(action.frame)
      else if (action.type === "item") this.unread.push(numberOf(action.body))
      else if (action.type === "done" || action.type === "failed" || action.type === "finished") this.terminals += 1
      else if (action.type === "upload-end") this.uploadEnds += 1
      else if (action.type === "abort") this.aborted = true
    }
  }
}

describe("call machines", () => {
  it("lose and repeat no item, never send without credit, and end exactly once", () => {
    const world = fc.record({
      shape: fc.constantFrom<RpcShape>("unary", "server-stream", "client-stream", "duplex"),
      window: fc.integer({ min: 0, max: 9 }),
      uploadWindow: fc.integer({ min: 1, max: 40 }),
      firstItem: fc.boolean(),
      steps: fc.array(fc.integer({ min: 0, max: 11 }), { maxLength: 300 }),
      cancelAt: fc.option(fc.nat(300), { freq: 3 }),
    })
    fc.assert(
      fc.property(world, ({ shape, window, uploadWindow, firstItem, steps, cancelAt }) => {
        const client = clientOf(shape, window)
        let server: ServerCall | undefined
        const a: Side<ClientAction> = new Side(() => b)
        const b: Side<ServerAction> = new Side(() => a)
        a.take(client.open(firstItem && uploads(shape) ? item(a.written++) : new Uint8Array(), !uploads(shape), 0))
        const step = (kind: number) => {
          if (kind <= 1) {
            const frame = b.inbox.shift()
            if (frame?.kind === "request") {
              server = new ServerCall(frame, shape, { maxCallMs: 1_000, uploadWindow }, 0)
              b.take(server.admit())
              server.start()
            } else if (frame !== undefined) b.take(server?.receive(frame) ?? [])
          } else if (kind <= 3) {
            const frame = a.inbox.shift()
            if (frame !== undefined) a.take(client.receive(frame, 0))
          } else if (kind <= 5 && client.canWrite) a.take(client.write(item(a.written++)))
          else if (kind === 6 && server !== undefined && downloads(shape) && server.canWrite)
            b.take(server.write(item(b.written++)))
          else if (kind === 7) {
            const got = a.unread.shift()
            if (got !== undefined) {
              a.read.push(got)
              a.take(client.consumed())
            } else a.take(client.idle())
          } else if (kind === 8) {
            const got = b.unread.shift()
            if (got !== undefined) {
              b.read.push(got)
              b.take(server?.consumed() ?? [])
            } else b.take(server?.idle() ?? [])
          }
        }
        for (const [at, kind] of steps.entries()) {
          if (at === cancelAt) a.take(client.cancel())
          step(kind)
        }
        // Let everything end by itself: writers stop, readers read on.
        a.take(client.end())
        for (let round = 0; round < 40; round++) {
          for (const kind of [0, 0, 2, 2, 7, 7, 8, 8]) step(kind)
        }
        b.take(server?.succeed(new Uint8Array()) ?? [])
        for (let round = 0; round < 60; round++) for (const kind of [0, 2, 2, 7, 8]) step(kind)

        expect(a.terminals).toBe(1)
        expect(b.terminals).toBe(1)
        // An honest pair meets no protocol error: it aborts over a cancelled call and over nothing else.
        const cancelled = cancelAt !== null && cancelAt < steps.length
        if (!cancelled) {
          expect(b.aborted).toBe(false)
          expect(a.read).toEqual(Array.from({ length: b.written }, (_, i) => i))
          expect(b.read).toEqual(Array.from({ length: a.written }, (_, i) => i))
          expect(b.uploadEnds).toBe(uploads(shape) ? 1 : 0)
        } else {
          expect(a.read).toEqual(a.read.map((_, i) => i))
          expect(b.read).toEqual(b.read.map((_, i) => i))
        }
      }),
      { numRuns: 1_500 },
    )
  })

  it("take any frame at any time without more than one end", () => {
    const frames = fc.record({
      kind: fc.constantFrom<RpcFrame["kind"]>("response", "cancel", "deadline-exceeded", "grant", "chunk", "request-grant"),
      flags: fc.constantFrom(
        0,
        RPC_FLAGS.responseContinue,
        RPC_FLAGS.responseEnd,
        RPC_FLAGS.responseContinue | RPC_FLAGS.responseEnd,
        RPC_FLAGS.requestEnd,
      ),
      seq: fc.nat(4),
      status: fc.constantFrom(0, 0, 3, 6, 9, 0x8000),
      credits: fc.constantFrom(1, 5, 65_535),
      size: fc.nat(1),
    })
    const shapes = fc.constantFrom<RpcShape>("unary", "server-stream", "client-stream", "duplex")
    fc.assert(
      fc.property(shapes, fc.array(frames, { maxLength: 12 }), (shape, list) => {
        const client = clientOf(shape, 2)
        let ends = client.open(new Uint8Array(), !uploads(shape), 0).filter(({ type }) => type === "failed").length
        const server = new ServerCall(requestFrame(2), shape, { maxCallMs: 1_000, uploadWindow: 3 }, 0)
        server.admit()
        let finished = 0
        for (const { size, ...fields } of list) {
          const frame = { ...fields, callId, headers: [], body: new Uint8Array(size) } as RpcFrame
          ends += client.receive(frame, 0).filter(({ type }) => type === "done" || type === "failed").length
          finished += server.receive(frame).filter(({ type }) => type === "finished").length
        }
        ends += client.closed("").length
        finished += server.closed().filter(({ type }) => type === "finished").length
        expect([ends, finished, client.over, server.over]).toEqual([1, 1, true, true])
      }),
      { numRuns: 5_000 },
    )
  })

  it("RPC-R7: end a stream that overruns its credit, and refuse a grant beyond what can be outstanding", () => {
    const client = clientOf("server-stream", 2)
    client.open(new Uint8Array(), true, 0)
    const response = (seq: number): RpcFrame => ({
      kind: "response",
      flags: RPC_FLAGS.responseContinue,
      seq,
      callId,
      status: 0,
      headers: [],
      body: item(seq),
    })
    expect([0, 1].flatMap((seq) => client.receive(response(seq), 0)).map(({ type }) => type)).toEqual(["item", "item"])
    expect(client.receive(response(2), 0)).toMatchObject([
      { type: "send", frame: { kind: "cancel" } },
      { type: "failed", failure: { kind: "server-error", status: 4 } },
    ])

    const server = new ServerCall(requestFrame(0), "client-stream", { maxCallMs: 1_000, uploadWindow: 16 }, 0)
    expect(server.admit()).toEqual([])
    const chunk = (seq: number): RpcFrame => ({ kind: "chunk", flags: 0, seq, callId, body: item(seq) })
    for (let seq = 1; seq <= 16; seq++) expect(server.receive(chunk(seq))).toMatchObject([{ type: "item" }])
    expect(server.receive(chunk(17))).toMatchObject([
      { type: "abort", reason: "protocol" },
      { type: "reply", frame: { status: 4 } },
      { type: "finished", status: 4 },
    ])

    const uploading = clientOf("client-stream", 0)
    uploading.open(new Uint8Array(), false, 0)
    expect(uploading.receive({ kind: "request-grant", flags: 0, seq: 0, callId, credits: 65_519 }, 0)).toEqual([
      { type: "writable" },
    ])
    expect(uploading.receive({ kind: "request-grant", flags: 0, seq: 0, callId, credits: 1 }, 0)).toMatchObject([
      { frame: { kind: "cancel" } },
      { failure: { status: 6, message: "credit overflow" } },
    ])
  })

  it("RPC-R8: let CANCEL win over whatever the handler returns", () => {
    const server = new ServerCall(requestFrame(0), "unary", { maxCallMs: 1_000, uploadWindow: 1 }, 0)
    server.start()
    expect(server.receive({ kind: "cancel", flags: 0, seq: 0, callId })).toMatchObject([
      { type: "abort" },
      { frame: { status: 5 } },
      { status: 5 },
    ])
    expect(server.succeed(item(1))).toEqual([])
  })
})
