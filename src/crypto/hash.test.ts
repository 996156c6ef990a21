import { createHash, createHmac, hkdfSync as nodeHkdf } from "node:crypto"
import fc from "fast-check"
import { describe, expect, it } from "vitest"
import { fromHex, toHex } from "../wire/bytes.ts"
import { hkdf, hkdfExpandSync, hkdfSync, hmacSha256Sync, keyedBlake2s, sha256, sha256Sync } from "./hash.ts"
import { ascii } from "./layout.ts"

const bytes = (max: number) => fc.uint8Array({ maxLength: max })

describe("hashes agree with another implementation", () => {
  it("SHA-256, short and long", async () => {
    await fc.assert(
      fc.asyncProperty(bytes(12_000), async (data) => {
        const expected = createHash("sha256").update(data).digest("hex")
        expect(toHex(sha256Sync(data))).toBe(expected)
        expect(toHex(await sha256(data))).toBe(expected)
      }),
      { numRuns: 200 },
    )
  })

  it("HMAC and HKDF", async () => {
    await fc.assert(
      fc.asyncProperty(bytes(80), bytes(80), bytes(80), fc.integer({ min: 1, max: 200 }), async (key, salt, info, length) => {
        expect(toHex(hmacSha256Sync(key, info))).toBe(createHmac("sha256", key).update(info).digest("hex"))
        const expected = Buffer.from(nodeHkdf("sha256", key, salt, info, length)).toString("hex")
        expect(toHex(await hkdf(key, salt, info, length))).toBe(expected)
      }),
      { numRuns: 200 },
    )
  })

  it("HKDF test case 1 of RFC 5869", () => {
    const ikm = new Uint8Array(22).fill(0x0b)
    const okm = "3cb25f25faacd57a90434f64d0362f2a2d2d0a90cf1a5a4c5db02d56ecc4c5bf34007208d5b887185865"
    const salt = fromHex("000102030405060708090a0b0c")
    const info = fromHex("f0f1f2f3f4f5f6f7f8f9")
    expect(toHex(hkdfSync(ikm, salt, info, 42))).toBe(okm)
    const prk = fromHex("077709362c2e32df0ddc3f0dc47bba6390b6c73bb50f9c3122ec844ad7c2b3e5")
    expect(toHex(hkdfExpandSync(prk, info, 42))).toBe(okm)
  })

  it("keyed BLAKE2s is keyed mode, not a prefix", () => {
    const keyed = keyedBlake2s("net-node-id-v1", new Uint8Array(32))
    const prefixed = createHash("blake2s256").update(ascii("net-node-id-v1")).update(new Uint8Array(32)).digest("hex")
    expect(toHex(keyed)).not.toBe(prefixed)
    expect(keyed).toHaveLength(32)
  })
})
