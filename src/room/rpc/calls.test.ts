/** `room.rpc` as an application uses it, over real sessions: values and schemas, streams, lists, cancelling, long and slow bodies. */
import { afterEach, beforeEach, describe, expect, test, vi } from "vitest"
import { RpcAppError } from "../../rpc/index.ts"
import { all, failure, type TestLink, TestMesh, type TestPeer, text, words } from "./test-mesh.ts"
import type { RpcService, StandardSchema } from "./types.ts"

/** A busy machine takes its time. */
const soon = (check: () => unknown) => vi.waitFor(check, { timeout: 20_000 })

let mesh: TestMesh
let alice: TestPeer
let bob: TestPeer
let link: TestLink

beforeEach(async () => {
  mesh = new TestMesh()
  ;[alice, bob] = [await mesh.peer(), await mesh.peer()]
  link = await mesh.link(alice, bob)
})
afterEach(() => mesh.close())

const schema = <T>(is: (value: unknown) => value is T): StandardSchema<T> => ({
  "~standard": {
    version: 1,
    vendor: "test",
    validate: (value) => (is(value) ? { value } : { issues: [{ message: "does not fit" }] }),
  },
})
const isNumber = (value: unknown): value is number => typeof value === "number"
const isText = (value: unknown): value is string => typeof value === "string"
const spell: RpcService<number, string> = { name: "spell", input: schema(isNumber), output: schema(isText) }

describe("values", () => {
  test("are typed by schemas in every shape, and checked at both ends", async () => {
    alice.rpc.serve(spell, (n) => `${n + 1}`)
    alice.rpc.serveStream({ ...spell, name: "count" }, function* (n) {
      for (let i = 0; i < n; i++) yield `${i}`
    })
    alice.rpc.serveUpload({ ...spell, name: "sum" }, async (items) => `${(await all(items)).reduce((a, b) => a + b, 0)}`)
    alice.rpc.serveDuplex({ ...spell, name: "echo" }, async function* (items) {
      for await (const item of items) yield `${item}`
    })
    expect(await bob.rpc.call(alice.id, spell, 41)).toBe("42")
    expect(await all(bob.rpc.callStream(alice.id, { ...spell, name: "count" }, 3))).toEqual(["0", "1", "2"])
    expect(await bob.rpc.callUpload(alice.id, { ...spell, name: "sum" }, [1, 2, 3])).toBe("6")
    expect(await all(bob.rpc.callDuplex(alice.id, { ...spell, name: "echo" }, [7, 8]))).toEqual(["7", "8"])
  })

  test("that do not fit reach nobody", async () => {
    const ran = vi.fn(() => 5 as unknown as string)
    alice.rpc.serve(spell, ran)
    const anything: RpcService<unknown, unknown> = { name: "spell" }
    expect(await failure(bob.rpc.call(alice.id, anything, "no number"))).toMatchObject({ kind: "server-error", status: 7 })
    expect(ran).not.toHaveBeenCalled()
    expect(await failure(bob.rpc.call(alice.id, spell, 1))).toMatchObject({ kind: "codec", direction: "decode" })
    expect(await failure(bob.rpc.call(alice.id, anything, 1n))).toMatchObject({ kind: "codec", direction: "encode" })
    const up = { name: "up", input: schema(isNumber), output: schema(isText) }
    alice.rpc.serveUpload(up, async (items) => `${(await all(items)).length}`)
    const wrong: RpcService<unknown, unknown> = { name: "up" }
    expect(await failure(bob.rpc.callUpload(alice.id, wrong, [1, "two"]))).toMatchObject({ kind: "server-error", status: 7 })
  })

  test("bytes stay bytes: another type is refused before anything is sent", async () => {
    alice.rpc.serve("bytes", (body) => body)
    expect(await failure(bob.rpc.call(alice.id, "bytes", "text" as unknown as Uint8Array))).toMatchObject({ kind: "codec" })
    expect(alice.rpc.metrics.get("bytes")?.counters.handler_invocations_total).toBe(0)
  })
})

describe("who may call", () => {
  test("a list, a function and later another list; one that throws admits nobody", async () => {
    const cleo = await mesh.peer()
    await mesh.link(alice, cleo)
    const serving = alice.rpc.serve("door", () => text("in"), { allow: [bob.id] })
    const tries = async () => [
      await failure(bob.rpc.call(alice.id, "door", text(""))),
      await failure(cleo.rpc.call(alice.id, "door", text(""))),
    ]
    const refused = { kind: "capability-denied", target: alice.signer.nodeId, capability: "door" }
    expect(await tries()).toEqual(["no failure", refused])
    serving.allow((caller) => caller.id === cleo.id)
    expect(await tries()).toEqual([refused, "no failure"])
    serving.allow(() => {
      throw new Error("a mistake")
    })
    expect(await tries()).toEqual([refused, refused])
    serving.allow([])
    expect(await tries()).toEqual([refused, refused])
    serving.allow(undefined)
    expect(await tries()).toEqual(["no failure", "no failure"])
  })

  test("a list that became shorter ends what runs for others", async () => {
    const serving = alice.rpc.serveStream("ticks", async function* (_body, { signal }) {
      yield text("1")
      await new Promise<void>((resolve) => signal.addEventListener("abort", () => resolve()))
    })
    const stream = bob.rpc.callStream(alice.id, "ticks", text(""))
    expect((await stream.next()).done).toBe(false)
    serving.allow([])
    expect(await failure(stream.next())).toMatchObject({ kind: "capability-denied" })
  })

  test("nobody who is no member: neither before nor after", async () => {
    const stranger = await mesh.peer()
    const sessions = await mesh.link(alice, stranger, false)
    stranger.plane.classified(sessions.sessions[1].id, true)
    const ran = vi.fn(() => text(""))
    alice.rpc.serve("door", ran)
    const early = stranger.rpc.call(alice.id, "door", text(""), { timeoutMs: 200 })
    expect(await failure(early)).toMatchObject({ kind: "timeout" })
    expect([ran.mock.calls.length, alice.capabilities.of(stranger.id)]).toEqual([0, undefined])
    // What came early is answered as soon as the peer is a member here.
    const waiting = stranger.rpc.call(alice.id, "door", text(""))
    await new Promise((resolve) => setTimeout(resolve, 20))
    alice.plane.classified(sessions.sessions[0].id, true)
    await waiting
    await soon(() => expect(alice.capabilities.of(stranger.id)).toBeDefined())
    // Removed from the room: the session is still there for a moment.
    mesh.expel(stranger)
    expect(await failure(stranger.plane.rpc.call(alice.signer.nodeId, "door", text("")))).toMatchObject({
      kind: "capability-denied",
    })
    alice.plane.classified(sessions.sessions[0].id, false)
    expect(alice.plane.neighbours.has(stranger.signer.nodeId)).toBe(false)
  })
})

describe("streams", () => {
  test("a loop that is left cancels the call and ends the generator of the handler", async () => {
    let ended = false
    alice.rpc.serveStream("forever", async function* () {
      try {
        for (let i = 0; ; i++) yield text(`${i}`)
      } finally {
        ended = true
      }
    })
    for await (const item of bob.rpc.callStream(alice.id, "forever", text(""))) if (words(item) === "40") break
    await soon(() => expect(ended).toBe(true))
  })

  test("an upload follows the callee's answer, the caller's signal, and its own source", async () => {
    let closed = 0
    const endless = async function* () {
      try {
        for (;;) yield text("x")
      } finally {
        closed++
      }
    }
    const silent = async function* () {
      await new Promise<void>(() => {})
      yield text("")
    }
    alice.rpc.serveUpload("first", async (items) => {
      for await (const item of items) return item
      return text("none")
    })
    expect(words(await bob.rpc.callUpload(alice.id, "first", endless()))).toBe("x")
    await soon(() => expect(closed).toBe(1))
    alice.rpc.serveUpload("refuses", async () => {
      throw new RpcAppError(0x8001, "busy")
    })
    // The source says nothing at all: the answer comes through nevertheless.
    expect(await failure(bob.rpc.callUpload(alice.id, "refuses", silent()))).toMatchObject({ status: 0x8001, message: "busy" })
    let aborted = false
    const stop = new AbortController()
    alice.rpc.serveUpload("waits", async (items, { signal }) => {
      signal.addEventListener("abort", () => {
        aborted = true
      })
      setTimeout(() => stop.abort())
      await all(items)
      return text("")
    })
    const call = bob.rpc.callUpload(alice.id, "waits", silent(), { signal: stop.signal })
    expect(await failure(call)).toEqual({ kind: "cancelled" })
    await soon(() => expect(aborted).toBe(true))
    aborted = false
    const broken = async function* () {
      yield text("a")
      throw new RangeError("the source broke")
    }
    await expect(bob.rpc.callUpload(alice.id, "waits", broken())).rejects.toThrow("the source broke")
    await soon(() => expect(aborted).toBe(true))
    const reading = bob.rpc.callDuplex(alice.id, "none", broken())
    expect(await failure(reading.next())).toMatchObject({ kind: "server-error", status: 1 })
  })

  test("both ways: the source's mistake is what the reader hears; leaving ends everything", async () => {
    let aborted = 0
    alice.rpc.serveDuplex("echo", async function* (items, { signal }) {
      signal.addEventListener("abort", () => aborted++)
      for await (const item of items) yield item
    })
    const broken = async function* () {
      yield text("a")
      throw new RangeError("the source broke")
    }
    await expect(all(bob.rpc.callDuplex(alice.id, "echo", broken()))).rejects.toThrow("the source broke")
    await soon(() => expect(aborted).toBe(1))
    const endless = async function* () {
      for (let i = 0; ; i++) yield text(`${i}`)
    }
    for await (const item of bob.rpc.callDuplex(alice.id, "echo", endless())) if (words(item) === "99") break
    await soon(() => expect(aborted).toBe(2))
  })

  test("a long request keeps its place among the frames of its call", async () => {
    const sizes: number[] = []
    alice.rpc.serveUpload("sizes", async (items) => {
      for await (const item of items) sizes.push(item.length)
      return text("")
    })
    const lengths = [65_536, 1, 40_000, 0, 16_000, 65_536, 2]
    await bob.rpc.callUpload(
      alice.id,
      "sizes",
      lengths.map((length) => new Uint8Array(length)),
    )
    expect(sizes).toEqual(lengths)
    alice.rpc.serve("big", (body) => body)
    const body = crypto.getRandomValues(new Uint8Array(60_000))
    const [big, small] = await Promise.all([
      bob.rpc.call(alice.id, "big", new Uint8Array(4_000_000)),
      bob.rpc.call(alice.id, "big", body),
    ])
    expect([big.length, small]).toEqual([4_000_000, body])
  })
})

describe("sessions", () => {
  test("a channel that takes nothing holds calls back, and they go on afterwards", async () => {
    alice.rpc.serve("echo", (body) => body)
    link.stalled = true
    const call = bob.rpc.call(alice.id, "echo", text("late"))
    await new Promise((resolve) => setTimeout(resolve, 30))
    expect(alice.rpc.metrics.get("echo")?.counters.handler_invocations_total).toBe(0)
    link.release()
    expect(words(await call)).toBe("late")
  })

  test("the end of a session ends its calls, at both ends", async () => {
    let aborted = false
    const began = vi.fn()
    alice.rpc.serve("wait", (_body, { signal }) => {
      began()
      return new Promise((resolve) => {
        signal.addEventListener("abort", () => {
          aborted = true
          resolve(text(""))
        })
      })
    })
    const call = bob.rpc.call(alice.id, "wait", text(""))
    await soon(() => expect(began).toHaveBeenCalled())
    link.close()
    expect(await failure(call)).toMatchObject({ kind: "transport" })
    expect(aborted).toBe(true)
    expect(await failure(bob.rpc.call(alice.id, "wait", text(""), { timeoutMs: 50 }))).toMatchObject({ kind: "no-route" })
  })

  test("a member two links away gets a session through others when it is called, in every shape", async () => {
    const asked: string[] = []
    const cleo = await mesh.peer({
      reach: (node, via) => {
        asked.push(
          `${node === alice.signer.nodeId} ${via === "server" ? via : cleo.plane.session(bob.signer.nodeId)?.id === via}`,
        )
        if (asked.length === 1) void mesh.link(cleo, alice)
      },
    })
    alice.rpc.serveStream("far", async function* (body) {
      yield body
    })
    await mesh.link(cleo, bob)
    await soon(() => expect(cleo.capabilities.of(alice.id)?.services).toEqual(["far"]))
    expect((await all(cleo.rpc.callStream("any", "far", text("1")))).map(words)).toEqual(["1"])
    expect((await all(cleo.rpc.callStream(alice.id, "far", text("2")))).map(words)).toEqual(["2"])
    expect(asked).toEqual(["true true"])
    const dora = await mesh.peer({ reach: () => {} })
    await mesh.link(dora, bob)
    const far = { timeoutMs: 50 }
    expect(await failure(all(dora.rpc.callDuplex(alice.id, "far", [], far)))).toMatchObject({ kind: "no-route" })
    expect(await failure(dora.rpc.callUpload(alice.id, "far", [], far))).toMatchObject({ kind: "no-route" })
    expect(await failure(dora.rpc.call(alice.id, "far", text(""), far))).toMatchObject({ kind: "no-route" })
  })

  test("after the room's end nothing can be served or called; the page itself can be called before", async () => {
    bob.rpc.serve("own", (body, { caller }) => text(`${caller.id === bob.id} ${words(body)}`))
    expect(words(await bob.rpc.call(bob.id, "own", text("x")))).toBe("true x")
    expect(await failure(bob.rpc.call("mk1", "own", text("")))).toBe("MemberNotFound")
    bob.plane.close()
    expect(await failure(bob.rpc.call(alice.id, "own", text("")))).toBe("RoomClosed")
    expect(() => bob.rpc.serve("again", (body) => body)).toThrow(expect.objectContaining({ code: "RoomClosed" }))
  })
})
