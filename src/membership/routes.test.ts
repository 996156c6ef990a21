import { describe, expect, test } from "vitest"
import { seededRandom } from "../wire/seeded.ts"
import { RoomCore } from "./core.ts"
import { Routes } from "./routes.ts"
import type { HeldState } from "./state-book.ts"
import { testIdentity } from "./test-node.ts"
import type { RoomPeer } from "./types.ts"

/** A room seen from `me`: who is linked to whom is what their states say; `direct` are this peer's own links. */
function roomOf(told: Record<string, string[]>, direct: string[]) {
  const random = seededRandom(1)
  const peers = new Map<string, RoomPeer>()
  const peer = (name: string): RoomPeer => {
    const known = peers.get(name) ?? testIdentity(random.bytes).peer
    peers.set(name, known)
    return known
  }
  const node = (name: string) => peer(name).nodeId
  const core = new RoomCore({ name: "r", self: peer("me"), inviteKey: new Uint8Array(32), random: random.bytes })
  core.now = 1_000
  const names = [...new Set(["me", ...Object.keys(told), ...Object.values(told).flat(), ...direct])]
  const members = names.map((name, leafIndex) => ({
    keyId: peer(name).keyId,
    leafIndex,
    leafKey: new Uint8Array(32),
    verified: true,
  }))
  const none = new Uint8Array(32)
  core.setView({ roomId: none, epoch: 1n, ownKeyId: core.me, ownLeaf: 0, members, tip: none, roomCode: "" })
  for (const name of direct) core.sessions.open(`to-${name}`, "direct", peer(name), none, 0)
  const held = (others: string[]): HeldState => ({
    state: { version: 1n, name: "", tracks: [], relay: true, links: others.map((other) => [node(other), 1]) },
    bytes: none,
    sig: none,
  })
  const states = new Map(Object.entries(told).map(([name, others]) => [peer(name).keyId, held(others)]))
  const keyOfNode = new Map([...peers.values()].map(({ keyId, nodeId }) => [keyId, nodeId]))
  const routes = new Routes(core, { nodeOf: (keyId) => keyOfNode.get(keyId) }, { all: () => states })
  const named = (sessions: { peer: RoomPeer }[]) =>
    sessions.map((session) => [...peers].find(([, { keyId }]) => keyId === session.peer.keyId)?.[0])
  return { core, node, states, held, peer, nearest: (to: string) => named(routes.nearest(node(to))), routes, named }
}

const CHAIN = { a: ["me", "b"], b: ["a", "c"], c: ["b", "d"], d: ["c", "e"], e: ["d", "me"], me: ["a", "e"] }

describe("ways to members without a link", () => {
  test("lead over the neighbour that is nearest", () => {
    const { nearest, routes, node, named } = roomOf(CHAIN, ["a", "e"])
    expect(nearest("b")).toEqual(["a"])
    expect(nearest("d")).toEqual(["e"])
    expect(nearest("c").sort()).toEqual(["a", "e"])
    expect(named(routes.common(node("b")))).toEqual(["a"])
    expect(routes.common(node("c"))).toEqual([])
  })

  test("never go back to where a frame came from, and go straight to a neighbour", () => {
    const { routes, node, peer } = roomOf(CHAIN, ["a", "e"])
    expect(routes.next(node("b"), node("a"))?.peer.keyId).toBe(peer("e").keyId)
    expect(routes.next(node("a"), node("e"))?.peer.keyId).toBe(peer("a").keyId)
  })

  test("invented links draw nothing while there is a way that both ends tell of", () => {
    const liar = { ...CHAIN, me: ["a", "e", "liar"], liar: ["me", "b", "c", "d"] }
    const { nearest } = roomOf(liar, ["a", "e", "liar"])
    expect(nearest("b")).toEqual(["a"])
    expect(nearest("c").sort()).toEqual(["a", "e"])
  })

  test("the word of one end will do where there is nothing else: news of links takes a while", () => {
    const { nearest } = roomOf({ a: ["me", "new"], me: ["a"], new: [] }, ["a"])
    expect(nearest("new")).toEqual(["a"])
  })

  test("do not exist to strangers, nor to somebody that nobody tells of", () => {
    const { routes, node, nearest } = roomOf({ a: ["me"], me: ["a"], lonely: [] }, ["a"])
    expect(nearest("lonely")).toEqual([])
    expect(routes.next("00000000000000ff", node("a"))).toBeUndefined()
  })

  test("follow the news after a second", () => {
    const { core, nearest, states, peer, held } = roomOf({ a: ["me", "x"], x: ["a"], b: ["me"], me: ["a", "b"] }, ["a", "b"])
    expect(nearest("x")).toEqual(["a"])
    states.set(peer("a").keyId, held(["me"]))
    states.set(peer("b").keyId, held(["me", "x"]))
    states.set(peer("x").keyId, held(["b"]))
    core.now += 1_000
    expect(nearest("x")).toEqual(["b"])
  })
})
