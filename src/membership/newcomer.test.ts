/** Refusals on the way in: what a stranger says does not count, and an honest refusal comes soon and by name (RM-7). */
import { describe, expect, test } from "vitest"
import { invitationProof, inviteKey } from "../crypto/room-keys.ts"
import { seededRandom } from "../wire/seeded.ts"
import { RoomMachine } from "./machine.ts"
import { START, TestNetwork } from "./test-network.ts"
import { type TestNode, testIdentity } from "./test-node.ts"
import type { RoomAction, RoomEvent, RoomPeer } from "./types.ts"

const WRONG = new Uint8Array(32).fill(4)

async function room(seed: number, count: number): Promise<TestNetwork> {
  const net = new TestNetwork(seed)
  for (let i = 0; i < count; i++) {
    net.add(`n${i}`)
    await net.run(300)
  }
  expect(await net.run(20_000, () => net.agreed())).toBe(true)
  return net
}

/** A node that registers under the room's name, is in nobody's group, and answers whatever reaches it with a refusal. */
function squatter(net: TestNetwork, node: TestNode, reason: string, retryMs?: number): void {
  const peer = testIdentity(seededRandom(net.now).bytes).peer
  const session = `stranger-${peer.nodeId}`
  net.feed(node, { type: "sessionOpen", session, kind: "direct", peer, bind: new Uint8Array(32).fill(8) })
  const refuse =
    retryMs === undefined ? ({ t: "room.refuse", reason } as const) : ({ t: "room.refuse", reason, retryMs } as const)
  net.feed(node, { type: "message", session, message: refuse })
}

const isIn = (net: TestNetwork, node: TestNode) => !node.finished && net.agreed() && node.memberIds.length > 1

describe("a stranger under the room's name", () => {
  test.each(["wrong-invitation", "version", "locked", "barred", "declined", "room-full", "nonsense"])(
    "says %s before anybody else speaks: the join goes on",
    async (reason) => {
      const net = await room(1, 2)
      const node = net.add("newcomer")
      squatter(net, node, reason)
      expect(await net.run(10_000, () => isIn(net, node))).toBe(true)
    },
  )

  test("cannot put the newcomer off with `busy`", async () => {
    const net = await room(2, 2)
    const node = net.add("newcomer")
    squatter(net, node, "busy", 600_000)
    expect(await net.run(5_000, () => isIn(net, node))).toBe(true)
  })

  test("cannot fail a newcomer that waits for the committer after it has seen a head", async () => {
    const net = await room(3, 3)
    const node = net.add("newcomer")
    await net.run(250)
    net.kill(net.nodes[0]!)
    squatter(net, node, "wrong-invitation")
    expect(await net.run(25_000, () => isIn(net, node))).toBe(true)
  })

  test("is not asked again and again on the same session", async () => {
    const net = new TestNetwork(4)
    const node = net.add("newcomer")
    net.serverUp = false
    const knocks: number[] = []
    const { handle } = node.machine
    node.machine.handle = (event, now) => {
      const actions = handle.call(node.machine, event, now)
      for (const action of actions) if (action.type === "send" && action.message.t === "room.knock") knocks.push(now - START)
      return actions
    }
    squatter(net, node, "wrong-invitation")
    await net.run(40_000)
    expect(knocks).toHaveLength(1)
  })
})

describe("an honest refusal", () => {
  test.each([1, 2, 3, 8])("of the wrong invitation, by %i members: soon", async (count) => {
    const net = await room(10 + count, count)
    const thief = net.add("thief", { secret: WRONG })
    expect(await net.run(3_000, () => thief.finished)).toBe(true)
    expect(thief.saw("failed")[0]?.error.code).toBe("InvitationRefused")
    // Nobody was bothered more than once.
    for (const { machine } of net.nodes) expect(machine.counters["wrong-invitation"] ?? 0).toBeLessThanOrEqual(2)
  })

  test("with a dead tab still registered: within the time for a head, and no group of its own is founded", async () => {
    const net = await room(30, 3)
    const [, , dead] = net.nodes
    net.kill(dead!)
    dead!.registered = true
    const thief = net.add("thief", { secret: WRONG })
    expect(await net.run(9_500, () => thief.finished)).toBe(true)
    expect(thief.saw("failed")[0]?.error.code).toBe("InvitationRefused")
    expect(thief.machine.view).toBeUndefined()
  })

  test("of a locked room: at once", async () => {
    const net = await room(31, 2)
    const settings = { admission: "locked", maxMembers: 10, publish: "all", relay: "all", barred: [] } as const
    net.feed(net.nodes[0]!, { type: "settings", settings: { ...settings, barred: [] } })
    await net.run(500)
    const late = net.add("late")
    expect(await net.run(3_000, () => late.finished)).toBe(true)
    expect(late.saw("failed")[0]?.error.code).toBe("RoomLocked")
  })
})

describe("waiting to be let in", () => {
  test("a newcomer that lost everybody it knew in the room starts to look again, however long that takes", async () => {
    const net = await room(40, 3)
    net.kill(net.nodes[0]!)
    const node = net.add("newcomer")
    await net.run(400)
    expect(node.machine.phase).toBe("joining")
    const heal = net.sessions.cut((a, b) => (a === node) !== (b === node))
    // Without the server nobody founds.
    net.stopServer()
    await net.run(60_000)
    expect(node.saw("failed")).toEqual([])
    heal()
    net.startServer()
    expect(await net.run(20_000, () => isIn(net, node))).toBe(true)
  })

  test("while a member answers and the committer cannot be reached, it ends after 30 s", async () => {
    const net = await room(41, 2)
    const [committer] = net.nodes
    net.sessions.cut((a, b) => [a, b].includes(committer!) && ![a, b].includes(net.nodes[1]!))
    const node = net.add("newcomer")
    expect(await net.run(35_000, () => node.finished)).toBe(true)
    expect(node.saw("failed")[0]?.error.code).toBe("JoinTimeout")
  })
})

test("a head that came just before all are asked again is not forgotten", () => {
  const { bytes } = seededRandom(50)
  const self = testIdentity(bytes).peer
  const [early, late, committer] = [testIdentity(bytes).peer, testIdentity(bytes).peer, testIdentity(bytes).peer]
  const key = inviteKey(new Uint8Array(32).fill(3), "test-room")
  const machine = new RoomMachine({ name: "test-room", self, inviteKey: key, random: bytes })
  const did: RoomAction[] = []
  const feed = (event: RoomEvent, at: number) => {
    for (const action of machine.handle(event, START + at)) {
      did.push(action)
      if (action.type !== "op" || action.op.op !== "prepareJoin") continue
      const value = { keyPackageRef: bytes(32), record: bytes(9), binding: bytes(9) }
      feed({ type: "opResult", id: action.id, ok: true, value }, at)
    }
  }
  const root = early.entityId
  const facts = { instance: bytes(16), root, epoch: 3n, size: 3, admission: "invited" as const }
  /** A member opens a session and answers the knock. */
  const answers = (session: string, peer: RoomPeer, at: number) => {
    const bind = bytes(32)
    feed({ type: "sessionOpen", session, kind: "direct", peer, bind }, at)
    const proof = invitationProof(key, 2, bind, peer.keyId, self.keyId)
    const about = { ...facts, committer: committer.keyId, committerNode: committer.nodeId, peers: [peer.nodeId] }
    feed({ type: "message", session, message: { t: "room.head", proof, ...about } }, at + 10)
  }
  feed({ type: "start" }, 0)
  feed({ type: "roster", nodes: [early, late, committer].map(({ nodeId }) => nodeId), registered: 4 }, 0)
  answers("early", early, 10)
  answers("late", late, 2_500)
  for (let at = 3_000; at < 25_000; at += 100) feed({ type: "tick" }, at)
  // Nobody answers any more, but a member is there: no second group is founded, and the late one is asked again.
  expect(did.some((action) => action.type === "op" && action.op.op === "found")).toBe(false)
  const knocks = did.filter((action) => action.type === "send" && action.session === "late" && action.message.t === "room.knock")
  expect(knocks.length).toBeGreaterThan(1)
})
