import fc from "fast-check"
import { describe, expect, it } from "vitest"
import { fromHex, toHex, utf8Encode } from "../../wire/bytes.ts"
import { codeOf, damaged, FUZZ_RUNS } from "../../wire/testing.ts"
import { consentBytes, readConsent, readTrustGrant, readTrustRevoke, trustGrantBytes, trustRevokeBytes } from "./bodies.ts"
import { compressRequestBytes, holdingClaimBytes, requireRange } from "./holding.ts"
import { type ClaimStatement, extractOwnerBindingForDestinationGate, signedClaimBytes } from "./signed-claim.ts"

const HOLDING = { peerId: "abc", contentId: "d", symbolIds: [3, 1, 2], observedAtUnixMs: -1n, claimVersion: 1 }
const CLAIM: ClaimStatement = {
  claimKind: "tg",
  signerPeerId: "P",
  claimBytes: fromHex("ABCD"),
  signedAtUnixMs: 1n,
  claimVersion: 1,
  userOwner: null,
  delegatesTo: null,
  identityOccurrence: null,
}
const GRANT = { granter: "g", grantee: "é", grantedAtUnixMs: 5n, chainDepth: 0, weight: 255, expiresAtUnixMs: 0n }
const REVOKE = { granter: "g", grantee: "é", revokedAtUnixMs: 6n }
const CONSENT = { contentId: "c", corpusKind: "k", state: 2, atUnixMs: 7n, expiresAtUnixMs: 0n }

describe("a holding claim", () => {
  it("is the same whatever the order of its symbols", () => {
    expect(holdingClaimBytes({ ...HOLDING, symbolIds: [1, 2, 3] })).toEqual(holdingClaimBytes(HOLDING))
    expect(holdingClaimBytes({ ...HOLDING, symbolIds: [1, 2, 2, 3] })).not.toEqual(holdingClaimBytes(HOLDING))
  })

  it("has the same bytes whoever signed it, and the fields in their order", () => {
    const signed = { ...HOLDING, signature: "x", signatureMlDsa65: "y", pqcKeyId: "z" }
    expect(holdingClaimBytes(signed)).toEqual(holdingClaimBytes(HOLDING))
    const fields = [
      "0000000000000003616263",
      "000000000000000164",
      "0000000000000003",
      "000000010000000200000003",
      "f".repeat(16),
      "00000001",
    ]
    expect(toHex(holdingClaimBytes(HOLDING))).toMatch(new RegExp(`${fields.join("")}$`))
  })

  it("keeps the border between its texts", () => {
    const moved = { ...HOLDING, peerId: "ab", contentId: "cd" }
    expect(holdingClaimBytes(moved)).not.toEqual(holdingClaimBytes(HOLDING))
  })

  it("writes times before 1970, and refuses what has no bytes", () => {
    expect(toHex(holdingClaimBytes(HOLDING))).toMatch(/ffffffffffffffff00000001$/)
    expect(codeOf(() => holdingClaimBytes({ ...HOLDING, symbolIds: [-1] }))).toBe("IntegerOutOfRange")
    expect(codeOf(() => holdingClaimBytes({ ...HOLDING, symbolIds: [2 ** 32] }))).toBe("IntegerOutOfRange")
    expect(codeOf(() => holdingClaimBytes({ ...HOLDING, observedAtUnixMs: 1n << 63n }))).toBe("IntegerOutOfRange")
    expect(codeOf(() => holdingClaimBytes({ ...HOLDING, peerId: "\ud800" }))).toBe("IllFormedString")
  })
})

describe("a compress request", () => {
  const request = {
    peerId: "p",
    contentId: "c",
    evictingRangeLow: 4,
    evictingRangeHigh: 4,
    deadlineUnixMs: 9n,
    requestVersion: 1,
  }

  it("names a range with both ends in it", () => {
    requireRange(request)
    expect(codeOf(() => requireRange({ ...request, evictingRangeHigh: 3 }))).toBe("InvalidRange")
    expect(compressRequestBytes(request)).toHaveLength(30 + 8 + 1 + 8 + 1 + 4 + 4 + 8 + 4)
  })
})

describe("a signed claim", () => {
  it("has each field at its place", () => {
    const hex = toHex(signedClaimBytes(CLAIM))
    const parts = [
      "43495249532d434c41494d2d76310000",
      "0000000000000001",
      "0001",
      "000000027467",
      "0000000150",
      `00000004${toHex(utf8Encode("abcd"))}`,
      "000000",
    ]
    expect(hex).toBe(parts.join(""))
    expect(hex.length / 2).toBe(48)
  })

  it("tells an empty owner from none", () => {
    expect(signedClaimBytes({ ...CLAIM, userOwner: "" })).not.toEqual(signedClaimBytes(CLAIM))
  })

  it("changes with every field", () => {
    const changes: Partial<ClaimStatement>[] = [
      {},
      { claimKind: "th" },
      { signerPeerId: "Q" },
      { claimBytes: fromHex("abce") },
      { signedAtUnixMs: 2n },
      { claimVersion: 2 },
      { userOwner: "o" },
      { delegatesTo: "o" },
      { identityOccurrence: "o" },
    ]
    const all = changes.map((change) => toHex(signedClaimBytes({ ...CLAIM, ...change })))
    expect(new Set(all).size).toBe(changes.length)
  })

  it("shows its owner only when complete", () => {
    const whole = { userOwner: "u", delegatesTo: "", identityOccurrence: "o" }
    expect(extractOwnerBindingForDestinationGate(whole)).toEqual(whole)
    expect(extractOwnerBindingForDestinationGate({ ...whole, delegatesTo: null })).toBeUndefined()
    expect(extractOwnerBindingForDestinationGate(CLAIM)).toBeUndefined()
  })
})

describe("bodies of claims", () => {
  const kinds = [
    {
      name: "grant",
      bytes: trustGrantBytes(GRANT),
      read: readTrustGrant,
      write: trustGrantBytes,
      value: GRANT,
      code: "ChainClaimMalformed",
    },
    {
      name: "revocation",
      bytes: trustRevokeBytes(REVOKE),
      read: readTrustRevoke,
      write: trustRevokeBytes,
      value: REVOKE,
      code: "ChainClaimMalformed",
    },
    { name: "consent", bytes: consentBytes(CONSENT), read: readConsent, write: consentBytes, value: CONSENT, code: "Malformed" },
  ] as const

  it.each(kinds)("a $name is read as written, and nothing beside it", ({ bytes, read, value, code }) => {
    expect(read(bytes)).toEqual(value)
    expect(codeOf(() => read(bytes.subarray(0, -1)))).toBe(code)
    expect(codeOf(() => read(Uint8Array.of(...bytes, 0)))).toBe(code)
    for (const other of kinds) if (other.bytes !== bytes) expect(codeOf(() => read(other.bytes))).toBe(code)
  })

  it.each(kinds)("hostile bytes for a $name are refused, or are the one spelling of what was read", (kind) => {
    const read = kind.read as (bytes: Uint8Array) => unknown
    const write = kind.write as (value: unknown) => Uint8Array
    const inputs = fc.oneof(fc.uint8Array({ maxLength: 120 }), damaged([kind.bytes]))
    fc.assert(
      fc.property(inputs, (bytes) => {
        let value: unknown
        const code = codeOf(() => {
          value = read(bytes)
        })
        if (code === undefined) expect(toHex(write(value))).toBe(toHex(bytes))
        else expect(code).toBe(kind.code)
      }),
      { numRuns: FUZZ_RUNS },
    )
  })
})
