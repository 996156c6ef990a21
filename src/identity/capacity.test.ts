import { beforeAll, describe, expect, it } from "vitest"
import { mlDsaPublicKey } from "../crypto/ml-dsa.ts"
import { capacityFromWire, capacityToWire, type RelayCapacity, type SignedRelayCapacity } from "../wire/capacity.ts"
import { UNCAPPED } from "../wire/layers.ts"
import { roomCapacityId, signCapacity, verifyCapacity } from "./capacity.ts"
import { type IdentitySigner, signerFromSeeds } from "./signer.ts"

const capacity: RelayCapacity = {
  uplinkMbps: 33.3,
  maxStreams: 4,
  maxSubscribersPerStream: 16,
  measuredAtUnixMs: 1_700_000_000_000n,
  maxLayerSupported: UNCAPPED,
  subStreamCommitments: [{ subStreamPath: Uint8Array.of(1), uplinkBudgetMbps: 10, maxSubscribers: 4 }],
}
const streamId = roomCapacityId(new Uint8Array(32).fill(3))
const seed = (byte: number) => new Uint8Array(32).fill(byte)

let signer: IdentitySigner
let signed: SignedRelayCapacity
let keys: { ed25519: Uint8Array; mlDsa65: Uint8Array }

beforeAll(async () => {
  signer = await signerFromSeeds(seed(1), seed(2))
  signed = await signCapacity(capacity, streamId, 7n, signer.keyId, signer)
  keys = { ed25519: signer.entityId, mlDsa65: signer.mlDsaPublicKey }
})

const code = (promise: Promise<unknown>) =>
  promise.then(
    () => "verified",
    (error: { code?: string }) => error.code,
  )

describe("a signed capacity", () => {
  it("verifies, also after the wire", async () => {
    expect(await code(verifyCapacity(signed, keys))).toBe("verified")
    expect(await code(verifyCapacity(capacityFromWire(capacityToWire(signed)), keys))).toBe("verified")
  })

  it("is refused by one name whatever was changed", async () => {
    const { capacity: own } = signed
    const [first] = own.subStreamCommitments
    const changed: Partial<SignedRelayCapacity>[] = [
      { epoch: 8n },
      { streamId: new Uint8Array(32) },
      { capacity: { ...own, uplinkMbps: 99 } },
      { capacity: { ...own, measuredAtUnixMs: own.measuredAtUnixMs + 1n } },
      { capacity: { ...own, subStreamCommitments: [] } },
      { capacity: { ...own, subStreamCommitments: [{ ...first!, maxSubscribers: 5 }] } },
      { signatureEd25519Base64: signed.signatureEd25519Base64.replace(/^./, (c) => (c === "A" ? "B" : "A")) },
      { signatureMlDsa65Base64: signed.signatureMlDsa65Base64.replace(/^./, (c) => (c === "A" ? "B" : "A")) },
      { signatureEd25519Base64: "not base64" },
      { signatureMlDsa65Base64: "" },
    ]
    for (const change of changed) expect(await code(verifyCapacity({ ...signed, ...change }, keys))).toBe("SignatureInvalid")
    const other = { ed25519: keys.ed25519, mlDsa65: mlDsaPublicKey(seed(9)) }
    expect(await code(verifyCapacity(signed, other))).toBe("SignatureInvalid")
  })

  it("needs both kinds of key on both sides", async () => {
    const classical = await signerFromSeeds(seed(1))
    expect(await code(signCapacity(capacity, streamId, 7n, classical.keyId, classical))).toBe("SignerLacksPqc")
    expect(await code(verifyCapacity(signed, { ed25519: keys.ed25519 }))).toBe("PqcPubkeyMissing")
  })

  it("is not made of values outside the limits", async () => {
    const bad = { ...capacity, uplinkMbps: Number.NaN }
    expect(await code(signCapacity(bad, streamId, 7n, signer.keyId, signer))).toBe("CapacityInvalid")
  })
})

it("the room's id depends on the room", () => {
  expect(roomCapacityId(seed(1))).not.toEqual(roomCapacityId(seed(2)))
  expect(roomCapacityId(seed(1))).toHaveLength(32)
})
