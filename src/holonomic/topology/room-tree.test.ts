import fc from "fast-check"
import { describe, expect, it } from "vitest"
import { roomCapacityId } from "../../identity/capacity.ts"
import { compareUtf8, toHex } from "../../wire/bytes.ts"
import { snapshotDigest } from "./digest.ts"
import { RoomSnapshot, type RoomView, type RoomViewMember } from "./room-snapshot.ts"
import { RoomTree } from "./room-tree.ts"
import { computeSourceRootedTopology } from "./rooted.ts"
import { type AdOptions, ad, grant, STREAM, seen, shuffled } from "./testing.ts"
import type { TopologySnapshot } from "./types.ts"

const ROOM = new Uint8Array(32).fill(3)
const NOW = 1_700_000_000_500
const ROOM_WIDE = roomCapacityId(ROOM)

const nodeOf = (i: number) => (i + 1).toString(16).padStart(16, "0")
const keyOf = (i: number) => `${["mk", "é", "～", "\u{1F600}"][i % 4]}${i}`
const advert = (i: number, options: AdOptions = {}) => ad(keyOf(i), { streamId: ROOM_WIDE, measuredAt: NOW - 1_000, ...options })

interface Draft {
  members: number
  relays: number
  links: [from: number, to: number, rttClass: number][]
  ads: [peer: number, options: AdOptions][]
}

function viewOf({ members, relays, links, ads }: Draft): RoomView {
  const list = Array.from({ length: members }, (_, i): RoomViewMember => {
    const own = links.filter(([from]) => from === i).map(([, to, rtt]) => [nodeOf(to), rtt] as const)
    return { keyId: keyOf(i), nodeId: nodeOf(i), links: own }
  })
  return {
    roomId: ROOM,
    members: list,
    relays: Array.from({ length: relays }, (_, i) => ({ keyId: keyOf(members + i), nodeId: nodeOf(members + i) })),
    ads: ads.map(([peer, options]) => advert(peer, options)),
  }
}

/** The snapshot of a room written out in full, as the decision says it. */
function writtenOut({ members, relays, links, ads }: Draft): TopologySnapshot {
  const peers = Array.from({ length: members + relays }, (_, i) => i)
  const advertising = new Set(ads.map(([peer]) => peer))
  const real = ads.filter(([peer]) => peer < members + relays).map(([peer, options]) => advert(peer, options))
  const standIns = peers
    .filter((i) => i < members && !advertising.has(i))
    .map((i) => ad(keyOf(i), { uplinkMbps: 0, subscribers: 0, measuredAt: 0 }))
  const direct = (a: number, b: number) =>
    Math.min(
      ...links
        .filter(([from, to]) => from < members && ((from === a && to === b) || (from === b && to === a)))
        .map(([, , rtt]) => rtt),
    )
  const pairs = peers.flatMap((a) => peers.filter((b) => b !== a).map((b) => [a, b] as const))
  const rtt = (a: number, b: number) => {
    if (direct(a, b) < Number.POSITIVE_INFINITY) return direct(a, b)
    const around = Math.min(...peers.filter((c) => c !== a && c !== b).map((c) => direct(a, c) + direct(c, b)))
    return Math.min(around < Number.POSITIVE_INFINITY ? around : 300, 5_000)
  }
  return {
    capacityAds: [...real, ...standIns],
    trustGrants: pairs.filter(([a, b]) => a < members || b < members).map(([a, b]) => grant(keyOf(a), keyOf(b))),
    reachabilityObservations: pairs.map(([a, b]) => seen(keyOf(a), keyOf(b), rtt(a, b))),
    localityId: "",
    snapshotEpochId: new RoomSnapshot(viewOf({ members: 0, relays: 0, links: [], ads: [] }), NOW).epochId,
  }
}

const drafts: fc.Arbitrary<Draft> = fc
  .record({ members: fc.integer({ min: 2, max: 9 }), relays: fc.nat({ max: 2 }) })
  .chain((size) => {
    const peer = fc.nat({ max: size.members + size.relays - 1 })
    return fc.record({
      members: fc.constant(size.members),
      relays: fc.constant(size.relays),
      links: fc.array(fc.tuple(peer, peer, fc.constantFrom(1, 2, 64, 256, 4_096)), { maxLength: 25 }),
      ads: fc.array(
        fc.tuple(
          peer,
          fc.record({
            uplinkMbps: fc.constantFrom(0, 5, 33.3, 1_500),
            subscribers: fc.constantFrom(1, 2, 3, 8),
            measuredAt: fc.constantFrom(NOW - 2_000, NOW - 1_000, NOW),
            streamId: fc.constantFrom(ROOM_WIDE, ROOM_WIDE, STREAM),
          }),
        ),
        { maxLength: 15 },
      ),
    })
  })

const options = (source: number, edgeMillibps = 0n) => ({ streamId: STREAM, sourcePeerId: keyOf(source), edgeMillibps })

describe("the tree of a room", () => {
  it("is the source-rooted topology of the room written out in full", () => {
    fc.assert(
      fc.property(drafts, fc.constantFrom(0n, 2_500n), (draft, edge) => {
        const tree = new RoomTree(new RoomSnapshot(viewOf(draft), NOW), options(0, edge))
        expect(tree.topology()).toEqual(computeSourceRootedTopology(writtenOut(draft), options(0, edge)))
      }),
      { numRuns: 1_000 },
    )
  })

  it("does not depend on the order in which anything became known", () => {
    fc.assert(
      fc.property(drafts, fc.nat(), (draft, seed) => {
        const view = viewOf(draft)
        const turned: RoomView = {
          ...view,
          members: shuffled([...view.members], seed).map((member) => ({ ...member, links: shuffled(member.links, seed) })),
          relays: shuffled([...view.relays], seed),
          ads: shuffled([...view.ads], seed),
        }
        const [a, b] = [view, turned].map((one) => new RoomTree(new RoomSnapshot(one, NOW), options(1)))
        expect(b!.topology()).toEqual(a!.topology())
        expect(b!.digests()).toEqual(a!.digests())
      }),
      { numRuns: 300 },
    )
  })

  it("answers who is where, the same as its edges say", () => {
    fc.assert(
      fc.property(drafts, (draft) => {
        const tree = new RoomTree(new RoomSnapshot(viewOf(draft), NOW), options(0))
        const edges = tree.topology().tree
        const everybody = tree.snapshot.peers
        for (const id of everybody) {
          const parent = edges.find((edge) => edge.childPeerId === id)?.parentPeerId
          expect(tree.parentOf(id)).toBe(parent)
          expect(tree.childrenOf(id)).toEqual(edges.filter((edge) => edge.parentPeerId === id).map((edge) => edge.childPeerId))
          const depth = id === keyOf(0) ? 0 : parent === undefined ? undefined : tree.depthOf(parent)! + 1
          expect(tree.depthOf(id)).toBe(depth)
          const below = everybody.filter((other) => {
            for (let at = tree.parentOf(other); at !== undefined; at = tree.parentOf(at)) if (at === id) return true
            return false
          })
          expect(tree.descendantsOf(id)).toEqual(below)
          for (const other of everybody) expect(tree.isBelow(other, id)).toBe(below.includes(other))
        }
        expect(tree.depth).toBe(Math.max(0, ...everybody.map((id) => tree.depthOf(id) ?? 0)))
        expect(tree.hasEdges).toBe(edges.length > 0)
      }),
      { numRuns: 300 },
    )
  })

  it.each([2, 10])("reaches 100 receivers at uplinks of %i copies in as few steps as can be", (k) => {
    const members = 101
    const ring = Array.from({ length: members }, (_, i): [number, number, number] => [i, (i + 1) % members, 8])
    const ads = Array.from({ length: members }, (_, i): [number, AdOptions] => [i, { uplinkMbps: k * 2.5 }])
    const snapshot = new RoomSnapshot(viewOf({ members, relays: 0, links: ring, ads }), NOW)
    const tree = new RoomTree(snapshot, options(5, 2_500n))
    expect(snapshot.peers.every((id) => tree.depthOf(id) !== undefined)).toBe(true)
    expect(tree.depth).toBeLessThanOrEqual(Math.ceil(Math.log(100) / Math.log(k)) + 2)
    for (const id of snapshot.peers) expect(tree.childrenOf(id).length).toBeLessThanOrEqual(k)
  })

  it("puts members without room at the leaves and never one keyless relay under another", () => {
    const draft: Draft = {
      members: 4,
      relays: 2,
      links: [],
      ads: [
        [0, { subscribers: 2 }],
        [4, { subscribers: 3, uplinkMbps: 900 }],
        [5, { subscribers: 3, uplinkMbps: 800 }],
      ],
    }
    const tree = new RoomTree(new RoomSnapshot(viewOf(draft), NOW), options(0))
    expect(tree.childrenOf(keyOf(0))).toEqual([keyOf(4), keyOf(5)].sort(compareUtf8))
    expect([1, 2, 3].map((i) => tree.depthOf(keyOf(i)))).toEqual([2, 2, 2])
    const narrow = new RoomTree(
      new RoomSnapshot(viewOf({ ...draft, ads: [[0, { subscribers: 1 }], ...draft.ads.slice(1)] }), NOW),
      options(0),
    )
    expect(narrow.depthOf(keyOf(4))).toBe(1)
    expect(narrow.depthOf(keyOf(5))).toBeUndefined()
  })

  it("leaves a keyless relay out until it advertises", () => {
    const draft: Draft = { members: 2, relays: 1, links: [], ads: [[0, {}]] }
    const tree = new RoomTree(new RoomSnapshot(viewOf(draft), NOW), options(0))
    expect(tree.depthOf(keyOf(2))).toBeUndefined()
    expect(tree.topology().unrootedPeers).toEqual([])
  })

  it("counts only fresh advertisements of peers of the room, of all streams or of this one", () => {
    const at = (measuredAt: number, more: AdOptions = {}) =>
      new RoomSnapshot(viewOf({ members: 2, relays: 0, links: [], ads: [[0, { measuredAt, ...more }]] }), NOW)
    const cut = Math.floor(NOW / 10_000) * 10_000
    expect(at(cut - 29_999).ads).toHaveLength(1)
    expect(at(cut - 30_000).ads).toHaveLength(0)
    expect(at(NOW + 5_000).ads).toHaveLength(1)
    expect(at(NOW + 5_001).ads).toHaveLength(0)
    const stranger = new RoomSnapshot(viewOf({ members: 2, relays: 0, links: [], ads: [[7, {}]] }), NOW)
    expect(stranger.empty).toBe(true)
    const other = at(NOW, { streamId: new Uint8Array(32).fill(9) })
    expect(new RoomTree(other, options(0)).hasEdges).toBe(false)
    expect(new RoomTree(other, { ...options(0), streamId: new Uint8Array(32).fill(9) }).hasEdges).toBe(true)
  })

  it("says in its digest what was reported, not what was filled in", () => {
    const draft: Draft = {
      members: 3,
      relays: 1,
      links: [
        [0, 1, 4],
        [1, 0, 8],
        [2, 9, 1],
      ],
      ads: [
        [0, {}],
        [3, {}],
      ],
    }
    const snapshot = new RoomSnapshot(viewOf(draft), NOW)
    const expected: TopologySnapshot = {
      capacityAds: [advert(0), advert(3)],
      trustGrants: [0, 1, 2, 3].map((i) => ({
        granterPeerId: keyOf(i),
        granteePeerId: "*",
        grantedAtUnixMs: 0n,
        chainDepth: 0,
        weight: 255,
      })),
      reachabilityObservations: [
        { ...seen(keyOf(0), keyOf(1), 4), observedAtUnixMs: 0n },
        { ...seen(keyOf(1), keyOf(0), 8), observedAtUnixMs: 0n },
      ],
      localityId: `room:${"03".repeat(32)}`,
      snapshotEpochId: BigInt(Math.floor(NOW / 10_000)),
    }
    const tree = new RoomTree(snapshot, options(0, 40n))
    expect(toHex(tree.digests().snapshotDigest)).toBe(
      toHex(snapshotDigest(expected, { sourcePeerId: keyOf(0), edgeMillibps: 40n })),
    )
  })

  it("takes a stream's own advertisement when it is newer", () => {
    const ads = (own: number): Draft["ads"] => [
      [0, { subscribers: 1, measuredAt: NOW - 500 }],
      [0, { subscribers: 5, measuredAt: own, streamId: STREAM }],
    ]
    const children = (own: number) =>
      new RoomTree(new RoomSnapshot(viewOf({ members: 4, relays: 0, links: [], ads: ads(own) }), NOW), options(0)).childrenOf(
        keyOf(0),
      )
    expect(children(NOW - 400)).toHaveLength(3)
    expect(children(NOW - 600)).toHaveLength(1)
  })

  it("knows nobody below a source that is not in the room", () => {
    const snapshot = new RoomSnapshot(viewOf({ members: 3, relays: 0, links: [], ads: [[0, {}]] }), NOW)
    const tree = new RoomTree(snapshot, options(20))
    expect(tree.hasEdges).toBe(false)
    expect(tree.depthOf(keyOf(0))).toBeUndefined()
    expect(tree.topology().unrootedPeers).toEqual([...snapshot.peers])
  })
})
