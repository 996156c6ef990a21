import { describe, expect, it } from "vitest"
import { createIdentity, PinTable } from "../identity/index.ts"
import type { SessionDescription } from "../wire/description.ts"
import type { LaneBlock } from "../wire/lane-block.ts"
import { parseCandidate } from "./candidates.ts"
import { AttemptLog, checkDescription, ourOfferWins, peekDescription, signDescription } from "./descriptions.ts"
import { laneCandidates, makeLaneBlock, openLaneKey, signLaneKey } from "./lane-key.ts"

const NOW = 1_750_000_000_000
const candidates = [
  parseCandidate("candidate:1 1 udp 2113937151 192.168.1.5 50000 typ host")!,
  parseCandidate("candidate:2 1 udp 2113937150 192.168.1.6 50001 typ host")!,
]
const [from, to, other] = await Promise.all([createIdentity(), createIdentity(), createIdentity()])

const describe1 = (changes: Partial<SessionDescription> = {}): SessionDescription => ({
  answer: false,
  iceRestart: false,
  trickle: false,
  endOfCandidates: false,
  fromEntity: from.entityId,
  toNode: to.nodeId,
  attemptId: 77n,
  issuedMs: BigInt(NOW),
  dtlsFingerprint: new Uint8Array(32).fill(9),
  ufrag: "abcd",
  pwd: "0123456789abcdefghijkl",
  candidates,
  ...changes,
})
const expected = { selfNode: to.nodeId, fromNode: from.nodeId, kind: "offer" as const, now: NOW }
const invalid = (why: string) => ({ code: "DescriptionInvalid", details: { why } })

describe("signed descriptions", () => {
  it("are accepted as they were signed", async () => {
    const bytes = await signDescription(describe1(), from)
    expect(await checkDescription(bytes, expected)).toEqual(describe1())
    expect(peekDescription(bytes)).toMatchObject({ fromNode: from.nodeId, toNode: to.nodeId, attemptId: 77n, trickle: false })
  })

  it("are refused when any byte differs", async () => {
    const bytes = await signDescription(describe1(), from)
    for (let at = 0; at < bytes.length; at += 5) {
      const bad = bytes.slice()
      bad[at]! ^= 0x10
      await expect(checkDescription(bad, expected)).rejects.toMatchObject({ code: "DescriptionInvalid" })
    }
  })

  it("are refused for another node, attempt, kind or time", async () => {
    const bytes = await signDescription(describe1(), from)
    const check = (changes: object) => checkDescription(bytes, { ...expected, ...changes })
    await expect(check({ selfNode: other.nodeId })).rejects.toMatchObject(invalid("for another node"))
    await expect(check({ fromNode: other.nodeId })).rejects.toMatchObject(invalid("from another node"))
    await expect(check({ attemptId: 78n })).rejects.toMatchObject(invalid("another attempt"))
    await expect(check({ kind: "answer" })).rejects.toMatchObject(invalid("another kind"))
    await expect(check({ now: NOW + 60_001 })).rejects.toMatchObject(invalid("stale"))
    await expect(check({ now: NOW - 60_001 })).rejects.toMatchObject(invalid("stale"))
    expect(await check({ now: NOW + 60_000, attemptId: 77n })).toBeDefined()
  })

  it("are refused when somebody else signed or a pin says otherwise", async () => {
    const forged = await signDescription(describe1(), other)
    await expect(checkDescription(forged, expected)).rejects.toMatchObject(invalid("signature"))
    const pins = new PinTable()
    pins.pin(from.nodeId, other.entityId)
    const bytes = await signDescription(describe1(), from)
    await expect(checkDescription(bytes, { ...expected, pins })).rejects.toMatchObject(invalid("contradicts a pin"))
  })

  it("are answered once", () => {
    const log = new AttemptLog()
    expect(log.admit("a".repeat(16), 1n)).toBe(true)
    expect(log.admit("a".repeat(16), 1n)).toBe(false)
    expect(log.admit("b".repeat(16), 1n)).toBe(true)
    for (let id = 2n; id < 4_200n; id++) log.admit("a".repeat(16), id)
    expect(log.admit("a".repeat(16), 1n)).toBe(true)
    expect(peekDescription(new Uint8Array(3))).toBeUndefined()
    expect(ourOfferWins(`${"0".repeat(15)}1`, "f".repeat(16))).toBe(true)
  })
})

describe("key 8", () => {
  const fields = { ufrag: "wxyz", pwd: "lkjihgfedcba9876543210", fingerprint: new Uint8Array(32) }
  const onLane = (port: number) => candidates.map((c) => ({ ...c, address: { ...c.address, port } }))
  const blocks: LaneBlock[] = [1, 2, 3].map((id) => makeLaneBlock(id, fields, onLane(50_000 + id), candidates)!)

  it("carries lanes with addresses from the description", async () => {
    const description = await signDescription(describe1(), from)
    const key8 = (await signLaneKey(description, blocks, from))!
    const opened = await openLaneKey(key8, description, from.entityId, candidates.length)
    expect(opened).toEqual(blocks)
    expect(laneCandidates(opened[2]!, candidates)).toEqual(onLane(50_003))
  })

  it("is dropped as a whole on any fault", async () => {
    const description = await signDescription(describe1(), from)
    const key8 = (await signLaneKey(description, blocks, from))!
    const open = (key = key8, of = description, entity = from.entityId, listed = 2) => openLaneKey(key, of, entity, listed)
    const fault = { code: "LaneBlockInvalid" }
    await expect(open(key8.slice(0, -1))).rejects.toMatchObject(fault)
    await expect(open(key8, await signDescription(describe1({ attemptId: 78n }), from))).rejects.toMatchObject(fault)
    await expect(open(key8, description, other.entityId)).rejects.toMatchObject(fault)
    await expect(open(key8, description, from.entityId, 1)).rejects.toMatchObject(fault)
    for (let at = 0; at < key8.length; at += 3) {
      const bad = key8.slice()
      bad[at]! ^= 2
      await expect(open(bad)).rejects.toMatchObject(fault)
    }
  })

  it("leaves out candidates of other hosts, and lanes that do not fit", async () => {
    const foreign = parseCandidate("candidate:2 1 udp 1 10.0.0.1 50001 typ host")!
    expect(makeLaneBlock(2, fields, [foreign], candidates)).toBeUndefined()
    expect(makeLaneBlock(2, fields, [foreign, candidates[1]!], candidates)?.candidates).toEqual([{ index: 1, port: 50_001 }])
    const many = Array.from({ length: 12 }, () => candidates[0]!)
    const long = { ...fields, pwd: "x".repeat(64), ufrag: "u".repeat(32) }
    const wide = Array.from({ length: 9 }, (_, index) => makeLaneBlock(index + 1, long, many, candidates)!)
    const description = await signDescription(describe1(), from)
    const key8 = (await signLaneKey(description, wide, from))!
    expect(key8.length).toBeLessThanOrEqual(1_024)
    expect(await openLaneKey(key8, description, from.entityId, 2)).toEqual(wide.slice(0, 7))
    expect(await signLaneKey(description, [], from)).toBeUndefined()
  })
})
