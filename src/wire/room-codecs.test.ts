/** Room URL, invitation, settings, state, descriptors, commit reasons. */
import fc from "fast-check"
import { describe, expect, test } from "vitest"
import { toHex, utf8Decode, utf8Encode } from "./bytes.ts"
import { type CommitReason, encodeCommitReasons, parseCommitReasons } from "./commit-reasons.ts"
import { descriptorPreimage, type StreamDescriptor } from "./descriptor.ts"
import {
  encodeParticipantState,
  nextStateVersion,
  type ParticipantState,
  parseParticipantState,
  rttClass,
  stateSigningBytes,
} from "./participant-state.ts"
import { orderSigningBytes } from "./room-order.ts"
import {
  DEFAULT_SETTINGS,
  encodeSettingsBody,
  parseSettingsBody,
  type RoomSettings,
  settingsSigningBytes,
} from "./room-settings.ts"
import { formatInvitation, parseInvitation, parseRoomUrl } from "./room-url.ts"
import { streamIdPreimage } from "./stream-id.ts"
import { codeOf, FUZZ_RUNS } from "./testing.ts"

const fill = (length: number, value: number) => new Uint8Array(length).fill(value)
const text = (json: unknown) => utf8Encode(JSON.stringify(json))

describe("room URL (RM-1, RM-24)", () => {
  test("name, server and fragment", () => {
    const cases: [string, string, string, string][] = [
      ["https://call.example/team/Room-1?x=1#k=abc", "room-1", "wss://call.example/team/", "k=abc"],
      ["http://call.example:80/a", "a", "ws://call.example/", ""],
      ["ws://[::1]:8080/x/y/z.9_-", "z.9_-", "ws://[::1]:8080/x/y/", ""],
      ["https://call.example:8443/%52oom", "room", "wss://call.example:8443/", ""],
      ["https://call.example/a/../b", "b", "wss://call.example/", ""],
    ]
    for (const [url, name, server, fragment] of cases) expect(parseRoomUrl(url)).toEqual({ name, server, fragment })
  })

  test("refusals by name", () => {
    for (const url of [
      "",
      "room",
      "//x/y",
      "ftp://x/y",
      "https://u@x/y",
      "https://u:p@x/y",
      "https://:p@x/y",
      "https:///",
      "javascript:x",
    ]) {
      expect(codeOf(() => parseRoomUrl(url))).toBe("RoomUrlInvalid")
    }
    const names = ["", "-x", ".x", "_x", "a b", "a%2Fb", "%ff", "%", "%C3%84", `a${"b".repeat(64)}`, "K\u212a"]
    for (const name of names) expect(codeOf(() => parseRoomUrl(`https://x/${name}`))).toBe("RoomNameInvalid")
    expect(parseRoomUrl(`https://x/a${"b".repeat(63)}`).name).toHaveLength(64)
  })

  test("any text: a room or one of two errors, and the server address never carries the fragment", () => {
    const url = fc.oneof(fc.string(), fc.webUrl({ withFragments: true, withQueryParameters: true }))
    fc.assert(
      fc.property(url, (value) => {
        const code = codeOf(() => parseRoomUrl(value))
        expect([undefined, "RoomUrlInvalid", "RoomNameInvalid"]).toContain(code)
        if (code === undefined) expect(parseRoomUrl(value).server).toMatch(/^wss?:\/\/[^#?]+\/$/)
      }),
      { numRuns: FUZZ_RUNS },
    )
  })
})

describe("invitation (RM-2, RM-25)", () => {
  const k = fill(32, 0xfb)
  const h = fill(32, 1)
  test("forms read back", () => {
    for (const invitation of [
      { kind: "open" as const },
      { kind: "member" as const, k },
      { kind: "member" as const, k, h },
      { kind: "relay" as const, r: k, h },
    ]) {
      expect(parseInvitation(formatInvitation(invitation))).toEqual(invitation)
    }
    expect(codeOf(() => formatInvitation({ kind: "member", k: fill(31, 0) }))).toBe("UsageError")
  })

  test("the grammar is exact", () => {
    const value = formatInvitation({ kind: "member", k }).slice(2)
    const root = formatInvitation({ kind: "member", k: h }).slice(2)
    const bad = [
      `h=${root}`,
      `k=${value}&r=${value}`,
      `k=${value}&k=${value}`,
      `h=${root}&k=${value}`,
      `k=${value}&h=${root}&h=${root}`,
      `k=${value}&`,
      `k=${value}&x=1`,
      `k=${value}=`,
      `k=${value.slice(1)}`,
      `k=${value}A`,
      `K=${value}`,
      `k=${value.slice(0, 42)}_`,
      `k=${value.slice(0, 42)}+`,
      "k=",
      "k",
      " ",
    ]
    for (const fragment of bad)
      expect([fragment, codeOf(() => parseInvitation(fragment))]).toEqual([fragment, "InvitationInvalid"])
  })

  test("every accepted fragment is the one its invitation is written as", () => {
    const part = fc.constantFrom("k=", "r=", "h=", "&", "A".repeat(43), "A".repeat(42), "B", "-", "")
    fc.assert(
      fc.property(fc.array(part, { maxLength: 6 }), (parts) => {
        const fragment = parts.join("")
        const code = codeOf(() => parseInvitation(fragment))
        if (code === undefined) expect(formatInvitation(parseInvitation(fragment))).toBe(fragment)
        else expect(code).toBe("InvitationInvalid")
      }),
      { numRuns: FUZZ_RUNS },
    )
  })
})

describe("settings (RM-18, RM-34)", () => {
  const settings: RoomSettings = {
    admission: "knock",
    maxMembers: 8,
    publish: "all",
    relay: "token",
    barred: ["mk1x", "żółw"],
    invite: { k: fill(32, 5), generation: 0xffffffff },
  }
  const body = JSON.parse(utf8Decode(encodeSettingsBody(settings))) as Record<string, unknown>
  const check = (change: object) => codeOf(() => parseSettingsBody(text({ ...body, ...change })))

  test("bodies read back, further members are ignored", () => {
    expect(parseSettingsBody(encodeSettingsBody(settings))).toEqual(settings)
    expect(parseSettingsBody(encodeSettingsBody(DEFAULT_SETTINGS))).toEqual(DEFAULT_SETTINGS)
    expect(check({ later: 1, max_members: 10_000, invite: undefined })).toBeUndefined()
  })

  test("anything wrong refuses the whole", () => {
    const bad = [
      { admission: "open" },
      { max_members: 1 },
      { max_members: 10_001 },
      { max_members: 2.5 },
      { max_members: "8" },
      { publish: undefined },
      { barred: ["x", "x"] },
      { barred: [""] },
      { barred: Array.from({ length: 257 }, (_, i) => `k${i}`) },
      { invite: null },
      { invite: { k: "AA==", generation: 1 } },
      { invite: { k: (body.invite as { k: string }).k, generation: 0 } },
    ]
    for (const change of bad) expect([change, check(change)]).toEqual([change, "SettingsInvalid"])
    expect(codeOf(() => parseSettingsBody(text({ ...body, later: "x".repeat(16_384) })))).toBe("SettingsInvalid")
    for (const bytes of [fill(3, 0xff), utf8Encode("[]"), utf8Encode("{"), new Uint8Array()]) {
      expect(codeOf(() => parseSettingsBody(bytes))).toBe("SettingsInvalid")
    }
  })

  test("signed bytes", () => {
    expect(toHex(settingsSigningBytes(fill(32, 1), 2n, fill(32, 3)))).toBe(`${"01".repeat(32)}0000000000000002${"03".repeat(32)}`)
    const order = { kind: 2 as const, roomId: fill(32, 1), target: "ab", leaf: fill(32, 0), issuedMs: 5n, expiresMs: 6n }
    expect(toHex(orderSigningBytes(order))).toBe(`02${"01".repeat(32)}00026162${"00".repeat(32)}00000000000000050000000000000006`)
  })
})

const descriptor: StreamDescriptor = {
  streamId: fill(32, 1),
  sealProfile: 1,
  roomId: fill(32, 2),
  publisherKeyId: "mk1x",
  trackLabel: "cam",
  subStreamPath: new Uint8Array(),
  instance: fill(16, 3),
  codecId: 0x81,
  maxLayer: { spatial: 0, temporal: 1, quality: 0 },
  bitrates: [{ spatial: 0, temporal: 0, quality: 0, mbps: 0.15 }],
  fountain: { mapping: "fec" },
  kind: "video",
  codec: "av01.0.08M.08",
  width: 640,
  height: 360,
  frameRate: 29.97,
}
const state: ParticipantState = {
  version: 2n ** 63n,
  name: "Zoë",
  tracks: [
    { label: "cam", kind: "video", source: "camera", muted: false, streams: [descriptor] },
    {
      label: "mic",
      kind: "audio",
      source: "microphone",
      muted: true,
      streams: [{ ...descriptor, fountain: null, kind: "audio" }],
    },
  ],
  links: [["0000000000000102", 32]],
  relay: true,
  handMs: 5n,
  chain: fill(173, 4),
  decodes: ["av01", "vp8"],
  app: { mood: [1, 2.5, { x: null }] },
}

describe("participant state (RM-19)", () => {
  const json = () => JSON.parse(utf8Decode(encodeParticipantState(state))) as Record<string, unknown>

  test("a full state reads back", () => {
    expect(parseParticipantState(encodeParticipantState(state))).toEqual(state)
    expect(descriptorPreimage(descriptor)).toEqual(streamIdPreimage({ ...descriptor }))
  })

  test("only size, version and number of streams refuse a state", () => {
    const bare = (version: unknown, extra: object = {}) => codeOf(() => parseParticipantState(text({ version, ...extra })))
    for (const good of [0, 5, "5", "18446744073709551615"]) expect(bare(good)).toBeUndefined()
    for (const bad of [-1, 1.5, "", "x", null, undefined, [], "18446744073709551616"]) expect(bare(bad)).toBe("StateInvalid")
    const tracks = (count: number) => [{ streams: Array(count).fill({}) }, { streams: [{}] }]
    expect(bare(1, { tracks: tracks(63) })).toBeUndefined()
    expect(bare(1, { tracks: tracks(64) })).toBe("StateInvalid")
    expect(bare(1, { app: { x: "y".repeat(16_384) } })).toBe("StateInvalid")
    for (const bytes of [utf8Encode("[]"), utf8Encode("{"), fill(2, 0xff)])
      expect(codeOf(() => parseParticipantState(bytes))).toBe("StateInvalid")
    expect(codeOf(() => encodeParticipantState({ ...state, app: { x: "y".repeat(16_384) } }))).toBe("StateInvalid")
  })

  test("what is not understood is left out", () => {
    const changed = {
      ...json(),
      name: 5,
      tracks: [
        ...(json().tracks as object[]),
        { label: 1 },
        null,
        { label: "x", kind: "smell", streams: [] },
        { label: "y", kind: "audio", source: "mars" },
      ],
      links: [["0000000000000102", 32], ["0000000000000000", 1], ["0000000000000103"], 4],
      relay: "yes",
      hand: -1,
      chain: "?",
      decodes: ["vp8", 7, "x".repeat(17), ...Array(40).fill("vp09")],
      app: 7,
    }
    const parsed = parseParticipantState(text(changed))
    expect(parsed.tracks).toEqual([...state.tracks, { label: "y", kind: "audio", source: "other", muted: false, streams: [] }])
    expect(parsed).toMatchObject({ name: "", links: state.links, relay: false })
    expect([parsed.handMs, parsed.chain, parsed.app]).toEqual([undefined, undefined, undefined])
    expect(parsed.decodes).toEqual(["vp8", ...Array(13).fill("vp09")])
    const broken = { ...(json().tracks as { streams: object[] }[])[0]?.streams[0], seal_profile: 2 }
    const one = parseParticipantState(text({ version: 1, tracks: [{ label: "cam", kind: "video", streams: [broken] }] }))
    expect(one.tracks[0]?.streams).toEqual([])
  })

  test("any JSON", () => {
    fc.assert(
      fc.property(
        fc.oneof(
          fc.json(),
          fc.jsonValue().map((tracks) => JSON.stringify({ version: 1, tracks, links: tracks, app: tracks })),
        ),
        (value) => {
          expect([undefined, "StateInvalid"]).toContain(codeOf(() => parseParticipantState(utf8Encode(value))))
        },
      ),
      { numRuns: FUZZ_RUNS },
    )
  })

  test("versions and round-trip classes", () => {
    expect(nextStateVersion(undefined, 5.9)).toBe(5n)
    expect(nextStateVersion(5n, 0)).toBe(6n)
    expect(nextStateVersion(5n, 100)).toBe(100n)
    expect(nextStateVersion(100n, 100)).toBe(101n)
    expect([0, 1, 1.5, 2, 3, 64, 65, 4096, 4097, 1e9].map(rttClass)).toEqual([1, 1, 2, 2, 4, 64, 128, 4096, 4096, 4096])
    expect(toHex(stateSigningBytes(fill(32, 1), "a", fill(1, 9)))).toBe(`${"01".repeat(32)}00016109`)
  })
})

describe("commit reasons (RM-14, RM-31)", () => {
  const order = { kind: 1 as const, target: "b", issuedMs: 1n, expiresMs: 2n, entityId: fill(32, 1), sig: fill(64, 2) }
  const reasons: CommitReason[] = [
    { keyId: "a", reason: "left" },
    { keyId: "b", reason: "removed", order },
  ]
  const check = (why: unknown) => codeOf(() => parseCommitReasons(text({ why, later: 1 })))

  test("read back; none is empty bytes", () => {
    expect(parseCommitReasons(encodeCommitReasons(reasons))).toEqual(reasons)
    expect(encodeCommitReasons([])).toHaveLength(0)
    expect(parseCommitReasons(new Uint8Array())).toEqual([])
  })

  test("form", () => {
    const [left, removed] = (JSON.parse(utf8Decode(encodeCommitReasons(reasons))) as { why: Record<string, unknown>[] }).why
    expect(check([])).toBeUndefined()
    expect(
      check([
        { ...left, reason: "gone" },
        { ...left, reason: "replaced", later: 1 },
      ]),
    ).toBeUndefined()
    for (const bad of [
      {},
      undefined,
      [5],
      [{ ...left, reason: "bored" }],
      [{ ...left, order: removed?.order }],
      [{ ...removed, order: undefined }],
      [{ reason: "left" }],
    ]) {
      expect(check(bad)).toBe("CommitReasonInvalid")
    }
    for (const bytes of [utf8Encode("{"), utf8Encode("[]"), fill(3, 0xff), text({ why: [], later: "x".repeat(8_192) })]) {
      expect(codeOf(() => parseCommitReasons(bytes))).toBe("CommitReasonInvalid")
    }
    expect(codeOf(() => encodeCommitReasons(Array(60).fill({ keyId: "x".repeat(200), reason: "left" })))).toBe(
      "CommitReasonInvalid",
    )
  })

  test("any JSON", () => {
    fc.assert(
      fc.property(
        fc.oneof(
          fc.json(),
          fc.jsonValue().map((why) => JSON.stringify({ why })),
          fc.string(),
        ),
        (value) => {
          expect([undefined, "CommitReasonInvalid"]).toContain(codeOf(() => parseCommitReasons(utf8Encode(value))))
        },
      ),
      { numRuns: FUZZ_RUNS },
    )
  })
})
