/** RENDEZVOUS messages of every kind. */
import fc from "fast-check"
import { describe, expect, test } from "vitest"
import type { AddressBlock } from "./address.ts"
import { fromHex, toHex } from "./bytes.ts"
import { type DcborValue, encodeDcbor } from "./dcbor.ts"
import { decodeRendezvousMessage, encodeRendezvousMessage, type RendezvousMessage } from "./rendezvous-message.ts"
import { checkCodec, codeOf } from "./testing.ts"

const node = "0000000000000102"
const block: AddressBlock = { family: 4, address: fromHex(`c0000201${"00".repeat(12)}`), port: 9 }
const introduction = { description: Uint8Array.of(1, 2), attestation: Uint8Array.of(3), lanes: Uint8Array.of(4) }

/** One message of every kind, with and without optional members. */
const messages: RendezvousMessage[] = [
  { kind: "register", namespace: "room-1" },
  { kind: "attest", attestation: Uint8Array.of(9) },
  { kind: "reflex-query", addresses: [block], queryId: 5n },
  { kind: "reflex-reply", queryId: 5n, entries: [{ address: block, observerIndex: 2 }] },
  { kind: "connect", targetNode: node, ...introduction },
  { kind: "connect", targetNode: node, description: Uint8Array.of(1) },
  { kind: "introduce", fromNode: "ffffffffffffffff", ttlMs: 5_000, ...introduction },
  { kind: "answer", toNode: node, ...introduction },
  { kind: "reject", targetNode: node, attemptId: 0xffffffffffffffffn, reason: "target-busy", retryAfterMs: 500 },
  { kind: "reject", targetNode: null, attemptId: 0n, reason: "bad-namespace", retryAfterMs: 0 },
  { kind: "candidates", toNode: node, description: Uint8Array.of(1) },
  { kind: "roster", namespace: "r", nodes: [node, "ff00000000000000"], registered: 2 },
  { kind: "roster-delta", namespace: "r", joined: [node], left: [] },
  { kind: "unregister", namespace: "r" },
  {
    kind: "ice",
    servers: [{ url: "stun:a" }, { url: "turn:b", username: "u", credential: "c" }],
    relayAddresses: [{ ...block, port: 0 }],
    ttlS: 600,
  },
]

const raw = (...entries: [DcborValue, DcborValue][]) => encodeDcbor(new Map(entries))

describe("RENDEZVOUS messages (control-plane 6.2)", () => {
  test("every kind reads back", () => {
    for (const message of messages) expect(decodeRendezvousMessage(encodeRendezvousMessage(message))).toEqual(message)
  })

  test("what is decoded from a socket's buffer does not share its memory", () => {
    const buffer = Buffer.from(encodeRendezvousMessage({ kind: "attest", attestation: Uint8Array.of(9, 8) }))
    const message = decodeRendezvousMessage(buffer)
    buffer.fill(0)
    expect(message).toEqual({ kind: "attest", attestation: Uint8Array.of(9, 8) })
  })

  test("numbers of kinds and keys", () => {
    const kinds = messages.map((message) => encodeRendezvousMessage(message)[2])
    expect(kinds).toEqual([1, 2, 3, 4, 5, 5, 6, 7, 8, 8, 9, 10, 11, 12, 13])
    expect(toHex(encodeRendezvousMessage({ kind: "connect", targetNode: node, ...introduction }))).toBe(
      "a50005011901020242010203410308 4104".replace(" ", ""),
    )
    expect(toHex(encodeRendezvousMessage({ kind: "register", namespace: "r" }))).toBe("a2000101 6172".replace(" ", ""))
  })

  test("times are clamped, unknown reasons read as unspecified (6.7, 6.8)", () => {
    const introduce = (ttl: DcborValue) => raw([0, 6], [1, 5], [2, Uint8Array.of(1)], [4, ttl])
    expect(decodeRendezvousMessage(introduce(1))).toMatchObject({ ttlMs: 1_000 })
    expect(decodeRendezvousMessage(introduce(Number.MAX_SAFE_INTEGER))).toMatchObject({ ttlMs: 10_000 })
    expect(codeOf(() => decodeRendezvousMessage(introduce(2n ** 53n)))).toBe("RendezvousMalformed")
    const reject = (reason: DcborValue) => raw([0, 8], [1, 0], [2, 0], [3, reason], [4, 99_999])
    for (const reason of [0, 0x77, 0xff, 0x100, 0x105, 2n ** 64n - 1n]) {
      expect(decodeRendezvousMessage(reject(reason))).toMatchObject({ reason: "unspecified", retryAfterMs: 60_000 })
    }
    expect(decodeRendezvousMessage(reject(5))).toMatchObject({ reason: "target-busy" })
    expect(codeOf(() => decodeRendezvousMessage(reject("policy")))).toBe("RendezvousMalformed")
  })

  test("each of the eight addresses of a query can have been seen by eight observers", () => {
    const entries = (count: number) => Array.from({ length: count }, (_, i) => ({ address: block, observerIndex: i }))
    const reply: RendezvousMessage = { kind: "reflex-reply", queryId: 5n, entries: entries(64) }
    expect(decodeRendezvousMessage(encodeRendezvousMessage(reply))).toEqual(reply)
    const long = encodeRendezvousMessage({ ...reply, entries: entries(65) })
    expect(codeOf(() => decodeRendezvousMessage(long))).toBe("RendezvousMalformed")
  })

  test("wrong kinds, types, members and limits", () => {
    const nodes = (count: number) => Array.from({ length: count }, (_, i) => i + 1)
    const bad = [
      raw([0, 0]),
      raw([0, 14]),
      raw([1, 1]),
      encodeDcbor([0]),
      raw([0, 1]),
      raw([0, 1], [1, ""]),
      raw([0, 1], [1, "x".repeat(65)]),
      raw([0, 1], [1, "x"], [2, 1]),
      raw([0, 2], [1, "text"]),
      raw([0, 3], [1, Array(9).fill(new Uint8Array(19))], [2, 1]),
      raw([0, 3], [1, [new Uint8Array(18)]], [2, 1]),
      raw([0, 4], [2, 1], [3, [[new Uint8Array(19)]]]),
      raw([0, 5], [1, 0], [2, Uint8Array.of(1)]),
      raw([0, 5], [1, 5]),
      raw([0, 10], [1, "r"], [3, nodes(257)], [4, 1]),
      raw([0, 10], [1, "r"], [3, [0]], [4, 1]),
      raw(
        [0, 13],
        [
          3,
          [
            new Map<DcborValue, DcborValue>([
              [1, "u"],
              [2, "n"],
            ]),
          ],
        ],
        [4, []],
        [5, 1],
      ),
      raw([0, 13], [3, Array(9).fill(new Map([[1, "u"]]))], [4, []], [5, 1]),
    ]
    for (const bytes of bad) expect(codeOf(() => decodeRendezvousMessage(bytes))).toBe("RendezvousMalformed")
    expect(codeOf(() => decodeRendezvousMessage(new Uint8Array(8193)))).toBe("RendezvousMalformed")
    const large = { kind: "attest" as const, attestation: new Uint8Array(8200) }
    expect(codeOf(() => encodeRendezvousMessage(large))).toBe("UsageError")
  })

  test("any bytes", () => {
    const codes = ["RendezvousMalformed", "Malformed", "NonCanonical"] as const
    checkCodec({ decode: decodeRendezvousMessage, codes, samples: messages.map(encodeRendezvousMessage) })
  })

  test("any map of small values", () => {
    const small: fc.Arbitrary<DcborValue> = fc.oneof(
      fc.nat(20),
      fc.uint8Array({ maxLength: 20 }),
      fc.string({ maxLength: 4 }),
      fc.array(fc.oneof(fc.nat(5), fc.uint8Array({ minLength: 19, maxLength: 19 })), { maxLength: 3 }),
    )
    const map = fc.uniqueArray(fc.tuple(fc.nat(9), small), { maxLength: 6, selector: ([key]) => key })
    fc.assert(
      fc.property(fc.integer({ min: 1, max: 13 }), map, (kind, entries) => {
        const bytes = encodeDcbor(new Map<DcborValue, DcborValue>([...entries.filter(([key]) => key !== 0), [0, kind]]))
        const code = codeOf(() => decodeRendezvousMessage(bytes))
        expect([undefined, "RendezvousMalformed"]).toContain(code)
        if (code !== undefined) return
        const message = decodeRendezvousMessage(bytes)
        expect(decodeRendezvousMessage(encodeRendezvousMessage(message))).toEqual(message)
      }),
      { numRuns: 10_000 },
    )
  })
})
