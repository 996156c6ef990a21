/** The report tells what happened and never who, where or what was said. */
import { describe, expect, it } from "vitest"
import { AvError } from "../wire/errors.ts"
import { diagnosticsText, RoomLog } from "./diagnostics.ts"
import { Emitter } from "./emitter.ts"
import { RoomParticipant } from "./participant.ts"
import type { RoomEvents, RoomStats } from "./types.ts"

const NO_PARENTS = { asked: 0, refused: 0, timeouts: 0, healed: 0, switched: 0, demoted: 0, dry: 0 }

const ID = `mk1${"ab12".repeat(16)}`
const stats: RoomStats = {
  at: 0,
  nat: { class: "cone", reflex: "192.0.2.7:4000", servers: 2, sweeps: 1, conclusive: 1, observations: 2 },
  direct: { attempted: 0, succeeded: 0, failed: {}, relayFallbacks: 0 },
  room: {
    name: "secret-room",
    roomId: "cd".repeat(16),
    epoch: 7n,
    members: 2,
    code: "ABCD-EFGH",
    serverConnected: true,
    committer: ID,
  },
  links: [],
  send: [],
  receive: [],
  stages: { control: {}, room: {}, group: {}, seal: { InnerAead: 2 }, fountain: {}, media: {} },
  relay: { enabled: true, subscribers: 0, admittedBitrate: 0, refused: {}, promisedBitrate: 0, parents: NO_PARENTS, streams: [] },
  control: {
    announcements: 0,
    rejected: {},
    deniedByCallersGate: 0,
    subnetsCollapsed: 0,
    tokensDroppedByGeneration: 0,
    deniedByCalleesGate: {},
    dropped: {},
  },
  edges: [{ from: ID, to: ID, stream: "cam" }],
}

describe("diagnostics", () => {
  it("holds figures, states and events, but no name, room, code or whole id", () => {
    const events = new Emitter<RoomEvents>()
    const log = new RoomLog(events, () => 1_000)
    const ada = new RoomParticipant(ID, false)
    ada.name = "Ada Lovelace"
    ada.quality = { score: 2.1, level: "poor", reason: "network" }
    events.emit("participantJoined", { participant: ada })
    events.emit("qualityChanged", { participant: ada, quality: ada.quality })
    events.emit("message", { id: "1", from: ada, text: "a private word", at: 0 })
    events.emit("warning", { error: new AvError("MediaDeviceBusy"), message: "Ada's headset is busy" })
    const text = diagnosticsText(stats, {
      browser: "Test/1",
      page: { visible: "visible" },
      participants: [ada],
      log: log.entries,
    })
    for (const secret of ["Ada", "secret-room", "ABCD", "private", "192.0.2.7", ID, "cd".repeat(16)])
      expect(text).not.toContain(secret)
    const report = JSON.parse(text) as { log: string[]; people: { quality: unknown }[]; stages: unknown; room: { epoch: number } }
    expect(report.log).toEqual([
      "1970-01-01T00:00:01.000Z mk1ab12ab12 joined",
      "1970-01-01T00:00:01.000Z quality of mk1ab12ab12 poor, 2.1, network",
      "1970-01-01T00:00:01.000Z warning MediaDeviceBusy",
    ])
    expect(report.people[0]?.quality).toEqual(ada.quality)
    expect(report.stages).toEqual(stats.stages)
    expect(report.room.epoch).toBe(7)
  })

  it("keeps the last hundred events", () => {
    const log = new RoomLog(new Emitter<RoomEvents>())
    for (let n = 0; n < 250; n++) log.add(`event ${n}`)
    expect(log.entries).toHaveLength(100)
    expect(log.entries.at(-1)?.what).toBe("event 249")
  })
})
