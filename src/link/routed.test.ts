import fc from "fast-check"
import { afterEach, describe, expect, it, onTestFinished, vi } from "vitest"
import { createIdentity } from "../identity/index.ts"
import type { IdentitySigner } from "../identity/signer.ts"
import { fromHex } from "../wire/bytes.ts"
import { FRAME_ROUTED, FRAME_ROUTED_HELLO } from "../wire/control-frame.ts"
import { decodeRoutedFrame, decodeRoutedHello, encodeRoutedHello } from "../wire/routed.ts"
import type { Bytes } from "../wire/types.ts"
import { RoutedCipher } from "./routed-cipher.ts"
import { forwardRouted, routedAddress } from "./routed-forward.ts"
import { RoutedHandshake } from "./routed-handshake.ts"
import { createRoutedHub } from "./routed-hub.ts"
import type { ControlSession, RoutedHub } from "./types.ts"

const random = (length: number) => crypto.getRandomValues(new Uint8Array(length))
const [alice, bob, carol] = await Promise.all([createIdentity(), createIdentity(), createIdentity()])
const start = (role: "initiator" | "responder", signer: IdentitySigner, peer: IdentitySigner) =>
  new RoutedHandshake(role, { signer, peerNode: peer.nodeId, random })
const flip = (bytes: Bytes, at: number) => bytes.map((byte, index) => (index === at ? byte ^ 1 : byte))

async function shake() {
  const a = start("initiator", alice, bob)
  const b = start("responder", bob, alice)
  const two = await b.receive(decodeRoutedHello(a.start()))
  const end = await a.receive(decodeRoutedHello(two.send!))
  const done = await b.receive(decodeRoutedHello(end.send!))
  return { a: end.done!, b: done.done! }
}
async function ciphers() {
  const { a, b } = await shake()
  return Promise.all([
    RoutedCipher.create(alice.nodeId, bob.nodeId, a.keys),
    RoutedCipher.create(bob.nodeId, alice.nodeId, b.keys),
  ])
}

describe("the routed handshake", () => {
  it("proves both ends and gives one key per direction", async () => {
    const { a, b } = await shake()
    expect(a.peer).toMatchObject({ nodeId: bob.nodeId, entityId: bob.entityId, pqHash: bob.pqHash })
    expect(b.peer.nodeId).toBe(alice.nodeId)
    expect(a.keys.sendKey).toEqual(b.keys.receiveKey)
    expect(a.keys.receiveKey).toEqual(b.keys.sendKey)
    expect(a.keys.sendKey).not.toEqual(a.keys.receiveKey)
  })

  it("refuses every changed byte of steps 2 and 3", async () => {
    const a = start("initiator", alice, bob)
    const b = start("responder", bob, alice)
    const two = (await b.receive(decodeRoutedHello(a.start()))).send!
    // From behind the header: addresses are checked by the hub, the ttl is the relays'.
    for (let at = 28; at < two.length; at += 7) {
      await expect(a.receive(decodeRoutedHello(flip(two, at)))).rejects.toMatchObject({ code: "RoutedAuthFailed" })
    }
    const three = (await a.receive(decodeRoutedHello(two))).send!
    for (let at = 28; at < three.length; at += 7) {
      await expect(b.receive(decodeRoutedHello(flip(three, at)))).rejects.toMatchObject({ code: "RoutedAuthFailed" })
    }
    expect((await b.receive(decodeRoutedHello(three))).done).toBeDefined()
  })

  it("refuses a changed step 1 at the latest with its signature", async () => {
    for (const at of [28, 60, 92, 124, 155]) {
      const a = start("initiator", alice, bob)
      const b = start("responder", bob, alice)
      const agreed = async () => {
        const two = await b.receive(decodeRoutedHello(flip(a.start(), at)))
        await a.receive(decodeRoutedHello(two.send!))
      }
      await expect(agreed()).rejects.toMatchObject({ code: "RoutedAuthFailed" })
    }
  })

  it("refuses another entity, its own one, a zero key and a step out of turn", async () => {
    const b = start("responder", bob, alice)
    const fromCarol = start("initiator", carol, bob).start()
    await expect(b.receive(decodeRoutedHello(fromCarol))).rejects.toMatchObject({ code: "RoutedAuthFailed" })
    const mirror = start("initiator", bob, alice).start()
    await expect(b.receive(decodeRoutedHello(mirror))).rejects.toMatchObject({ details: { why: "own entity" } })
    const a = start("initiator", alice, bob)
    const hello = decodeRoutedHello(a.start())
    await expect(a.receive(hello)).rejects.toMatchObject({ code: "RoutedInvalid" })
    // A responder whose ephemeral key has small order: the shared secret would be known to everybody.
    const cheat = start("responder", bob, alice)
    const two = decodeRoutedHello((await cheat.receive(hello)).send!)
    if (two.step !== 2) throw new Error("step")
    const bad = encodeRoutedHello({ ...two, ephemeral: new Uint8Array(32) })
    await expect(a.receive(decodeRoutedHello(bad))).rejects.toMatchObject({ code: "RoutedAuthFailed" })
  })
})

describe("routed frames through a hostile relay (ID-R7)", () => {
  it("open in any order, once", async () => {
    const [a, b] = await ciphers()
    const sent = await Promise.all([1, 2, 3, 4].map((value) => a.seal(Uint8Array.of(value))))
    const opened: number[] = []
    for (const at of [2, 0, 3, 1]) opened.push((await b.open(decodeRoutedFrame(sent[at]!)))[0]!)
    expect(opened).toEqual([3, 1, 4, 2])
    for (const frame of sent) await expect(b.open(decodeRoutedFrame(frame))).rejects.toMatchObject({ code: "RoutedReplay" })
  })

  it("open once even when two copies come together", async () => {
    const [a, b] = await ciphers()
    const frame = decodeRoutedFrame(await a.seal(Uint8Array.of(1)))
    const results = await Promise.allSettled([b.open(frame), b.open(frame)])
    expect(results.map((result) => result.status).toSorted()).toEqual(["fulfilled", "rejected"])
  })

  it("are refused below the window", async () => {
    const [a, b] = await ciphers()
    const first = await a.seal(Uint8Array.of(1))
    let last = first
    for (let sent = 0; sent < 1_024; sent++) last = await a.seal(Uint8Array.of(2))
    await b.open(decodeRoutedFrame(last))
    await expect(b.open(decodeRoutedFrame(first))).rejects.toMatchObject({ code: "RoutedReplay" })
  })

  it("are refused when a bit or an address changed, and the window stays", async () => {
    const [a, b] = await ciphers()
    const payload = await a.seal(Uint8Array.of(1, 2, 3))
    for (let at = 20; at < payload.length; at++) {
      await expect(b.open(decodeRoutedFrame(flip(payload, at)))).rejects.toMatchObject({ code: "RoutedAuthFailed" })
    }
    expect(await b.open(decodeRoutedFrame(payload))).toEqual(Uint8Array.of(1, 2, 3))
    // A frame of the other direction does not open either.
    const back = await b.seal(Uint8Array.of(9))
    await expect(b.open(decodeRoutedFrame(back))).rejects.toMatchObject({ code: "RoutedReplay" })
    expect(await a.open(decodeRoutedFrame(back))).toEqual(Uint8Array.of(9))
  })

  it("lose one hop at a relay and never go back", async () => {
    const [a] = await ciphers()
    let payload = await a.seal(Uint8Array.of(1))
    expect(routedAddress(FRAME_ROUTED, payload)).toEqual({ src: alice.nodeId, dst: bob.nodeId })
    const forward = (bytes: Bytes, from = alice.nodeId) => forwardRouted(FRAME_ROUTED, bytes, from, carol.nodeId)
    expect(forward(payload, bob.nodeId)).toBeUndefined()
    expect(forwardRouted(FRAME_ROUTED, payload, alice.nodeId, bob.nodeId)).toBeUndefined()
    expect(forwardRouted(FRAME_ROUTED, payload, carol.nodeId, alice.nodeId)).toBeUndefined()
    let hops = 0
    for (let next = forward(payload); next !== undefined; next = forward(payload)) {
      payload = next.payload
      hops++
    }
    expect(hops).toBe(15)
    expect(() => forward(new Uint8Array(5))).toThrow(expect.objectContaining({ code: "RoutedInvalid" }))
  })
})

describe("routed sessions", () => {
  let hubs: RoutedHub[] = []
  afterEach(() => {
    for (const hub of hubs) hub.close()
    hubs = []
  })

  interface Node {
    signer: IdentitySigner
    hub: RoutedHub
    sessions: ControlSession[]
    dropped: string[]
    next: () => Promise<ControlSession>
  }
  type Relay = (type: number, payload: Bytes) => Bytes[]

  function network(signers: IdentitySigner[], relay: Relay = (_, payload) => [payload]) {
    const nodes = new Map<string, Node>()
    for (const signer of signers) {
      const hub = createRoutedHub({ signer })
      hubs.push(hub)
      const node: Node = {
        signer,
        hub,
        sessions: [],
        dropped: [],
        next: () => new Promise((r) => hub.on("session", (e) => r(e.session))),
      }
      hub.on("session", ({ session }) => node.sessions.push(session))
      hub.on("dropped", ({ error }) => node.dropped.push(error.code))
      nodes.set(signer.nodeId, node)
    }
    const carrier = (type: number, payload: Bytes): void => {
      const { dst } = routedAddress(type, payload)
      for (const each of relay(type, payload)) queueMicrotask(() => nodes.get(dst)?.hub.receive(type, each, carrier))
    }
    return { carrier, node: (signer: IdentitySigner) => nodes.get(signer.nodeId)! }
  }

  it("carry control messages after proof, av.keys and av.kex", async () => {
    const { carrier, node } = network([alice, bob])
    const both = Promise.all([node(alice).next(), node(bob).next()])
    node(alice).hub.open(bob.nodeId, carrier)
    const [a, b] = await both
    expect([a.kind, a.peer.keyId, b.peer.keyId]).toEqual(["routed", bob.keyId, alice.keyId])
    expect(a.bind).toEqual(b.bind)
    const message = new Promise((resolve) => {
      b.on("message", resolve)
    })
    a.send({ t: "av.mls", roomId: new Uint8Array(32), kind: "app", bytes: new Uint8Array(60_000).fill(7) })
    expect(await message).toMatchObject({ t: "av.mls", bytes: new Uint8Array(60_000).fill(7) })
    const closed = new Promise((resolve) => {
      b.on("closed", resolve)
    })
    a.close(1, "bye")
    expect(await closed).toMatchObject({ reason: "goaway", code: 1 })
  })

  it("end by themselves when the other side is gone without a word", async () => {
    vi.useFakeTimers({ shouldAdvanceTime: true })
    onTestFinished(() => {
      vi.useRealTimers()
    })
    let gone = false
    const { carrier, node } = network([alice, bob], (_, payload) => (gone ? [] : [payload]))
    const both = Promise.all([node(alice).next(), node(bob).next()])
    node(alice).hub.open(bob.nodeId, carrier)
    const [a] = await both
    const closed = new Promise((resolve) => {
      a.on("closed", resolve)
    })
    gone = true
    await vi.advanceTimersByTimeAsync(12_000)
    expect(await closed).toMatchObject({ reason: "channel-closed" })
  })

  it("survive a relay that repeats everything and adds garbage", async () => {
    const { carrier, node } = network([alice, bob], (_, payload) => [payload, payload, flip(payload, payload.length - 1)])
    const both = Promise.all([node(alice).next(), node(bob).next()])
    node(alice).hub.open(bob.nodeId, carrier)
    const [a, b] = await both
    let count = 0
    b.on("message", () => count++)
    for (let sent = 0; sent < 20; sent++) a.send({ t: "av.leaving", inMs: sent })
    await vi.waitFor(() => {
      expect(node(bob).dropped.filter((code) => code === "RoutedReplay").length).toBeGreaterThan(20)
      expect(count).toBeGreaterThanOrEqual(20)
    }, 20_000)
    await new Promise((resolve) => setTimeout(resolve, 20))
    expect(count).toBe(20)
    expect(node(bob).dropped).toContain("RoutedReplay")
  })

  it("become one session when both sides ask at once", async () => {
    const { carrier, node } = network([alice, bob])
    const both = Promise.all([node(alice).next(), node(bob).next()])
    node(alice).hub.open(bob.nodeId, carrier)
    node(bob).hub.open(alice.nodeId, carrier)
    const [a, b] = await both
    expect(a.bind).toEqual(b.bind)
    await new Promise((resolve) => setTimeout(resolve, 30))
    expect([node(alice).sessions.length, node(bob).sessions.length]).toEqual([1, 1])
  })

  it("start anew when the other side was reloaded", async () => {
    const first = network([alice, bob])
    const both = Promise.all([first.node(alice).next(), first.node(bob).next()])
    first.node(alice).hub.open(bob.nodeId, first.carrier)
    const [, old] = await both
    const closed = new Promise((resolve) => {
      old.on("closed", resolve)
    })
    const again = first.node(bob).next()
    const fresh = createRoutedHub({ signer: alice })
    hubs.push(fresh)
    const toBob = (type: number, payload: Bytes) =>
      first.node(bob).hub.receive(type, payload, (t, p) => fresh.receive(t, p, toBob))
    fresh.open(bob.nodeId, toBob)
    expect((await again).peer.keyId).toBe(alice.keyId)
    expect(await closed).toMatchObject({ reason: "channel-closed" })
  })

  it("are refused by policy, from ourselves and for others", async () => {
    const hub = createRoutedHub({ signer: bob, acceptPeer: () => false })
    hubs.push(hub)
    const dropped: string[] = []
    hub.on("dropped", ({ error }) => dropped.push(error.code))
    const nowhere = () => undefined
    hub.receive(FRAME_ROUTED_HELLO, start("initiator", alice, bob).start(), nowhere)
    hub.receive(FRAME_ROUTED_HELLO, start("initiator", alice, carol).start(), nowhere)
    hub.receive(FRAME_ROUTED_HELLO, new Uint8Array(9), nowhere)
    hub.receive(0x33, new Uint8Array(9), nowhere)
    const [a] = await ciphers()
    hub.receive(FRAME_ROUTED, await a.seal(new Uint8Array(4)), nowhere)
    expect(dropped).toEqual(["NotAllowed", "RoutedInvalid", "RoutedInvalid", "RoutedInvalid", "SessionClosed"])
    expect(() => hub.open(bob.nodeId, nowhere)).toThrow(expect.objectContaining({ code: "SessionSelf" }))
  })

  it("bound what strangers can start", () => {
    const hub = createRoutedHub({ signer: bob })
    hubs.push(hub)
    let limited = 0
    hub.on("dropped", ({ error }) => error.code === "LimitExceeded" && limited++)
    const hello = decodeRoutedHello(start("initiator", alice, bob).start())
    for (let index = 1; index <= 100; index++) {
      const src = index.toString(16).padStart(16, "0")
      hub.receive(FRAME_ROUTED_HELLO, encodeRoutedHello({ ...hello, src }), () => undefined)
    }
    expect(limited).toBe(68)
  })

  it("take any bytes without an exception", () => {
    const hub = createRoutedHub({ signer: bob })
    hubs.push(hub)
    let dropped = 0
    hub.on("dropped", () => dropped++)
    const nodes = Uint8Array.from([...decodeHex(alice.nodeId), ...decodeHex(bob.nodeId)])
    fc.assert(
      fc.property(
        fc.constantFrom(FRAME_ROUTED, FRAME_ROUTED_HELLO),
        fc.uint8Array({ maxLength: 260 }),
        fc.boolean(),
        (type, bytes, addressed) => {
          if (addressed && bytes.length > 20) bytes.set(nodes, 4)
          hub.receive(type, bytes, () => undefined)
        },
      ),
      { numRuns: 10_000 },
    )
    expect(dropped).toBeGreaterThan(9_000)
  })
})

/** Bytes of a node id in the order of the wire. */
function decodeHex(node: string): number[] {
  return [...fromHex(node)].reverse()
}
