import { existsSync, readFileSync } from "node:fs"
import { ml_kem768_x25519 } from "@noble/post-quantum/hybrid.js"
import { describe, expect, it } from "vitest"
import { fromHex, toHex } from "../wire/bytes.ts"
import { importMlKemSeed, mlKemDecapsulate, mlKemEncapsulate, mlKemKeyPair } from "./ml-kem.ts"
import { x25519KeyPair, x25519PublicKey, x25519Shared } from "./x25519.ts"
import {
  xwingDecapsulate,
  xwingDeriveKeyPair,
  xwingEncapsulate,
  xwingForget,
  xwingKeyPair,
  xwingKeyPairFromSeed,
} from "./xwing.ts"

const seed = (fill: number, length = 32) => new Uint8Array(length).fill(fill)

describe("X25519", () => {
  it("matches RFC 7748 6.1", async () => {
    const bob = fromHex("5dab087e624a8a4b79e17f8b83800ee66f3bb1292618b6fd1c2f8b27ff88e0eb")
    expect(toHex(x25519PublicKey(bob))).toBe("de9edb7d7b7dc1b4d35b61c2ece435373f8343c85b78674dadfc7e146f882b4f")
    const alicePublic = fromHex("8520f0098930a754748b7ddcb43ef75a0dbf3a0d26381af4eba4a98eaa9b4e6a")
    expect(toHex(await x25519Shared(bob, alicePublic))).toBe("4a5d9d5ba4ce2de1728e3bf480350f25e07e21c947d19e3376f09b3c1e161742")
  })

  it("refuses small-order keys and wrong lengths", async () => {
    const { secretKey } = x25519KeyPair()
    const one = Uint8Array.from({ length: 32 }, (_, i) => (i === 0 ? 1 : 0))
    for (const peer of [new Uint8Array(32), one, fromHex("e0eb7a7c3b41b8ae1656e3faf19fc46ada098deb9c32b1fd866205165f49b800")]) {
      await expect(x25519Shared(secretKey, peer)).rejects.toMatchObject({ code: "KeyInvalid" })
    }
    await expect(x25519Shared(secretKey, new Uint8Array(31))).rejects.toMatchObject({ code: "KeyInvalid" })
    await expect(x25519Shared(secretKey.slice(1), x25519PublicKey(secretKey))).rejects.toMatchObject({ code: "KeyInvalid" })
  })
})

describe("ML-KEM-768", () => {
  it("both ends agree; a changed ciphertext gives another secret, not an error", async () => {
    const { publicKey, secretKey } = await mlKemKeyPair()
    const { ciphertext, sharedSecret } = await mlKemEncapsulate(publicKey)
    expect(toHex(await mlKemDecapsulate(secretKey, ciphertext))).toBe(toHex(sharedSecret))
    ciphertext[5] = (ciphertext[5] ?? 0) ^ 1
    const rejected = await mlKemDecapsulate(await importMlKemSeed(secretKey), ciphertext)
    expect(toHex(rejected)).not.toBe(toHex(sharedSecret))
    expect(toHex(await mlKemDecapsulate(secretKey, ciphertext))).toBe(toHex(rejected))
  })

  it("refuses impossible keys and lengths", async () => {
    // Coefficients above q - 1.
    await expect(mlKemEncapsulate(seed(0xff, 1184))).rejects.toMatchObject({ code: "KeyInvalid" })
    await expect(mlKemEncapsulate(seed(1, 1183))).rejects.toMatchObject({ code: "KeyInvalid" })
    await expect(mlKemDecapsulate(seed(1, 64), seed(1, 1087))).rejects.toMatchObject({ code: "KeyInvalid" })
    await expect(mlKemDecapsulate(seed(1, 63), seed(1, 1088))).rejects.toMatchObject({ code: "KeyInvalid" })
  })
})

describe("X-Wing", () => {
  it("is the same KEM as the library's own composition", async () => {
    for (let i = 0; i < 5; i++) {
      const pair = xwingKeyPairFromSeed(seed(i))
      const theirs = ml_kem768_x25519.keygen(seed(i))
      expect(toHex(pair.publicKey)).toBe(toHex(theirs.publicKey))
      const randomness = seed(40 + i, 64)
      const sent = await xwingEncapsulate(pair.publicKey, randomness)
      const other = ml_kem768_x25519.encapsulate(pair.publicKey, randomness)
      expect(toHex(sent.ciphertext)).toBe(toHex(other.cipherText))
      expect(toHex(sent.sharedSecret)).toBe(toHex(other.sharedSecret))
      expect(toHex(await xwingDecapsulate(pair.secretKey, sent.ciphertext))).toBe(toHex(sent.sharedSecret))
    }
  })

  it("keeps working when the cache of expanded keys overflows or forgets", async () => {
    const pair = xwingKeyPair()
    const { ciphertext, sharedSecret } = await xwingEncapsulate(pair.publicKey)
    for (let i = 0; i < 70; i++) await xwingDecapsulate(seed(i), ciphertext)
    expect(toHex(await xwingDecapsulate(pair.secretKey, ciphertext))).toBe(toHex(sharedSecret))
    xwingForget(pair.secretKey)
    expect(toHex(await xwingDecapsulate(pair.secretKey, ciphertext))).toBe(toHex(sharedSecret))
  })

  it("DeriveKeyPair is deterministic and takes any length", () => {
    expect(toHex(xwingDeriveKeyPair(seed(1, 7)).secretKey)).toBe(toHex(xwingDeriveKeyPair(seed(1, 7)).secretKey))
    expect(toHex(xwingDeriveKeyPair(seed(1, 7)).secretKey)).not.toBe(toHex(xwingDeriveKeyPair(seed(1, 8)).secretKey))
  })

  it("refuses wrong lengths and small-order points", async () => {
    const pair = xwingKeyPair()
    const { ciphertext } = await xwingEncapsulate(pair.publicKey)
    await expect(xwingEncapsulate(pair.publicKey.slice(1))).rejects.toMatchObject({ code: "KeyInvalid" })
    await expect(xwingDecapsulate(pair.secretKey, ciphertext.slice(1))).rejects.toMatchObject({ code: "KeyInvalid" })
    ciphertext.fill(0, 1088)
    await expect(xwingDecapsulate(pair.secretKey, ciphertext)).rejects.toMatchObject({ code: "KeyInvalid" })
  })

  const vectors = new URL("../../../shared/vectors/public/xwing-draft06.json", import.meta.url).pathname
  it.skipIf(!existsSync(vectors))("matches the draft's vectors (skipped where they are absent)", async () => {
    const cases = JSON.parse(readFileSync(vectors, "utf8")) as {
      seed: string
      eseed: string
      pk: string
      ct: string
      ss: string
    }[]
    for (const c of cases) {
      const pair = xwingKeyPairFromSeed(fromHex(c.seed))
      expect(toHex(pair.publicKey)).toBe(c.pk)
      const sent = await xwingEncapsulate(pair.publicKey, fromHex(c.eseed))
      expect(toHex(sent.ciphertext)).toBe(c.ct)
      expect(toHex(sent.sharedSecret)).toBe(c.ss)
      expect(toHex(await xwingDecapsulate(pair.secretKey, fromHex(c.ct)))).toBe(c.ss)
    }
  })
})
