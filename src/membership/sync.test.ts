/** Whom a member asks for states and settings: one neighbour at a time, and nobody alone decides (RM-19). */
import { describe, expect, test } from "vitest"
import type { ControlMessageOf } from "../wire/control-json.ts"
import { seededRandom } from "../wire/seeded.ts"
import { RoomCore } from "./core.ts"
import type { RoomSession } from "./sessions.ts"
import { SettingsBook } from "./settings.ts"
import { StateBook } from "./state-book.ts"
import { StateSync } from "./sync.ts"
import { testIdentity } from "./test-node.ts"

const { bytes: random } = seededRandom(3)
const ROOM = new Uint8Array(32).fill(1)

/** A member with sessions to that many others, and whom it asked since the last look. */
function member(neighbours: number) {
  const self = testIdentity(random).peer
  const core = new RoomCore({ name: "r", self, inviteKey: random(32), relayKey: random(32), random })
  const peers = Array.from({ length: neighbours }, () => testIdentity(random).peer)
  const members = [self, ...peers].map(({ keyId }, leafIndex) => ({ keyId, leafIndex, leafKey: random(32), verified: true }))
  core.room = { roomId: ROOM, instance: random(16), root: self.entityId }
  core.setView({
    roomId: ROOM,
    epoch: 1n,
    ownKeyId: self.keyId,
    ownLeaf: 0,
    members,
    tip: random(32),
    roomCode: "",
  })
  core.now = 10_000
  const sessions = peers.map((peer, i) => core.sessions.open(`s${i}`, "direct", peer, random(32), core.now))
  const sync = new StateSync(core, new StateBook(), new SettingsBook(), () => sessions)
  const asked = () =>
    core.takeActions().flatMap((action) => (action.type === "send" && action.message.t === "room.sync?" ? [action.session] : []))
  /** Goes on to that time as the machine does, waking when it wants to. */
  const until = (time: number) => {
    for (let wake = sync.wake(); wake !== undefined && wake <= time; wake = sync.wake()) {
      core.now = Math.max(core.now + 1, wake)
      sync.tick()
    }
    core.now = time
  }
  return { core, sync, sessions, asked, until }
}

const alive = (settingsVersion: bigint): ControlMessageOf<"room.alive"> => ({
  t: "room.alive",
  roomId: ROOM,
  epoch: 1n,
  tip: new Uint8Array(32),
  settingsVersion,
})

describe("asking for states and settings", () => {
  test("a newcomer that meets many at once asks one, and the others in turn", () => {
    const { sync, sessions, asked, until } = member(6)
    for (const session of sessions) sync.met(session)
    expect(asked()).toEqual(["s0"])
    until(11_999)
    expect(asked()).toEqual([])
    until(12_000)
    expect(asked()).toEqual(["s1"])
    until(20_000)
    expect(asked()).toEqual(["s2", "s3", "s4", "s5"])
    // Their states are still missing: some more questions, then it is given up.
    until(60_000)
    expect(asked()).toEqual(["s0", "s1", "s2", "s3", "s4"])
    expect(sync.wake()).toBeUndefined()
  })

  test("all show newer settings: one is asked, the next when that came to nothing, whoever speaks first", () => {
    const { core, sync, sessions, asked, until } = member(4)
    const heard: string[] = []
    const liar = sessions[0] as RoomSession
    for (let time = 20_000; time < 50_000; time += 5_000) {
      until(time)
      // The first one always speaks first and has nothing.
      sync.shown(liar, alive(99n))
      for (const session of sessions.slice(1)) sync.shown(session, alive(2n))
      heard.push(...asked())
    }
    for (const session of sessions) expect(heard).toContain(session.id)
    // One question in two seconds at most.
    expect(heard.length).toBeLessThanOrEqual((core.now - 10_000) / 2_000 + 1)
  })

  test("sessions that end meanwhile, and peers that are no members, are not asked", () => {
    const { core, sync, sessions, asked, until } = member(3)
    for (const session of sessions) sync.met(session)
    expect(asked()).toEqual(["s0"])
    sync.closed("s1")
    core.sessions.close("s1")
    const stranger = core.sessions.open("x", "direct", testIdentity(random).peer, random(32), core.now)
    sync.shown(stranger, alive(5n))
    until(40_000)
    const later = asked()
    expect(later).toContain("s2")
    expect(later).not.toContain("x")
  })
})
