/** What is worked out once and kept, because rooms are large and events many: the answers are those of working it out anew. */
import { describe, expect, test } from "vitest"
import { toHex } from "../wire/bytes.ts"
import { seededRandom } from "../wire/seeded.ts"
import type { PeerKeyId } from "../wire/types.ts"
import { RoomCore } from "./core.ts"
import { IdleLinks } from "./idle-links.ts"
import { Leaves } from "./leaves.ts"
import { RingOrder, ringOrder } from "./neighbours.ts"
import { Presence, SILENCE_MS, UNSEEN_MS } from "./presence.ts"
import { SessionTable } from "./sessions.ts"
import { TestGroup } from "./test-group.ts"
import { TestNetwork } from "./test-network.ts"
import { testIdentity } from "./test-node.ts"

const listed = (keyIds: readonly PeerKeyId[]) =>
  keyIds.map((keyId, leafIndex) => ({ keyId, leafIndex, leafKey: new Uint8Array(32).fill(leafIndex), verified: true }))

function coreWith(others: number) {
  const { bytes: random } = seededRandom(others)
  const self = testIdentity(random).peer
  const core = new RoomCore({ name: "r", self, inviteKey: random(32), relayKey: random(32), random })
  const peers = Array.from({ length: others }, () => testIdentity(random).peer)
  const members = listed([self, ...peers].map(({ keyId }) => keyId))
  const fixed = { roomId: random(32), epoch: 1n, ownKeyId: self.keyId, ownLeaf: 0, tip: random(32), roomCode: "" }
  core.setView({ ...fixed, members })
  return { core, peers, random }
}

test("a signature under a state is verified once by each member, however often pages bring it", async () => {
  const net = new TestNetwork(21)
  let verified = 0
  class CountingGroup extends TestGroup {
    override verifyWithLeaf(...args: Parameters<TestGroup["verifyWithLeaf"]>): Promise<boolean> {
      verified++
      return super.verifyWithLeaf(...args)
    }
  }
  for (let i = 0; i < 7; i++) {
    const identity = testIdentity(net.random.bytes)
    const { entityId, mlDsaPublicKey } = identity.peer
    net.add(`n${i}`, { identity, group: new CountingGroup({ entityId, mlDsa65: mlDsaPublicKey }, net.random.bytes) })
    await net.run(1_500)
  }
  await net.run(20_000)
  expect(net.agreed()).toBe(true)
  const taken = net.nodes.flatMap((node) => node.saw("state").filter(({ keyId }) => keyId !== node.keyId))
  for (const node of net.nodes) expect(new Set(node.saw("state").map(({ keyId }) => keyId)).size).toBe(7)
  expect(verified).toBe(taken.length)
})

test("places on the ring, as members come and go, in one room and then another", () => {
  const { below, bytes } = seededRandom(4)
  const order = new RingOrder()
  const rooms = [bytes(32), bytes(32)] as const
  let members: PeerKeyId[] = []
  for (let step = 0; step < 60; step++) {
    if (below(3) > 0) members = [...members, `mk1${toHex(bytes(8))}`]
    else members = members.filter((_, i) => i !== below(members.length))
    const room = rooms[step < 40 ? 0 : 1]
    expect(order.of(room, members)).toEqual(ringOrder(room, members))
  }
})

test("sessions by peer: direct before routed, then the newest, as they come and go", () => {
  const { below, bytes } = seededRandom(5)
  const table = new SessionTable()
  const peers = Array.from({ length: 3 }, () => testIdentity(bytes).peer)
  for (let step = 0; step < 400; step++) {
    if (below(2) === 0) table.open(`s${step}`, below(2) === 0 ? "direct" : "routed", peers[below(3)]!, bytes(4), step)
    else table.close(`s${below(step + 1)}`)
    for (const peer of peers) {
      const own = [...table.all()].filter((session) => session.peer === peer)
      const expected = own.findLast(({ kind }) => kind === "direct") ?? own.at(-1)
      expect(table.ofKey(peer.keyId)).toBe(expected)
      expect(table.ofNode(peer.nodeId)).toBe(expected)
    }
  }
})

test("a newcomer learns the nodes of more members than one answer names", async () => {
  const { core, peers } = coreWith(150)
  const leaves = new Leaves(core, { learned: () => {}, verified: () => {}, failed: () => {}, links: () => [] })
  leaves.membersChanged()
  const asked = core.takeActions().flatMap((action) => (action.type === "op" && action.op.op === "evidence" ? [action] : []))
  expect(asked.every(({ op }) => op.op === "evidence" && op.keyIds.length <= 64)).toBe(true)
  for (const { id, op } of asked) {
    const known = peers.filter(({ keyId }) => op.op === "evidence" && op.keyIds.includes(keyId))
    const value = known.map(({ entityId, mlDsaPublicKey }) => ({ entityId, mlDsa65: mlDsaPublicKey, binding: new Uint8Array() }))
    core.finishOp({ type: "opResult", id, ok: true, value })
  }
  expect(peers.filter(({ keyId, nodeId }) => leaves.nodeOf(keyId) !== nodeId)).toEqual([])
})

describe("silence", () => {
  const wanted = ["b", "c"]
  function presence() {
    const made = new Presence("a")
    made.setMembers(listed(["a", "b", "c", "d"]), new Set(["a", "b", "c", "d"]), 0)
    return made
  }

  test("is noticed at its time, of neighbours sooner than of those that should be", () => {
    const made = presence()
    made.neighbour("d")
    expect(made.wake(0, wanted)).toBe(SILENCE_MS)
    made.heard("d", 4_000)
    expect(made.silent(SILENCE_MS, wanted)).toEqual([])
    expect(made.wake(SILENCE_MS, wanted)).toBe(4_000 + SILENCE_MS)
    expect(made.silent(4_000 + SILENCE_MS, wanted)).toEqual(["d"])
    made.report("d", false, "a", 4_000 + SILENCE_MS)
    expect(made.silent(UNSEEN_MS - 1, wanted)).toEqual([])
    expect(made.silent(UNSEEN_MS, wanted)).toEqual(["b", "c"])
  })

  test("of a new neighbour counts from when it was heard last, not from when the link came", () => {
    const made = presence()
    expect(made.wake(0, wanted)).toBe(UNSEEN_MS)
    made.neighbour("b")
    expect(made.wake(1, wanted)).toBe(SILENCE_MS)
    expect(made.silent(SILENCE_MS, wanted)).toEqual(["b"])
  })

  test("of one that was reported and is back is noticed again, and so is that of one newly wanted", () => {
    const made = presence()
    made.report("b", false, "c", 1_000)
    expect(made.silent(UNSEEN_MS, [])).toEqual([])
    expect(made.silent(UNSEEN_MS, wanted)).toEqual(["c"])
    made.heard("b", 2_000)
    expect(made.silent(UNSEEN_MS + 1_999, ["b"])).toEqual([])
    expect(made.silent(UNSEEN_MS + 2_000, ["b"])).toEqual(["b"])
  })
})

test("a link counts as used up to the change that made it idle", () => {
  const { core, peers, random } = coreWith(2)
  const [first, second] = peers.map((peer, i) => core.sessions.open(`s${i}`, "direct", peer, random(4), 0))
  const idle = new IdleLinks(core)
  let wanted = [first!.peer.keyId]
  const needed = (keyId: PeerKeyId) => wanted.includes(keyId)
  const ended = () => core.takeActions().flatMap((action) => (action.type === "goaway" ? [action.session] : []))
  idle.tick(needed, 0)
  expect(idle.wake()).toBe(30_000)
  core.now = 29_999
  idle.tick(needed, 0)
  expect(ended()).toEqual([])
  core.now = 30_000
  idle.tick(needed, 0)
  expect(ended()).toEqual([second!.id])
  core.now = 100_000
  wanted = []
  idle.tick(needed, 1)
  expect(ended()).toEqual([])
  expect(idle.wake()).toBe(130_000)
  core.now = 130_000
  idle.tick(needed, 1)
  expect(ended()).toEqual([first!.id])
})
