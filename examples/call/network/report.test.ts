import type { RoomStats } from "holomesh"
import { describe, expect, test } from "vitest"
import { encodeReport, makeReport, parseReport, type Report } from "./report.ts"

const ADA = `mk1${"a".repeat(64)}`
const BOB = `mk1${"b".repeat(64)}`
const EVE = `mk1${"e".repeat(64)}`
const STREAM = "0f".repeat(32)

const REPORT: Report = {
  relayOnly: true,
  uplink: 2e6,
  promised: 1.5e6,
  sources: [{ stream: STREAM, kind: "audio", bitrate: 32_000, spatial: undefined, to: [BOB, EVE] }],
  taken: [
    {
      stream: STREAM,
      kind: "video",
      publisher: ADA,
      from: [
        { peer: BOB, role: "primary", bitrate: 500_000 },
        { peer: ADA, role: "backup", bitrate: undefined },
      ],
      bitrate: 480_000,
      spatial: 2,
      temporal: 1,
    },
  ],
  relayed: [{ stream: STREAM, from: [ADA], bitrate: 700_000, to: [{ peer: EVE, bitrate: 650_000, fits: "base" }] }],
}

const text = (value: unknown) => new TextEncoder().encode(JSON.stringify(value))

describe("reports", () => {
  test("arrive as they were sent, each id written once", () => {
    const bytes = encodeReport(REPORT)
    expect(parseReport(bytes)).toEqual(REPORT)
    expect(new TextDecoder().decode(bytes).split(ADA)).toHaveLength(2)
  })

  test("what is no report is none", () => {
    for (const wrong of [text(null), text([]), text({}), text({ ids: 3 }), new Uint8Array([0xff, 0xfe]), new Uint8Array(0)]) {
      expect(parseReport(wrong)).toBeUndefined()
    }
  })

  test("what a stranger makes up is left out or cut", () => {
    const row = (more: object) => ({ stream: STREAM, bitrate: 1, from: [[0, "primary"]], publisher: 0, kind: "video", ...more })
    const report = parseReport(
      text({
        ids: [ADA, "x".repeat(10_000), 7],
        uplink: -5,
        relayOnly: "yes",
        sources: [row({ to: [0, 1, 2, 3, "0", null] }), row({ stream: "<b>" }), null, 4],
        taken: [row({ publisher: 1 }), row({ from: [[0, "king", "much"], [9, "primary"], 0], spatial: 99, bitrate: 1e300 })],
        relayed: [row({ from: "all", to: [[0, "everything", 1e20], [1], "x"] })],
      }),
    )
    expect(report).toEqual({
      relayOnly: false,
      uplink: undefined,
      promised: undefined,
      sources: [{ stream: STREAM, bitrate: 1, kind: "video", spatial: undefined, to: [ADA] }],
      taken: [
        {
          stream: STREAM,
          bitrate: 0,
          kind: "video",
          publisher: ADA,
          from: [{ peer: ADA, role: "primary", bitrate: undefined }],
          spatial: undefined,
          temporal: undefined,
        },
      ],
      relayed: [{ stream: STREAM, bitrate: 1, from: [], to: [{ peer: ADA, fits: "all", bitrate: undefined }] }],
    })
    const many = parseReport(text({ ids: [ADA], sources: Array.from({ length: 300 }, () => row({ to: Array(300).fill(0) })) }))
    expect(many?.sources.length).toBeLessThanOrEqual(96)
    expect(many?.sources[0]?.to.length).toBeLessThanOrEqual(64)
  })

  test("what was handed over is a rate between two samples, and unknown after a child came back", () => {
    const stats = (at: number, bytes: number) =>
      ({
        at,
        send: [],
        receive: [],
        relay: {
          promisedBitrate: 5,
          streams: [{ streamId: STREAM, from: [ADA], bitrate: 9, children: [{ peer: EVE, bytes, chunks: 1, fits: "all" }] }],
        },
      }) as unknown as RoomStats
    const handed = (before: RoomStats | undefined, bytes: number) =>
      makeReport(stats(3_000, bytes), before, { relayOnly: false }).relayed[0]?.to[0]?.bitrate
    expect(handed(undefined, 5_000)).toBeUndefined()
    expect(handed(stats(1_000, 1_000), 5_000)).toBe(16_000)
    expect(handed(stats(1_000, 9_000), 5_000)).toBeUndefined()
  })
})
