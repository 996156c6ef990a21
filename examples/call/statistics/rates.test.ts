import type { LaneStats, RoomStats } from "holomesh"
import { describe, expect, test } from "vitest"
import { takeSample } from "./rates.ts"

const NO_PARENTS = { asked: 0, refused: 0, timeouts: 0, healed: 0, switched: 0, demoted: 0, dry: 0 }

const PEER = `mk1${"ab".repeat(32)}`

function lane(sentBytes: number, receivedBytes: number): LaneStats {
  const counters = { sentMessages: 0, receivedMessages: 0, lostMessages: 0, bufferedAmount: 0, gateRefusals: 0 }
  return { id: 1, role: "video", state: "open", path: "transferred", sentBytes, receivedBytes, ...counters }
}

function stats(at: number, sent: number, received: number): RoomStats {
  return {
    at,
    nat: { class: "unknown", servers: 0, sweeps: 0, conclusive: 0, observations: 0 },
    direct: { attempted: 0, succeeded: 0, failed: {}, relayFallbacks: 0 },
    room: { name: "garden", roomId: "", epoch: 3n, members: 2, code: "ABCD-EFGH", serverConnected: true, committer: PEER },
    links: [{ peer: PEER, kind: "direct", lanes: [lane(sent, received), lane(sent, received)], drops: {} }],
    send: [],
    receive: [],
    stages: { control: {}, room: {}, group: {}, seal: {}, fountain: {}, media: {} },
    relay: {
      enabled: true,
      subscribers: 0,
      admittedBitrate: 0,
      refused: {},
      promisedBitrate: 0,
      parents: NO_PARENTS,
      streams: [],
    },
    control: {
      announcements: 0,
      rejected: {},
      deniedByCallersGate: 0,
      subnetsCollapsed: 0,
      tokensDroppedByGeneration: 0,
      deniedByCalleesGate: {},
      dropped: {},
    },
    edges: [],
  }
}

describe("rates between two samples", () => {
  test("the first sample has none", () => {
    expect(takeSample(stats(0, 500, 500), undefined)).toMatchObject({ isFirst: true, sent: 0, received: 0, jitter: 0 })
  })

  test("bits per second over all lanes", () => {
    const sample = takeSample(stats(2_000, 1_500, 600), stats(0, 500, 500))
    expect(sample.links.get(PEER)).toEqual({ sent: 8_000, received: 800 })
    expect([sample.sent, sample.received]).toEqual([8_000, 800])
  })

  test("a link that began again counts from zero, never backwards", () => {
    expect(takeSample(stats(2_000, 10, 10), stats(0, 500, 500))).toMatchObject({ sent: 0, received: 0 })
  })
})
