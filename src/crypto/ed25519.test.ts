import { ed25519 } from "@noble/curves/ed25519.js"
import fc from "fast-check"
import { describe, expect, it } from "vitest"
import { fromHex, toHex } from "../wire/bytes.ts"
import {
  ed25519PublicKey,
  ed25519Sign,
  ed25519Verify,
  hasNativeEd25519,
  isEd25519PublicKey,
  portableEd25519Verify,
} from "./ed25519.ts"
import { isStrictEd25519 } from "./ed25519-strict.ts"
import { signLabelled, verifyLabelled } from "./labelled.ts"
import { concat } from "./layout.ts"

const SEED = fromHex("9d61b19deffd5a60ba844af492ec2cc44449c5697b326919703bac031cae7f60")
const PUBLIC = "d75a980182b10ab7d54bfed3c964073a0ee172f3daa62325af021a68f707511a"
const SIGNATURE =
  "e5564300c360ac729086e2cc806e828a84877f1eb8e5d974d873e065224901555fb8821590a33bacc61e39701cf9b46bd25bf5f0595bbe24655141438e7a100b"
/** A point of order 8. */
const TORSION = fromHex("26e8958fc2b227b045c3f489f2ef98f0d5dfac05d3c63339b13802886d53fc05")
const ORDER = 2n ** 252n + 27742317777372353535851937790883648493n

async function both(publicKey: Uint8Array, message: Uint8Array, signature: Uint8Array): Promise<boolean> {
  const verdict = await ed25519Verify(publicKey, message, signature)
  expect(portableEd25519Verify(publicKey, message, signature)).toBe(verdict)
  return verdict
}

function littleEndian(value: bigint): Uint8Array {
  return Uint8Array.from({ length: 32 }, (_, i) => Number((value >> BigInt(8 * i)) & 255n))
}

describe("Ed25519", () => {
  it("matches RFC 8032 test 1", async () => {
    expect(toHex(ed25519PublicKey(SEED))).toBe(PUBLIC)
    expect(toHex(await ed25519Sign(SEED, new Uint8Array(0)))).toBe(SIGNATURE)
    expect(await both(fromHex(PUBLIC), new Uint8Array(0), fromHex(SIGNATURE))).toBe(true)
  })

  it("native and portable give one verdict, also on flipped bits", async () => {
    expect(await hasNativeEd25519()).toBe(true)
    await fc.assert(
      fc.asyncProperty(fc.uint8Array({ maxLength: 60 }), fc.nat({ max: 511 }), async (message, bit) => {
        const signature = await ed25519Sign(SEED, message)
        expect(await both(fromHex(PUBLIC), message, signature)).toBe(true)
        signature[bit >> 3] = (signature[bit >> 3] ?? 0) ^ (1 << (bit & 7))
        expect(await both(fromHex(PUBLIC), message, signature)).toBe(false)
      }),
      { numRuns: 60 },
    )
  })

  it("refuses a nonce point with a small-order part, which a cofactored check would take", async () => {
    const Point = ed25519.Point
    const { scalar, pointBytes } = ed25519.utils.getExtendedPublicKey(SEED)
    const nonce = 12345n
    const nonceBytes = Point.BASE.multiply(nonce).add(Point.fromBytes(TORSION)).toBytes()
    const { sha512 } = await import("@noble/hashes/sha2.js")
    const message = new Uint8Array([9])
    const challenge = BigInt(`0x${toHex(sha512(concat(nonceBytes, pointBytes, message)).reverse())}`) % ORDER
    const signature = concat(nonceBytes, littleEndian((nonce + challenge * scalar) % ORDER))
    expect(isStrictEd25519(pointBytes, signature)).toBe(true)
    expect(ed25519.verify(signature, message, pointBytes)).toBe(true)
    expect(await both(pointBytes, message, signature)).toBe(false)
  })

  it("refuses S + L, non-canonical and small-order points, zero signatures and wrong lengths", async () => {
    const message = new Uint8Array(0)
    const good = fromHex(SIGNATURE)
    const s = BigInt(`0x${toHex(good.slice(32).reverse())}`)
    const malleable = concat(good.slice(0, 32), littleEndian(s + ORDER))
    expect(await both(fromHex(PUBLIC), message, malleable)).toBe(false)
    expect(await both(fromHex(PUBLIC), message, new Uint8Array(64))).toBe(false)
    const bad = [
      new Uint8Array(32),
      TORSION,
      fromHex("ecffffffffffffffffffffffffffffffffffffffffffffffffffffffffffffff"),
      fromHex("edffffffffffffffffffffffffffffffffffffffffffffffffffffffffffff7f"),
      fromHex("eeffffffffffffffffffffffffffffffffffffffffffffffffffffffffffffff"),
    ]
    for (const point of bad) {
      expect(await both(point, message, good)).toBe(false)
      expect(await both(fromHex(PUBLIC), message, concat(point, good.slice(32)))).toBe(false)
      expect(isEd25519PublicKey(point)).toBe(false)
    }
    expect(await both(fromHex(PUBLIC).slice(1), message, good)).toBe(false)
    expect(await both(fromHex(PUBLIC), message, good.slice(1))).toBe(false)
  })

  it("never throws on garbage", async () => {
    await fc.assert(
      fc.asyncProperty(fc.uint8Array({ maxLength: 40 }), fc.uint8Array({ maxLength: 70 }), async (key, signature) => {
        expect(await ed25519Verify(key, signature, signature)).toBe(false)
      }),
      { numRuns: 10_000 },
    )
    await fc.assert(
      fc.asyncProperty(
        fc.uint8Array({ minLength: 32, maxLength: 32 }),
        fc.uint8Array({ minLength: 64, maxLength: 64 }),
        async (key, sig) => {
          sig[63] = 0
          expect(await both(key, sig, sig)).toBe(false)
        },
      ),
      { numRuns: 100 },
    )
  })
})

it("a label keeps kinds of objects apart", async () => {
  const signer = { signEd25519: (message: Uint8Array) => ed25519Sign(SEED, message) }
  const body = new Uint8Array([1, 2, 3])
  const signature = await signLabelled("mesh/hello/v1", body, signer)
  expect(await verifyLabelled("mesh/hello/v1", body, fromHex(PUBLIC), signature)).toBe(true)
  expect(await verifyLabelled("mesh/desc/v1", body, fromHex(PUBLIC), signature)).toBe(false)
  expect(await ed25519Verify(fromHex(PUBLIC), body, signature)).toBe(false)
})
