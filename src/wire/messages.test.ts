/** Control and application messages: every one, every member, every limit. */
import fc from "fast-check"
import { describe, expect, test } from "vitest"
import { toBase64, utf8Decode, utf8Encode } from "./bytes.ts"
import { type ControlMessage, decodeControlMessage, encodeControlMessage, type KnownControlMessage } from "./control-json.ts"
import { decodeRoomMessage, encodeRoomMessage, type KnownRoomMessage, type RoomMessage } from "./room-message.ts"
import { codeOf, FUZZ_RUNS, failureOf } from "./testing.ts"
import type { Bytes } from "./types.ts"

const fill = (length: number, value = 1) => new Uint8Array(length).fill(value)
const id = fill(32, 2)
const nonce = fill(16, 3)
const node = "0000000000000102"
const policy = { maxSpatial: 1, maxTemporal: 2, maxQuality: 3 }
const subscription = { streamId: id, subNonce: nonce }
const head = {
  instance: nonce,
  root: id,
  epoch: 2n ** 60n,
  size: 3,
  committer: "mk1x",
  committerNode: node,
  admission: "knock" as const,
  peers: [node],
}
const capacity = {
  advertiserKeyId: "mk1x",
  capacity: {
    uplinkMbps: 12.5,
    maxStreams: 4,
    maxSubscribersPerStream: 16,
    measuredAtUnixMs: 1_700_000_000_000n,
    maxLayerSupported: policy,
    subStreamCommitments: [{ subStreamPath: Uint8Array.of(0), uplinkBudgetMbps: 1.5, maxSubscribers: 4 }],
  },
  streamId: id,
  epoch: 7n,
  signatureEd25519Base64: "AA==",
  signatureMlDsa65Base64: "AAA=",
}
const order = { kind: 1 as const, target: "mk1y", issuedMs: 1n, expiresMs: 2n, entityId: id, sig: fill(64) }
const settings = { version: 5n, body: utf8Encode("{}"), entityId: id, sig: fill(64) }

const control: KnownControlMessage[] = [
  { t: "av.keys", entityId: id, mlDsa65: fill(1952) },
  { t: "av.kex", step: 2, body: fill(9) },
  { t: "av.subscribe", ...subscription, policy, subStreamPath: Uint8Array.of(0, 1), symbolRange: [0, 5], via: ["a", "b"] },
  { t: "av.subscribe", ...subscription, policy },
  { t: "av.subscribed", ...subscription },
  { t: "av.refused", ...subscription, error: "StreamNotFound" },
  { t: "av.policy", ...subscription, policy },
  { t: "av.unsubscribe", ...subscription },
  { t: "av.keyframe", streamId: id },
  { t: "av.leaving", inMs: 2_000 },
  { t: "av.capacity", ...capacity },
  { t: "av.leaf?", keyIds: ["żółw"] },
  { t: "av.leaf", leaves: [{ entityId: id, mlDsa65: fill(1952), binding: fill(4) }] },
  { t: "av.commit-offer", roomId: id, bytes: fill(3), binding: fill(2) },
  { t: "av.mls", roomId: id, kind: "commit", bytes: fill(3), records: [fill(5)] },
  { t: "av.commit-result", roomId: id, epoch: 2n ** 64n - 1n, accepted: id },
  { t: "av.welcome", roomId: id, envelope: fill(8), records: [], proof: id },
  { t: "av.kp.put", records: [fill(2)] },
  { t: "av.kp.get", keyId: "x" },
  { t: "av.kp", record: fill(2) },
  { t: "av.kp", error: "KeyPackageUnavailable" },
  { t: "room.knock", role: 3, proof: id, version: 1 },
  { t: "room.head", proof: id, ...head },
  { t: "room.refuse", reason: "busy", retryMs: 600_000 },
  { t: "room.join", proof: id, record: fill(3), binding: fill(4), name: "Zoë 😀" },
  { t: "room.pending", wait: "committer", committerNode: node },
  { t: "room.alive", roomId: id, epoch: 0n, tip: id, settingsVersion: 1n },
  { t: "room.commits?", roomId: id, fromEpoch: 5n },
  { t: "room.sync?", have: [["mk1x", 2n ** 53n]], settingsVersion: 0n },
]
const room: KnownRoomMessage[] = [
  { t: "room.state", state: fill(5), sig: fill(64) },
  { t: "room.states", states: [["mk1x", fill(3), fill(64)]], settings, more: true },
  { t: "room.settings", ...settings, chain: fill(173) },
  { t: "room.order", ...order },
  { t: "room.asking", keyId: "mk1x", name: "" },
  { t: "room.lost", keyId: "mk1x", left: true },
  { t: "room.here", nonce },
  { t: "room.move", ...head },
  { t: "room.chat", id: nonce, text: "hi" },
  { t: "room.data", topic: "x", bytes: new Uint8Array() },
]

interface Table {
  decode(bytes: Bytes): ControlMessage | RoomMessage
  samples: { value: KnownControlMessage | KnownRoomMessage; bytes: Bytes }[]
}
const tables: [string, Table][] = [
  ["control", { decode: decodeControlMessage, samples: control.map((value) => ({ value, bytes: encodeControlMessage(value) })) }],
  ["room", { decode: decodeRoomMessage, samples: room.map((value) => ({ value, bytes: encodeRoomMessage(value) })) }],
]
const decodeText = (decode: Table["decode"], json: unknown) =>
  decode(utf8Encode(typeof json === "string" ? json : JSON.stringify(json)))
const controlCode = (json: unknown) => codeOf(() => decodeText(decodeControlMessage, json))
const roomCode = (json: unknown) => codeOf(() => decodeText(decodeRoomMessage, json))

describe.each(tables)("%s messages", (_name, { decode, samples }) => {
  test("every message reads back", () => {
    for (const { value, bytes } of samples) expect(decode(bytes)).toEqual(value)
  })

  test("a missing member is ControlMalformed unless it is optional; further members are ignored", () => {
    const optionalMembers: Record<string, string[]> = {
      "av.subscribe": ["sub_stream_path", "symbol_range", "via"],
      "av.commit-offer": ["binding"],
      "av.mls": ["records"],
      "av.welcome": ["records"],
      "room.refuse": ["retry_ms"],
      "room.join": ["name"],
      "room.pending": ["committer_node"],
      "room.states": ["settings"],
      "room.settings": ["chain"],
    }
    for (const { value, bytes } of samples) {
      const json = JSON.parse(utf8Decode(bytes)) as Record<string, unknown>
      expect(decodeText(decode, { ...json, later: [1] })).toEqual(value)
      for (const member of Object.keys(json).filter((key) => key !== "t")) {
        const { [member]: _removed, ...rest } = json
        const optional = optionalMembers[value.t]?.includes(member) === true
        const error = failureOf(() => decodeText(decode, rest))
        expect([value.t, member, error?.code, error?.details.t]).toEqual([
          value.t,
          member,
          ...(optional ? [undefined, undefined] : ["ControlMalformed", value.t]),
        ])
        expect(failureOf(() => decodeText(decode, { ...json, [member]: null }))?.code).toBe("ControlMalformed")
      }
    }
  })

  test("any value in any place: a message or ControlMalformed with its name", () => {
    const json = samples.map(({ bytes }) => JSON.parse(utf8Decode(bytes)) as Record<string, unknown>)
    const value = fc.oneof(
      fc.jsonValue({ maxDepth: 2 }),
      fc.base64String({ maxLength: 48 }),
      fc.constantFrom(0, 1, -1, 2 ** 53, "18446744073709551616", "", "\ud800", []),
    )
    fc.assert(
      fc.property(fc.constantFrom(...json), fc.nat(12), value, (message, at, changed) => {
        const members = Object.keys(message).filter((key) => key !== "t")
        const member = members[at % members.length] as string
        const error = failureOf(() => decodeText(decode, { ...message, [member]: changed }))
        if (error !== undefined) expect([error.code, error.details.t]).toEqual(["ControlMalformed", message.t])
      }),
      { numRuns: FUZZ_RUNS },
    )
  })

  test("any bytes", () => {
    const inputs = fc.oneof(fc.uint8Array({ maxLength: 40 }), fc.json().map(utf8Encode))
    fc.assert(
      fc.property(inputs, (bytes) => {
        const error = failureOf(() => decode(bytes))
        if (error !== undefined) expect([error.code, error.details.t]).toEqual(["ControlMalformed", null])
      }),
      { numRuns: FUZZ_RUNS },
    )
  })

  test("names it does not know are unknown, the members of Object.prototype included", () => {
    for (const name of ["room.later", "toString", "__proto__", "constructor", ""]) {
      expect(decodeText(decode, `{"t":${JSON.stringify(name)}}`)).toEqual({ t: "unknown", name })
    }
    for (const text of ["{", '"x"', "[]", "{}", '{"t":5}', "null"]) {
      expect(failureOf(() => decodeText(decode, text))).toMatchObject({ code: "ControlMalformed", details: { t: null } })
    }
  })
})

describe("limits (RM-27, D-35)", () => {
  test("a flooded message is encoded once for all its links, another one with the same content by itself", () => {
    const message = { t: "av.mls", roomId: id, kind: "app", bytes: fill(9) } as const
    const bytes = encodeControlMessage(message)
    expect(encodeControlMessage(message)).toBe(bytes)
    const other = encodeControlMessage({ ...message, bytes: fill(9) })
    expect(other).not.toBe(bytes)
    expect(other).toEqual(bytes)
    expect(decodeControlMessage(encodeControlMessage({ ...message, bytes: fill(8) }))).toEqual({ ...message, bytes: fill(8) })
  })

  test("64-bit integers come as number or text, never damaged (D-25)", () => {
    const ask = (from: string) => controlCode(`{"t":"room.commits?","room_id":"${toBase64(id)}","from_epoch":${from}}`)
    for (const good of ["0", '"0"', "9007199254740991", '"9007199254740992"', '"18446744073709551615"'])
      expect(ask(good)).toBeUndefined()
    for (const bad of ["9007199254740992", '"18446744073709551616"', "1.0", "1e3", "-1", '"01"', '"-1"', '""', '"1.0"', "true"]) {
      expect(ask(bad)).toBe("ControlMalformed")
    }
    const large = encodeControlMessage({ t: "room.commits?", roomId: id, fromEpoch: 2n ** 53n })
    expect(utf8Decode(large)).toContain('"from_epoch":"9007199254740992"')
  })

  test("characters are code points, key ids are bytes", () => {
    const asking = (keyId: string, name: string) => roomCode({ t: "room.asking", key_id: keyId, name })
    expect(asking("x", "😀".repeat(64))).toBeUndefined()
    expect(asking("x", "a".repeat(65))).toBe("ControlMalformed")
    expect(asking("é".repeat(127), "")).toBeUndefined()
    expect(asking("é".repeat(128), "")).toBe("ControlMalformed")
    expect(asking("", "")).toBe("ControlMalformed")
    expect(roomCode('{"t":"room.asking","key_id":"\\ud800","name":""}')).toBe("ControlMalformed")
    const chat = (text: string) => roomCode({ t: "room.chat", id: toBase64(nonce), text })
    expect(chat("é".repeat(4096))).toBeUndefined()
    expect(chat("é".repeat(4097))).toBe("ControlMalformed")
    expect(controlCode({ t: "room.refuse", reason: "x".repeat(33) })).toBe("ControlMalformed")
  })

  test("node ids, counts and ranges", () => {
    const pending = (committer: unknown) => controlCode({ t: "room.pending", wait: "batch", committer_node: committer })
    expect(pending("00000000000000ff")).toBeUndefined()
    for (const bad of ["00000000000000FF", "0000000000000000", "ff", 255]) expect(pending(bad)).toBe("ControlMalformed")
    expect(controlCode({ t: "av.leaf?", key_ids: Array(64).fill("x") })).toBeUndefined()
    expect(controlCode({ t: "av.leaf?", key_ids: Array(65).fill("x") })).toBe("ControlMalformed")
    expect(controlCode({ t: "room.refuse", reason: "busy", retry_ms: 600_001 })).toBe("ControlMalformed")
    expect(controlCode({ t: "av.leaving", in_ms: 2_001 })).toBe("ControlMalformed")
    const knock = (version: number) => controlCode({ t: "room.knock", role: 1, proof: toBase64(id), version })
    expect([knock(0), knock(1), knock(2 ** 32 - 1), knock(2 ** 32)]).toEqual([
      "ControlMalformed",
      undefined,
      undefined,
      "ControlMalformed",
    ])
    const sync = (count: number) => controlCode({ t: "room.sync?", have: Array(count).fill(["x", 1]), settings_version: 0 })
    expect([sync(10_000), sync(10_001)]).toEqual([undefined, "ControlMalformed"])
    const range = (from: number, to: number) => {
      const json = JSON.parse(utf8Decode(encodeControlMessage(control[3] as KnownControlMessage))) as object
      return controlCode({ ...json, symbol_range: [from, to] })
    }
    expect([range(0, 1), range(1, 1), range(2, 1)]).toEqual([undefined, "ControlMalformed", "ControlMalformed"])
  })

  test("messages without MLS bytes end at 48 KiB, others at 4 MiB", () => {
    const padded = (json: object, length: number) => controlCode({ ...json, later: "x".repeat(length) })
    expect(padded({ t: "av.leaving", in_ms: 1 }, 49_000)).toBeUndefined()
    expect(padded({ t: "av.leaving", in_ms: 1 }, 49_152)).toBe("ControlMalformed")
    expect(padded({ t: "av.kp.get", key_id: "x" }, 1_000_000)).toBeUndefined()
    expect(padded({ t: "av.kp.get", key_id: "x" }, 4 * 1024 * 1024)).toBe("ControlMalformed")
    expect(roomCode({ t: "room.here", nonce: toBase64(nonce), later: "x".repeat(49_152) })).toBe("ControlMalformed")
    expect(
      codeOf(() => encodeRoomMessage({ t: "room.states", states: Array(3).fill(["x", fill(16_000), fill(64)]), more: false })),
    ).toBe("MessageTooLarge")
    expect(codeOf(() => encodeRoomMessage({ t: "room.data", topic: "", bytes: fill(32 * 1024) }))).toBeUndefined()
  })

  test("av.kp has a record or an error, never both", () => {
    expect(controlCode({ t: "av.kp" })).toBe("ControlMalformed")
    expect(controlCode({ t: "av.kp", record: "AA==", error: "x" })).toBe("ControlMalformed")
  })

  test("capacity advertisements (8.5, D-20, D-40)", () => {
    const json = JSON.parse(utf8Decode(encodeControlMessage({ t: "av.capacity", ...capacity }))) as Record<string, unknown>
    expect(decodeText(decodeControlMessage, { ...json, t: "holo.capacity" })).toEqual({ t: "av.capacity", ...capacity })
    const inner = json.capacity as Record<string, unknown>
    const change = (changed: object) => controlCode({ ...json, capacity: { ...inner, ...changed } })
    expect(change({ sub_stream_commitments: undefined })).toBeUndefined()
    const commitment = (path: number[]) => ({ sub_stream_path: path, uplink_budget_mbps: 1, max_subscribers: 1 })
    const bad = [
      { uplink_mbps: -1 },
      { uplink_mbps: 1e39 },
      { max_streams: 65_536 },
      { sub_stream_commitments: [commitment([2])] },
      { sub_stream_commitments: [commitment(Array(9).fill(0))] },
      { sub_stream_commitments: [commitment([0]), commitment([0])] },
    ]
    for (const changed of bad) expect(change(changed)).toBe("ControlMalformed")
    expect(controlCode({ ...json, stream_id: Array(31).fill(0) })).toBe("ControlMalformed")
    expect(controlCode({ ...json, stream_id: Array(32).fill(256) })).toBe("ControlMalformed")
  })
})
