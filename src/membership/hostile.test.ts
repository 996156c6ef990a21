/** What a hostile or confused peer may try, and that it changes nothing (room.md RM-T2, RM-T10, RM-T13, RM-T14). */
import { describe, expect, test } from "vitest"
import { invitationProof, inviteKey } from "../crypto/room-keys.ts"
import { encodeCommitReasons } from "../wire/commit-reasons.ts"
import type { ControlMessage } from "../wire/control-json.ts"
import { seededRandom } from "../wire/seeded.ts"
import { RoomMachine } from "./machine.ts"
import { START, TestNetwork } from "./test-network.ts"
import { type TestNode, testIdentity } from "./test-node.ts"
import type { RoomAction } from "./types.ts"

const SECRET = new Uint8Array(32).fill(3)
const KEY = inviteKey(SECRET, "test-room")
const bind = new Uint8Array(32).fill(8)

/** A founder with one session to a peer that only the test speaks for. */
async function founder(seed: number) {
  const net = new TestNetwork(seed)
  const node = net.add("founder")
  await net.run(1_000)
  expect(node.machine.phase).toBe("connected")
  const stranger = testIdentity(net.random.bytes).peer
  net.feed(node, { type: "sessionOpen", session: "x", kind: "direct", peer: stranger, bind })
  const say = (message: ControlMessage): RoomAction[] => node.machine.handle({ type: "message", session: "x", message }, net.now)
  const proof = (role: 1 | 2 | 3 | 4, key = KEY, on = bind) => invitationProof(key, role, on, stranger.keyId, node.keyId)
  return { net, node, stranger, say, proof }
}

const sent = (actions: RoomAction[]): string[] => actions.flatMap((a) => (a.type === "send" ? [a.message.t] : []))

describe("RM-T2: proofs", () => {
  test("a right proof gets the head; wrong ones are refused by name, then the session ends", async () => {
    const { say, proof } = await founder(1)
    const knock = (role: 1 | 3, bytes: Uint8Array) => say({ t: "room.knock", role, proof: bytes, version: 1 })
    expect(sent(knock(1, proof(1)))).toContain("room.head")
    // Another session's bind, a role reflected, another key: the third is still answered, the fourth closes.
    expect(sent(knock(1, proof(1, KEY, new Uint8Array(32))))).toEqual(["room.refuse"])
    expect(sent(knock(1, proof(2)))).toEqual(["room.refuse"])
    expect(sent(knock(3, proof(3)))).toEqual(["room.refuse"])
    const last = knock(1, proof(1, inviteKey(new Uint8Array(32), "test-room")))
    expect(last).toContainEqual({ type: "goaway", session: "x", code: 6 })
  })

  test("another protocol version is refused", async () => {
    const { say, proof } = await founder(2)
    const refused = say({ t: "room.knock", role: 1, proof: proof(1), version: 2 })
    expect(refused).toContainEqual({ type: "send", session: "x", message: { t: "room.refuse", reason: "version" } })
  })

  test("a stranger is heard on nothing else and closed after 15 s", async () => {
    const { net, node, say } = await founder(3)
    const roomId = node.machine.roomId!
    const tries: ControlMessage[] = [
      { t: "av.leaf?", keyIds: [node.keyId] },
      { t: "room.alive", roomId, epoch: 9n, tip: new Uint8Array(32), settingsVersion: 0n },
      { t: "room.commits?", roomId, fromEpoch: 0n },
      { t: "room.sync?", have: [], settingsVersion: 0n },
      { t: "av.mls", roomId, kind: "app", bytes: new Uint8Array(64) },
    ]
    for (const message of tries) expect(sent(say(message))).toEqual([])
    expect(node.machine.counters["refused-from-stranger"]).toBe(tries.length)
    await net.run(16_000)
    expect(node.actions).toContainEqual({ type: "goaway", session: "x", code: 6 })
  })
})

test("garbage in group messages is counted and the room goes on", async () => {
  const net = new TestNetwork(4)
  const [a, b] = [net.add("a"), net.add("b")]
  await net.run(10_000)
  expect(net.agreed()).toBe(true)
  const session = a.machine.sessionOf(b.keyId)!
  const { below, bytes } = seededRandom(9)
  const roomId = a.machine.roomId!
  for (let i = 0; i < 200; i++) {
    const message: ControlMessage = { t: "av.mls", roomId, kind: "app", bytes: bytes(1 + below(80)) }
    net.feed(a, { type: "message", session, message })
  }
  await net.run(2_000)
  expect(net.agreed()).toBe(true)
  net.feed(b, { type: "chat", id: bytes(16), text: "fine" })
  await net.run(500)
  expect(a.saw("chat")).toHaveLength(1)
})

describe("RM-T10: commits that must not count", () => {
  async function pair(seed: number): Promise<{ net: TestNetwork; a: TestNode; b: TestNode; c: TestNode }> {
    const net = new TestNetwork(seed)
    const a = net.add("a")
    await net.run(500)
    const b = net.add("b")
    await net.run(1_500)
    const c = net.add("c")
    await net.run(8_000)
    expect(net.agreed()).toBe(true)
    return { net, a, b, c }
  }

  test("a Remove without a reason, with a false one, or with an order that is none", async () => {
    const { net, a, b, c } = await pair(5)
    const epoch = a.machine.view?.epoch
    const order = {
      kind: 1 as const,
      target: c.keyId,
      issuedMs: BigInt(START),
      expiresMs: BigInt(START) + 60_000n,
      entityId: b.identity.peer.entityId,
      sig: new Uint8Array(64),
    }
    const claims = [
      new Uint8Array(0),
      encodeCommitReasons([{ keyId: c.keyId, reason: "replaced" }]),
      encodeCommitReasons([{ keyId: c.keyId, reason: "removed", order }]),
      encodeCommitReasons([{ keyId: a.keyId, reason: "gone" }]),
    ]
    for (const authenticatedData of claims) {
      const staged = await b.group.stageCommit({ removes: [c.keyId], authenticatedData, now: net.now })
      await b.group.abort(staged.token)
      const message: ControlMessage = { t: "av.mls", roomId: a.machine.roomId!, kind: "commit", bytes: staged.bytes }
      net.feed(a, { type: "message", session: a.machine.sessionOf(b.keyId)!, message })
      await net.run(500)
    }
    expect(a.machine.counters.CommitReasonInvalid).toBe(claims.length)
    expect(a.machine.view?.epoch).toBe(epoch)
    expect(net.agreed()).toBe(true)
  })

  test("a member that was removed cannot undo it with a commit on the old epoch", async () => {
    const { net, a, b, c } = await pair(6)
    // `a` founded and is the root. It removes `c`, who answers with a commit of the same epoch that removes `a`.
    const authenticatedData = encodeCommitReasons([{ keyId: a.keyId, reason: "gone" }])
    const staged = await c.group.stageCommit({ removes: [a.keyId], authenticatedData, now: net.now })
    await c.group.abort(staged.token)
    net.feed(a, { type: "remove", keyId: c.keyId })
    await net.run(1_000)
    const message: ControlMessage = { t: "av.mls", roomId: a.machine.roomId!, kind: "commit", bytes: staged.bytes }
    for (const node of [a, b]) {
      const session = node === b ? node.machine.sessionOf(a.keyId)! : node.machine.sessionOf(b.keyId)!
      net.feed(node, { type: "message", session, message })
    }
    await net.run(3_000)
    // Each removes the other's author, so neither is struck, and the lower leaf wins: `a`.
    for (const node of [a, b]) expect([...node.memberIds].sort()).toEqual([a.keyId, b.keyId].sort())
    expect(a.tip).toBe(b.tip)
  })
})

test("RM-T13: a state that is forged, replayed or older is ignored", async () => {
  const net = new TestNetwork(7)
  const [a, b] = [net.add("a"), net.add("b")]
  await net.run(10_000)
  net.feed(b, { type: "setState", state: { name: "Bea", tracks: [], relay: true } })
  await net.run(1_000)
  const shown = () => a.saw("state").filter(({ keyId }) => keyId === b.keyId)
  expect(shown().at(-1)?.state.name).toBe("Bea")
  const count = shown().length
  await net.run(10_000)
  expect(shown().length).toBeLessThanOrEqual(count + 2)
  expect(shown().at(-1)?.state.name).toBe("Bea")
})

describe("RM-T14: knocking", () => {
  test("admitted by the host; declined by the host", async () => {
    const net = new TestNetwork(8)
    const host = net.add("host")
    await net.run(1_000)
    net.feed(host, {
      type: "settings",
      settings: { admission: "knock", maxMembers: 10, publish: "all", relay: "all", barred: [] },
    })
    await net.run(500)
    const guest = net.add("guest")
    await net.run(4_000)
    expect(guest.machine.phase).toBe("waiting")
    expect(host.saw("asking").map(({ name }) => name)).toEqual(["guest"])
    net.feed(host, { type: "decide", keyId: guest.keyId, admit: true })
    expect(await net.run(15_000, () => net.agreed())).toBe(true)
    const other = net.add("other")
    await net.run(4_000)
    net.feed(host, { type: "decide", keyId: other.keyId, admit: false })
    await net.run(15_000, () => other.finished)
    expect(other.saw("failed")[0]?.error.code).toBe("AdmissionDeclined")
  })

  test("of 64 who wait each can still be admitted; a 65th is told to come back (RM-36)", async () => {
    const { net, node } = await founder(12)
    const settings = { admission: "knock", maxMembers: 100, publish: "all", relay: "all", barred: [] } as const
    net.feed(node, { type: "settings", settings: { ...settings, barred: [] } })
    await net.run(500)
    const ask = (n: number) => {
      const { peer } = testIdentity(net.random.bytes)
      net.feed(node, { type: "sessionOpen", session: `k${n}`, kind: "direct", peer, bind })
      const proof = invitationProof(KEY, 1, bind, peer.keyId, node.keyId)
      const message: ControlMessage = { t: "room.join", proof, record: new Uint8Array(9), binding: new Uint8Array(9) }
      const answers = node.machine.handle({ type: "message", session: `k${n}`, message }, net.now)
      return { peer, said: answers.flatMap((action) => (action.type === "send" ? [action.message] : [])) }
    }
    const waiting = Array.from({ length: 64 }, (_, n) => ask(n))
    for (const { said } of waiting) expect(said).toMatchObject([{ t: "room.pending", wait: "knock" }])
    expect(ask(64).said).toEqual([{ t: "room.refuse", reason: "busy", retryMs: 1_000 }])
    net.feed(node, { type: "decide", keyId: waiting[7]!.peer.keyId, admit: true })
    await net.run(500)
    expect(node.saw("decided")).toHaveLength(1)
    expect(node.machine.counters["refused-busy"]).toBe(1)
    // Its place is free.
    expect(ask(65).said).toMatchObject([{ t: "room.pending", wait: "knock" }])
  })

  test("RM-T12: a removed member with the old link is refused", async () => {
    const net = new TestNetwork(9)
    const host = net.add("host")
    await net.run(1_000)
    const guest = net.add("guest")
    await net.run(5_000)
    expect(net.agreed()).toBe(true)
    net.feed(host, { type: "remove", keyId: guest.keyId })
    await net.run(65_000)
    expect(guest.saw("failed")[0]?.error.code).toBe("Removed")
    const again = net.add("guest again")
    await net.run(10_000, () => again.finished)
    expect(again.saw("failed")[0]?.error.code).toBe("InvitationRefused")
  })
})

test("only the host removes", async () => {
  const net = new TestNetwork(10)
  const a = net.add("a")
  await net.run(1_000)
  const b = net.add("b")
  await net.run(5_000)
  net.feed(b, { type: "remove", keyId: a.keyId })
  await net.run(1_000)
  expect(b.saw("warning").map(({ error }) => error.code)).toEqual(["NotAllowed"])
  expect(net.agreed()).toBe(true)
})

test("the machine never throws, whatever a member sends", () => {
  const { bytes, below } = seededRandom(11)
  const self = testIdentity(bytes).peer
  const peer = testIdentity(bytes).peer
  const machine = new RoomMachine({ name: "test-room", self, inviteKey: KEY, random: bytes })
  machine.handle({ type: "start" }, START)
  machine.handle({ type: "sessionOpen", session: "s", kind: "direct", peer, bind }, START)
  const roomId = bytes(32)
  const some: (() => ControlMessage)[] = [
    () => ({ t: "room.alive", roomId, epoch: BigInt(below(9)), tip: bytes(32), settingsVersion: 0n }),
    () => ({ t: "room.refuse", reason: ["busy", "too-old", "nonsense"][below(3)]! }),
    () => ({ t: "room.pending", wait: "committer" }),
    () => ({ t: "av.mls", roomId, kind: "commit", bytes: bytes(below(120)) }),
    () => ({ t: "av.welcome", roomId, envelope: bytes(20), proof: bytes(32) }),
    () => ({ t: "room.knock", role: 1, proof: bytes(32), version: 1 }),
    () => ({ t: "room.join", proof: bytes(32), record: bytes(9), binding: bytes(9) }),
    () => ({ t: "av.leaf?", keyIds: ["x"] }),
    () => ({ t: "unknown", name: "x" }),
  ]
  for (let i = 0; i < 10_000; i++) {
    const now = START + i
    machine.handle({ type: "message", session: "s", message: some[below(some.length)]!() }, now)
    if (i % 100 === 0) machine.handle({ type: "tick" }, now)
  }
  expect(Object.keys(machine.counters).length).toBeGreaterThan(0)
})
