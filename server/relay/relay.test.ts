/** The relay command from outside, and what it shows. It joins rooms in `e2e/node-peer.spec.ts`. */
import { InvalidArgumentError } from "commander"
import { afterAll, beforeAll, describe, expect, test, vi } from "vitest"
import type { RoomStats } from "../../src/node/index.ts"
import { AvError } from "../../src/wire/errors.ts"
import { roomFailure } from "../peer/failures.ts"
import { Program } from "../testing/program.ts"
import { figuresOf, Meter, sentence } from "./figures.ts"
import { placeText, readPlace } from "./place.ts"

let program: Program
beforeAll(async () => {
  program = await Program.build("relay")
}, 60_000)
afterAll(() => program?.close())

/** The program as a person would run it; it never gets as far as a network here. */
const relay = (...words: string[]) => program.run("relay", ...words)

describe("the command", () => {
  test("explains itself, the package it needs included", async () => {
    const { status, out } = await relay("--help")
    expect(status).toBe(0)
    for (const word of ["room-url", "--name", "--uplink-limit", "--json", "--reachable-at", "npm install node-datachannel"])
      expect(out).toContain(word)
  })

  test("what whoever typed it got wrong is said, with the status for it", async () => {
    const room = "ws://localhost/a"
    const wrong: [string, string[], string][] = [
      ["no room", [], "usage"],
      ["an uplink of nothing", [room, "--uplink-limit", "0"], "usage"],
      ["a port of the system", [room, "--udp-port", "443"], "usage"],
      ["a mapping of no port", [room, "--open", "--port-mapping"], "usage-error"],
      ["a word about no port", [room, "--open", "--reachable-at", "203.0.113.7:41000"], "usage"],
      ["a word about nowhere", [room, "--udp-port", "41000", "--reachable-at", "relay.example:41000"], "usage"],
      ["a link that is none", ["garden", "--open"], "room-url-invalid"],
      ["a link without its invitation", ["ws://localhost/garden"], "invitation-invalid"],
    ]
    const outcomes = await Promise.all(wrong.map(([, words]) => relay(...words)))
    const told = outcomes.map(({ status, error }, i) => [wrong[i]![0], status, error.trim()])
    expect(told).toEqual(
      wrong.map(([name, , kind]) => [name, 2, expect.stringMatching(new RegExp(`^error: .+ \\(kind: ${kind}\\)$`))]),
    )
  })

  test("the link may come from the environment, where other users of the machine do not see it", async () => {
    vi.stubEnv("HOLOMESH_ROOM_URL", "not a room")
    const running = relay("--open")
    vi.unstubAllEnvs()
    const { status, error } = await running
    expect([status, error]).toEqual([2, expect.stringContaining("(kind: room-url-invalid)")])
  })
})

describe("a place where everybody reaches the relay", () => {
  test.each([
    ["8.8.4.4:41000", { host: "8.8.4.4", port: 41_000 }],
    ["10.0.0.5:1024", { host: "10.0.0.5", port: 1_024 }],
    ["[2001:4860:4860::8888]:65535", { host: "2001:4860:4860::8888", port: 65_535 }],
  ])("%s is one", (text, place) => {
    expect(readPlace(text)).toEqual(place)
    expect(placeText(place)).toBe(text)
  })

  test.each([
    "8.8.4.4",
    "8.8.4.4:",
    "8.8.4.4:80",
    "8.8.4.4:65536",
    "8.8.4.4:41000 ",
    "8.8.4:41000",
    "relay.example:41000",
    "0b1f0c6e-1c4f-4f0a-9a63-0d6b0d3f5f4e.local:41000",
    "2001:4860:4860::8888:41000",
    "[8.8.4.4]:41000",
    "[2001:4860:4860::8888]",
    "203.0.113.7:41000",
    "127.0.0.1:41000",
    "0.0.0.0:41000",
    "224.0.0.1:41000",
    "[::1]:41000",
    "[::]:41000",
    ":41000",
    "",
  ])("%j is none", (text) => {
    expect(() => readPlace(text)).toThrow(InvalidArgumentError)
  })
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
    nat: { class: "open" },
    links: [{ kind: "direct" }, { kind: "routed" }, { kind: "direct" }],
    relay: { streams, refused: { max_subscribers: 2, uplink_mbps: 1 } },
  } as unknown as RoomStats

  test("say who is there, what goes through, and what does not", () => {
    const meter = new Meter()
    meter.rate(1_020_000, 1_000)
    const figures = figuresOf(stats, meter, 3_000)
    expect(figures).toEqual({
      members: 4,
      links: 2,
      streams: 2,
      copies: 3,
      inMbps: 1.3,
      outMbps: 2,
      refused: 3,
      server: false,
      nat: "open",
    })
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
