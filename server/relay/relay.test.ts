/** The relay command from outside, and what it shows. It joins rooms in `e2e/node-peer.spec.ts`. */
import { spawnSync } from "node:child_process"
import { describe, expect, test } from "vitest"
import type { RoomStats } from "../../src/node/index.ts"
import { AvError } from "../../src/wire/errors.ts"
import { roomFailure } from "../peer/failures.ts"
import { figuresOf, Meter, sentence } from "./figures.ts"

const main = new URL("../main.ts", import.meta.url).pathname

/** Runs the program as a person would; it never gets as far as a network here. */
function holomesh(
  words: string[],
  variables: Record<string, string> = {},
): { status: number | null; out: string; errors: string } {
  const env = { ...process.env, ...variables }
  const { status, stdout, stderr } = spawnSync(process.execPath, ["--import", "tsx", main, ...words], { encoding: "utf8", env })
  return { status, out: stdout, errors: stderr.trim() }
}

describe("the command", () => {
  test("explains itself, the package it needs included", () => {
    const { status, out } = holomesh(["relay", "--help"])
    expect(status).toBe(0)
    for (const word of ["room-url", "--name", "--uplink-limit", "--json", "npm install node-datachannel"])
      expect(out).toContain(word)
  })

  test.each<[string, string[], string]>([
    ["no room", ["relay"], "usage"],
    ["an uplink of nothing", ["relay", "ws://localhost/a", "--uplink-limit", "0"], "usage"],
    ["a port of the system", ["relay", "ws://localhost/a", "--udp-port", "443"], "usage"],
    ["a mapping of no port", ["relay", "ws://localhost/a", "--open", "--port-mapping"], "usage-error"],
    ["a link that is none", ["relay", "garden", "--open"], "room-url-invalid"],
    ["a link without its invitation", ["relay", "ws://localhost/garden"], "invitation-invalid"],
  ])("%s is a mistake of whoever typed it", (_name, words, kind) => {
    const { status, errors } = holomesh(words)
    expect([status, errors]).toEqual([2, expect.stringMatching(new RegExp(`^error: .+ \\(kind: ${kind}\\)$`))])
  })
})

test("the link may come from the environment, where other users of the machine do not see it", () => {
  const { status, errors } = holomesh(["relay", "--open"], { HOLOMESH_ROOM_URL: "not a room" })
  expect([status, errors]).toEqual([2, expect.stringContaining("(kind: room-url-invalid)")])
})

test("each way to end has a status", () => {
  const statusOf = (error: unknown) => roomFailure(error).status
  expect(statusOf(new AvError("InvitationRefused"))).toBe(5)
  expect(statusOf(new AvError("ServerUnreachable"))).toBe(6)
  expect(statusOf(new AvError("JoinTimeout"))).toBe(7)
  expect(statusOf(new AvError("WebRtcMissing", {}, { message: "Install it" }))).toBe(3)
  expect(statusOf(new Error("disk full"))).toBe(1)
  expect(roomFailure(new AvError("RoomFull")).message).toBe("The room is full.")
  expect(roomFailure(new AvError("WebRtcMissing", {}, { message: "Install it" })).message).toBe("Install it")
})

describe("figures", () => {
  const streams = [
    { bitrate: 1_200_000, children: [{ bytes: 1_000_000 }, { bytes: 500_000 }] },
    { bitrate: 60_000, children: [{ bytes: 20_000 }] },
  ]
  const stats = {
    room: { members: 4, serverConnected: false },
    links: [{ kind: "direct" }, { kind: "routed" }, { kind: "direct" }],
    relay: { streams, refused: { max_subscribers: 2, uplink_mbps: 1 } },
  } as unknown as RoomStats

  test("say who is there, what goes through, and what does not", () => {
    const meter = new Meter()
    meter.rate(1_020_000, 1_000)
    const figures = figuresOf(stats, meter, 3_000)
    expect(figures).toEqual({ members: 4, links: 2, streams: 2, copies: 3, inMbps: 1.3, outMbps: 2, refused: 3, server: false })
    expect(sentence("garden", figures)).toBe(
      "garden: 4 members, 2 linked · 2 streams to 3, 1.3 Mbit/s in, 2 out · 3 refused · server away",
    )
    const alone = { ...figures, members: 1, links: 0, streams: 0, copies: 0, refused: 0, server: true }
    expect(sentence("garden", alone)).toBe("garden: 1 member, 0 linked · nothing to hand on")
  })

  test("a rate needs two looks, and a count that began anew is no rate", () => {
    const meter = new Meter()
    expect([meter.rate(5_000_000, 0), meter.rate(6_000_000, 2_000), meter.rate(1_000, 3_000)]).toEqual([0, 4, 0])
  })
})
