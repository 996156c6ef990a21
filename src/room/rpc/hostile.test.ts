/** A member that lies, floods or sends nonsense to another over a real session: refused, counted, and honest calls go on. */
import { afterEach, beforeEach, describe, expect, test, vi } from "vitest"
import { decodeAnnouncement, encodeAnnouncement, signAnnouncement } from "../../capability/announcement-codec.ts"
import { OPEN_POLICY, SelfState } from "../../capability/index.ts"
import { createIdentity, type IdentitySigner, signFloorRecord } from "../../identity/index.ts"
import type { ControlSession } from "../../link/index.ts"
import { MemoryStore } from "../../store/index.ts"
import { encodeFloorPayload } from "../../wire/floor-record.ts"
import { FRAME_ANNOUNCE, FRAME_FLOOR, FRAME_MEMBERSHIP, FRAME_RPC } from "../../wire/frame.ts"
import { encodeRpc, type RpcFrame } from "../../wire/rpc-frame.ts"
import type { Bytes } from "../../wire/types.ts"
import { type ControlRecord, ControlStorage } from "./storage.ts"
import { failure, TestMesh, type TestPeer, text, words } from "./test-mesh.ts"

let mesh: TestMesh
let alice: TestPeer
let bob: TestPeer
let mallory: TestPeer
let towardsAlice: ControlSession

beforeEach(async () => {
  mesh = new TestMesh()
  ;[alice, bob, mallory] = [await mesh.peer(), await mesh.peer(), await mesh.peer()]
  await mesh.link(alice, bob)
  towardsAlice = (await mesh.link(mallory, alice)).sessions[0]
  alice.rpc.serve("echo", (body) => body)
})
afterEach(() => mesh.close())

const rejected = () => alice.plane.stats().rejected
const until = (check: () => void) => vi.waitFor(check, { timeout: 20_000, interval: 10 })
const honest = async () => expect(words(await bob.rpc.call(alice.id, "echo", text("honest")))).toBe("honest")

/** An announcement of `about`, signed by `signer`. */
async function announcement(
  about: IdentitySigner,
  signer: IdentitySigner,
  options: { issuedMs?: number; tags?: string[]; ttl?: number } = {},
): Promise<Bytes> {
  const { issuedMs = Date.now(), tags = [], ttl = 300 } = options
  const state = new SelfState(about, { generation: 0, lastVersion: 0n })
  state.set({ tags })
  return encodeAnnouncement(await signAnnouncement(state.build(issuedMs, issuedMs, ttl), signer))
}

const request = (callId: bigint, service = "echo"): Bytes =>
  encodeRpc({
    kind: "request",
    flags: 0,
    seq: 0,
    callId,
    service,
    timeoutMs: 0,
    responseWindow: 0,
    headers: [],
    body: text("x"),
  })

describe("announcements", () => {
  test("in another's name, forged, aged, from the future, or another's as if direct: nothing changes", async () => {
    await until(() => expect(alice.capabilities.of(bob.id)).toBeDefined())
    const before = alice.capabilities.of(bob.id)
    const send = (payload: Bytes) => towardsAlice.sendFrame(FRAME_ANNOUNCE, payload)
    // A victim's node id over Mallory's key.
    const victim = { ...mallory.signer, nodeId: bob.signer.nodeId }
    send(await announcement(victim, mallory.signer, { tags: ["evil"] }))
    // The victim's node id and key, signed by Mallory.
    const forged = await announcement(bob.signer, mallory.signer, { tags: ["evil"] })
    forged[1] = 1
    send(forged)
    // A genuine one of the victim, passed off as delivered by its origin.
    send(await announcement(bob.signer, bob.signer, { tags: ["evil"] }))
    const stranger = await createIdentity()
    const old = await announcement(stranger, stranger, { issuedMs: Date.now() - 3_600_000 })
    old[1] = 1
    send(old)
    const future = await announcement(stranger, stranger, { issuedMs: Date.now() + 3_600_000 })
    future[1] = 1
    send(future)
    await until(() => expect(rejected()).toEqual({ NodeIdMismatch: 1, BadSignature: 1, NotOrigin: 1, Expired: 1, FromFuture: 1 }))
    expect(alice.capabilities.of(bob.id)).toEqual(before)
    await honest()
  })

  test("an older, open one of the victim's does not undo its policy (replay, rollback)", async () => {
    const open = bob.plane.gossip.announcer.latest?.slice() as Bytes
    bob.capabilities.announce({ policy: { participants: [bob.id] } })
    bob.rpc.serve("private", (body) => body)
    await until(() => expect(alice.capabilities.of(bob.id)?.services).toEqual(["private"]))
    open[1] = 1
    towardsAlice.sendFrame(FRAME_ANNOUNCE, open)
    await new Promise((resolve) => setTimeout(resolve, 50))
    expect(alice.capabilities.of(bob.id)?.services).toEqual(["private"])
    expect(alice.capabilities.mayCall(bob.id, "private")).toBe(false)
  })

  test("in our own name and by our own key: told as a conflict, a new policy taken over, at most twice a minute", async () => {
    const others = async (n: number) => {
      const state = new SelfState(alice.signer, { generation: 0, lastVersion: BigInt(Date.now() + n * 1_000) })
      state.set({ policy: { ...OPEN_POLICY, allowedNodes: [n === 1 ? bob.signer.nodeId : mallory.signer.nodeId] } })
      return encodeAnnouncement(await signAnnouncement(state.build(Date.now(), Date.now(), 300), alice.signer))
    }
    const policy = () => alice.plane.gossip.announcer.state.facts.policy.allowedNodes
    towardsAlice.sendFrame(FRAME_ANNOUNCE, await others(1))
    await until(() => expect(policy()).toEqual([bob.signer.nodeId]))
    expect(await failure(mallory.rpc.call(alice.id, "echo", text("")))).toMatchObject({ kind: "capability-denied" })
    towardsAlice.sendFrame(FRAME_ANNOUNCE, await others(2))
    await until(() => expect(policy()).toEqual([mallory.signer.nodeId]))
    alice.capabilities.announce({ policy: {} })
    towardsAlice.sendFrame(FRAME_ANNOUNCE, await others(20))
    await until(() => expect(alice.errors).toEqual(Array(3).fill("warning IdentityConflict")))
    expect(policy()).toEqual([])
    await honest()
  })

  test("metadata that would steer us is gone from others' entries, also after a detour", async () => {
    bob.capabilities.announce({ metadata: { owner: "me", priority: "1", note: "fine", ["__proto__"]: "odd" } })
    await until(() => expect(mallory.capabilities.of(bob.id)?.metadata.get("note")).toBe("fine"))
    expect([...(mallory.capabilities.of(bob.id)?.metadata.keys() ?? [])].sort()).toEqual(["__proto__", "note"])
    expect(bob.capabilities.of(bob.id)?.metadata.get("owner")).toBe("me")
    // What is passed on is as it was signed.
    const entry = mallory.plane.gossip.index.get(bob.signer.nodeId, Date.now())
    expect(decodeAnnouncement(entry?.payload as Bytes).announcement.metadata.get("owner")).toBe("me")
  })

  test("a flood is cut off by the budget of who delivers it; honest ones come through", async () => {
    const strangers = await Promise.all(Array.from({ length: 4 }, () => createIdentity()))
    const payloads = await Promise.all(strangers.map((stranger) => announcement(stranger, stranger)))
    for (let i = 0; i < 400; i++) {
      const payload = (payloads[i % 4] as Bytes).slice()
      payload[1] = 1
      // Another signature each time: every copy costs a verification.
      payload[10] = i & 0xff
      payload[11] = i >> 8
      towardsAlice.sendFrame(FRAME_ANNOUNCE, payload)
    }
    await until(() => expect((rejected().NeighbourRateLimited ?? 0) + (rejected().BadSignature ?? 0)).toBe(400))
    expect(rejected().BadSignature).toBeGreaterThanOrEqual(199)
    // Two hundred, and what the budget gains while the machine works on them.
    expect(rejected().BadSignature).toBeLessThan(380)
    bob.capabilities.announce({ tags: ["through"] })
    await until(() => expect(alice.capabilities.of(bob.id)?.tags).toEqual(["through"]))
    await honest()
  })

  test("a floor that somebody else signed is refused; a true one travels", async () => {
    const record = await signFloorRecord(bob.signer, 3, Date.now())
    const forged = record.slice()
    forged[60] = (forged[60] as number) ^ 1
    towardsAlice.sendFrame(FRAME_FLOOR, encodeFloorPayload(1, forged))
    await until(() => expect(rejected().BadSignature).toBe(1))
    expect(alice.plane.gossip.floors.get(bob.signer.entityId)).toBe(0)
    towardsAlice.sendFrame(FRAME_FLOOR, encodeFloorPayload(1, record))
    await until(() => expect(bob.plane.gossip.floors.get(bob.signer.entityId)).toBe(3))
  })
})

describe("calls", () => {
  test("frames of somebody else's call change nothing: cancel, chunks, answers", async () => {
    const seen: boolean[] = []
    let finish: (bytes: Bytes) => void = () => {}
    let callId = 0n
    alice.plane.rpc.serve("wait", (context) => {
      callId = context.callId
      context.signal.addEventListener("abort", () => seen.push(true))
      return new Promise((resolve) => {
        finish = resolve
      })
    })
    const call = bob.rpc.call(alice.id, "wait", text(""))
    await until(() => expect(callId).not.toBe(0n))
    towardsAlice.sendFrame(FRAME_RPC, encodeRpc({ kind: "cancel", flags: 0, seq: 0, callId }))
    towardsAlice.sendFrame(FRAME_RPC, encodeRpc({ kind: "chunk", flags: 0, seq: 1, callId, body: text("x") }))
    // And to the caller, an answer that it did not ask Mallory for.
    const towardsBob = (await mesh.link(mallory, bob)).sessions[0]
    const answer: RpcFrame = { kind: "response", flags: 0, seq: 0, callId, status: 0, headers: [], body: text("forged") }
    towardsBob.sendFrame(FRAME_RPC, encodeRpc(answer))
    await until(() => expect(bob.rpc.metrics.get("wait")?.counters.rpc_response_wrong_peer_total).toBe(1))
    finish(text("true"))
    expect([words(await call), seen]).toEqual(["true", []])
  })

  test("refusals are answered 64 times in ten seconds, then there is silence", async () => {
    alice.rpc.serve("door", () => text(""), { allow: [bob.id] })
    let answers = 0
    towardsAlice.on("frame", ({ type }) => {
      if (type === FRAME_RPC) answers++
    })
    for (let i = 1; i <= 200; i++) towardsAlice.sendFrame(FRAME_RPC, request(BigInt(i), "door"))
    await until(() => expect(alice.plane.stats().deniedByCalleesGate.door).toBe(200))
    expect(answers).toBe(64)
    expect(await failure(bob.rpc.call(alice.id, "door", text("")))).toBe("no failure")
  })

  test("one caller cannot take all places", async () => {
    alice.rpc.serve("slow", () => new Promise(() => {}))
    for (let i = 1; i <= 300; i++) towardsAlice.sendFrame(FRAME_RPC, request(BigInt(i), "slow"))
    await until(() => expect(alice.rpc.metrics.get("slow")?.counters.handler_in_flight).toBe(128))
    const stop = new AbortController()
    const call = bob.rpc.call(alice.id, "slow", text(""), { signal: stop.signal })
    await until(() => expect(alice.rpc.metrics.get("slow")?.counters.handler_in_flight).toBe(129))
    stop.abort()
    expect(await failure(call)).toEqual({ kind: "cancelled" })
    await honest()
  })
})

describe("nonsense", () => {
  test("random bytes and changed frames of every type end in a count, never in the session or the calls beside it", async () => {
    let seed = 7
    const draw = (below: number) => {
      seed = (seed * 48_271) % 0x7fffffff
      return seed % below
    }
    const genuine: [number, Bytes][] = [
      [FRAME_ANNOUNCE, (bob.plane.gossip.announcer.latest ?? (await announcement(bob.signer, bob.signer))).slice()],
      [FRAME_FLOOR, encodeFloorPayload(1, await signFloorRecord(bob.signer, 1, Date.now()))],
      [FRAME_RPC, encodeRpc({ kind: "grant", flags: 0, seq: 0, callId: 5n, credits: 9 })],
      [FRAME_MEMBERSHIP, Uint8Array.of(2, 1, 2, 3, 4, 5, 6, 7, 8, 1, 0)],
      [0x31, Uint8Array.of(1, 0, 0, 0, 0, 0, 0, 0, 9)],
      [0x60, new Uint8Array(20)],
    ]
    for (let i = 0; i < 3_000; i++) {
      const [type, payload] = genuine[draw(genuine.length)] as [number, Bytes]
      const bytes =
        i % 3 === 0 ? Uint8Array.from({ length: draw(300) }, () => draw(256)) : payload.slice(0, 1 + draw(payload.length))
      if (bytes.length > 0) bytes[draw(bytes.length)] = draw(256)
      towardsAlice.sendFrame(type, bytes)
      if (i % 200 === 0) await honest()
    }
    await honest()
    expect(towardsAlice.closed).toBe(false)
    expect(alice.errors).toEqual([])
    expect(words(await mallory.rpc.call(alice.id, "echo", text("still")))).toBe("still")
  })

  test("who is no member fills a bounded shelf and no more", async () => {
    const stranger = await mesh.peer()
    const { sessions } = await mesh.link(stranger, alice, false)
    for (let i = 0; i < 500; i++) sessions[0].sendFrame(FRAME_RPC, request(BigInt(i + 1)))
    for (let i = 0; i < 20; i++) sessions[0].sendFrame(FRAME_ANNOUNCE, new Uint8Array(12_000))
    await until(() => expect(alice.plane.stats().dropped["not-a-member"]).toBe(456))
    expect(alice.rpc.metrics.get("echo")?.counters.handler_invocations_total).toBe(0)
    await honest()
  })
})

describe("what is kept", () => {
  test("AUTH-R16: policy, version and floors outlive a restart; after damage nobody is admitted", async () => {
    const store = new MemoryStore<ControlRecord>()
    const signer = await createIdentity()
    const first = await mesh.peer({ signer, storage: await ControlStorage.open(signer.nodeId, keeping(store)) })
    first.capabilities.announce({ policy: { participants: [bob.id] } })
    await first.plane.channels.tokens.revokeAll()
    const { lastVersion } = first.plane.gossip.announcer.state
    await until(async () => expect((await store.get(`control-plane:${signer.nodeId}`))?.self.generation).toBe(1))
    first.plane.close()
    const second = await mesh.peer({ signer, storage: await ControlStorage.open(signer.nodeId, keeping(store)) })
    const { state } = second.plane.gossip.announcer
    expect([state.facts.policy.allowedNodes, state.generation]).toEqual([[bob.signer.nodeId], 1])
    expect(state.lastVersion).toBeGreaterThan(lastVersion)
    expect(second.plane.gossip.floors.get(signer.entityId)).toBe(1)
    const damaged = { self: { generation: -1 }, floors: [] } as unknown as ControlRecord
    await store.put(`control-plane:${signer.nodeId}`, damaged)
    const third = await mesh.peer({ signer, storage: await ControlStorage.open(signer.nodeId, keeping(store)) })
    expect(third.errors).toEqual(["StoreError"])
    expect(third.plane.gossip.announcer.state.facts.policy.allowedNodes).toEqual([signer.nodeId])
  })
})

/** Closing one page must not end the store of the next. */
function keeping(store: MemoryStore<ControlRecord>): MemoryStore<ControlRecord> {
  return Object.assign(Object.create(store) as MemoryStore<ControlRecord>, {
    get: (key: string) => store.get(key),
    put: (key: string, value: ControlRecord) => store.put(key, value),
    close: () => {},
  })
}
