import { describe, expect, it } from "vitest"
import { roomCapacityId } from "../../identity/capacity.ts"
import { RoomPlan } from "./room-plan.ts"
import type { RoomView } from "./room-snapshot.ts"
import { ad, STREAM } from "./testing.ts"

const ROOM = new Uint8Array(32).fill(3)
const START = 1_700_000_003_000

class Room {
  readonly plan = new RoomPlan()
  members = ["a", "b", "c"]
  advertising: string[] = []
  asked = 0
  uplinkMbps = 100

  view(now: number): RoomView {
    this.asked++
    return {
      roomId: ROOM,
      members: this.members.map((keyId, i) => ({ keyId, nodeId: `${i + 1}`.padStart(16, "0"), links: [] })),
      relays: [],
      ads: this.advertising.map((keyId) =>
        ad(keyId, { streamId: roomCapacityId(ROOM), measuredAt: now, uplinkMbps: this.uplinkMbps }),
      ),
    }
  }

  update(now: number): boolean {
    return this.plan.update(() => this.view(now), now)
  }

  tree(receiver = "b") {
    return this.plan.treeFor(receiver, { streamId: STREAM, sourcePeerId: "a" })
  }
}

describe("the plan of a room", () => {
  it("is not used before its snapshot is two seconds old", () => {
    const room = new Room()
    room.advertising = ["a"]
    room.update(START)
    expect(room.update(START + 1_999)).toBe(false)
    expect(room.tree()).toBeUndefined()
    expect(room.update(START + 2_000)).toBe(true)
    expect(room.tree()).toMatchObject({ since: START, parent: "a" })
    expect(room.tree()?.depthOf("c")).toBe(1)
    expect(room.tree("a")?.parent).toBeUndefined()
  })

  it("takes in what arrives while it is young", () => {
    const room = new Room()
    room.advertising = ["a"]
    room.members = ["a", "b"]
    room.update(START)
    room.members = ["a", "b", "late"]
    room.update(START + 1_500)
    room.update(START + 2_000)
    expect(room.tree("late")?.parent).toBe("a")
  })

  it("is none while nobody advertises, and its age counts from the first that does", () => {
    const room = new Room()
    for (const now of [START, START + 2_500]) room.update(now)
    expect(room.plan.snapshot).toBeUndefined()
    room.advertising = ["a"]
    room.update(START + 3_000)
    expect(room.update(START + 4_900)).toBe(false)
    expect(room.update(START + 5_000)).toBe(true)
    expect(room.tree()?.since).toBe(START + 3_000)
  })

  it("changes once per epoch, two seconds after its beginning, and keeps the old tree until then", () => {
    const room = new Room()
    room.advertising = ["a"]
    room.update(START)
    room.update(START + 2_000)
    room.asked = 0
    const before = room.plan.tree({ streamId: STREAM, sourcePeerId: "a" })
    room.members = ["a", "c"]
    for (let now = START + 2_000; now < START + 7_000; now += 500) expect(room.update(now)).toBe(false)
    expect(room.asked).toBe(0)
    room.update(START + 7_000)
    expect(room.asked).toBe(1)
    expect(room.tree()?.parent).toBe("a")
    expect(room.plan.tree({ streamId: STREAM, sourcePeerId: "a" })).toBe(before)
    expect(room.plan.nextUpdateMs(START + 7_000)).toBe(START + 9_000)
    expect(room.update(START + 9_000)).toBe(true)
    expect(room.tree()?.parent).toBeUndefined()
    expect(room.tree("c")?.parent).toBe("a")
    expect(room.plan.nextUpdateMs(START + 9_000)).toBe(START + 17_000)
  })

  it("ends when everybody stops advertising", () => {
    const room = new Room()
    room.advertising = ["a"]
    room.update(START)
    room.update(START + 2_000)
    room.advertising = []
    room.update(START + 7_000)
    expect(room.plan.snapshot).toBeDefined()
    expect(room.update(START + 9_000)).toBe(true)
    expect(room.plan.snapshot).toBeUndefined()
    expect(room.tree()).toBeUndefined()
    expect(room.plan.nextUpdateMs(START + 9_000)).toBe(START + 9_500)
  })

  it("gives no tree without an edge", () => {
    const room = new Room()
    room.advertising = ["b"]
    room.update(START)
    room.update(START + 2_000)
    expect(room.plan.snapshot).toBeDefined()
    expect(room.tree()).toBeUndefined()
  })

  it("leaves places for second parents where it gets no more than two steps deeper, and only in deep rooms", () => {
    /** Depth of the plan for each number of copies, with relays of so many copies. */
    const depths = (members: number, copies: number) => {
      const room = new Room()
      room.members = Array.from({ length: members }, (_, i) => `m${`${i}`.padStart(3, "0")}`)
      room.advertising = room.members
      room.uplinkMbps = copies
      room.update(START)
      room.update(START + 2_000)
      const options = { streamId: STREAM, sourcePeerId: "m000", edgeMillibps: 1_000n }
      return ([1, 2] as const).map((parents) => {
        const tree = room.plan.tree({ ...options, parents })!
        const most = Math.max(...room.members.map((keyId) => tree.childrenOf(keyId).length))
        return [tree.depth, most]
      })
    }
    expect(depths(100, 6)).toEqual([
      [3, 6],
      [4, 3],
    ])
    expect(depths(40, 10)).toEqual([
      [2, 10],
      [2, 10],
    ])
    // Of relays with two copies half would be a chain; of three as well.
    expect(depths(60, 3)).toEqual([
      [4, 3],
      [4, 3],
    ])
  })

  it("keeps a bounded number of trees", () => {
    const room = new Room()
    room.advertising = ["a"]
    room.update(START)
    room.update(START + 2_000)
    const first = room.plan.tree({ streamId: STREAM, sourcePeerId: "a" })
    for (let i = 1; i <= 256; i++) room.plan.tree({ streamId: STREAM, sourcePeerId: "a", edgeMillibps: BigInt(i) })
    expect(room.plan.tree({ streamId: STREAM, sourcePeerId: "a" })).not.toBe(first)
    const kept = room.plan.tree({ streamId: STREAM, sourcePeerId: "a", edgeMillibps: 256n })
    expect(room.plan.tree({ streamId: STREAM, sourcePeerId: "a", edgeMillibps: 256n })).toBe(kept)
  })
})
