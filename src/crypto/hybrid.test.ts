import { existsSync, readFileSync } from "node:fs"
import fc from "fast-check"
import { describe, expect, it } from "vitest"
import { fromHex, toHex } from "../wire/bytes.ts"
import { ed25519PublicKey, ed25519Sign } from "./ed25519.ts"
import { decodeHybridSignature, encodeHybridSignature, HYBRID_SIGNATURE_LENGTH, hybridSign, hybridVerify } from "./hybrid.ts"
import { mlDsaPublicKey, mlDsaSign, mlDsaVerify } from "./ml-dsa.ts"

const ED = new Uint8Array(32).fill(1)
const PQ = new Uint8Array(32).fill(2)
const MESSAGE = new Uint8Array([1, 2, 3])
const keys = { ed25519: ed25519PublicKey(ED), mlDsa65: mlDsaPublicKey(PQ) }
const signer = {
  signEd25519: (message: Uint8Array) => ed25519Sign(ED, message),
  signMlDsa65: (message: Uint8Array) => mlDsaSign(PQ, message),
}

describe("hybrid bound signature", () => {
  it("verifies, and each half is bound to the other", async () => {
    const signature = await hybridSign(signer, MESSAGE)
    expect(await hybridVerify(keys, MESSAGE, signature)).toBe(true)
    const other = await hybridSign(signer, new Uint8Array([4]))
    expect(await hybridVerify(keys, MESSAGE, { ed: signature.ed, pq: other.pq })).toBe(false)
    expect(await hybridVerify(keys, MESSAGE, { ed: other.ed, pq: signature.pq })).toBe(false)
    // An ML-DSA signature over the bare message is not the bound one.
    expect(await hybridVerify(keys, MESSAGE, { ed: signature.ed, pq: await mlDsaSign(PQ, MESSAGE) })).toBe(false)
    expect(await hybridVerify(keys, new Uint8Array([1, 2]), signature)).toBe(false)
  })

  it("never goes on with one half", async () => {
    const signature = await hybridSign(signer, MESSAGE)
    expect(await hybridVerify({ ed25519: keys.ed25519 }, MESSAGE, signature)).toBe(false)
    await expect(hybridSign({ signEd25519: signer.signEd25519 }, MESSAGE)).rejects.toMatchObject({ code: "SignerLacksPqc" })
    const broken = { ...signer, signMlDsa65: () => Promise.reject(new Error("no")) }
    await expect(hybridSign(broken, MESSAGE)).rejects.toMatchObject({ code: "SignerError" })
  })

  it("has one encoded form", async () => {
    const signature = await hybridSign(signer, MESSAGE)
    const encoded = encodeHybridSignature(signature)
    expect(encoded).toHaveLength(HYBRID_SIGNATURE_LENGTH)
    expect(decodeHybridSignature(encoded)).toEqual(signature)
    for (const length of [0, 63, 64, 65, 66, encoded.length - 1])
      expect(decodeHybridSignature(encoded.slice(0, length))).toBeUndefined()
    fc.assert(
      fc.property(fc.uint8Array({ minLength: 0, maxLength: 80 }), (bytes) => decodeHybridSignature(bytes) === undefined),
      { numRuns: 10_000 },
    )
    encoded[65] = (encoded[65] ?? 0) ^ 1
    expect(decodeHybridSignature(encoded)).toBeUndefined()
  })
})

describe("ML-DSA-65", () => {
  it("takes wrong lengths and garbage for invalid", async () => {
    const signature = await mlDsaSign(PQ, MESSAGE)
    expect(await mlDsaVerify(keys.mlDsa65, MESSAGE, signature)).toBe(true)
    expect(await mlDsaVerify(keys.mlDsa65, MESSAGE, signature, new Uint8Array([1]))).toBe(false)
    expect(await mlDsaVerify(keys.mlDsa65, MESSAGE, signature, new Uint8Array(256))).toBe(false)
    expect(await mlDsaVerify(keys.mlDsa65, MESSAGE, signature.slice(1))).toBe(false)
    expect(await mlDsaVerify(keys.mlDsa65.slice(1), MESSAGE, signature)).toBe(false)
    expect(await mlDsaVerify(keys.mlDsa65, MESSAGE, new Uint8Array(3309).fill(0xff))).toBe(false)
  })

  const folder = new URL("../../../shared/vectors/public/mldsa", import.meta.url).pathname
  it.skipIf(!existsSync(folder))("matches NIST ACVP and Wycheproof (skipped where they are absent)", async () => {
    const load = (name: string) => JSON.parse(readFileSync(`${folder}/${name}.json`, "utf8"))
    for (const c of load("acvp-keygen-mldsa65")) expect(toHex(mlDsaPublicKey(fromHex(c.seed)))).toBe(c.pk.toLowerCase())
    for (const c of load("acvp-sigver-mldsa65-external-pure")) {
      const verdict = await mlDsaVerify(fromHex(c.pk), fromHex(c.message), fromHex(c.signature), fromHex(c.context))
      expect(verdict).toBe(c.testPassed)
    }
    for (const group of load("wycheproof-mldsa_65_verify").testGroups) {
      for (const test of group.tests) {
        const context = test.ctx === undefined ? undefined : fromHex(test.ctx)
        const verdict = await mlDsaVerify(fromHex(group.publicKey), fromHex(test.msg), fromHex(test.sig), context)
        expect([test.tcId, verdict]).toEqual([test.tcId, test.result === "valid"])
      }
    }
  })
})
