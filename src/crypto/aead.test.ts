import fc from "fast-check"
import { expect, it } from "vitest"
import { aeadOpen, aeadSeal, importAeadKey } from "./aead.ts"

const NONCE = new Uint8Array(12).fill(1)
const AAD = new Uint8Array([1, 2])

it("opens what it sealed, and nothing that was changed in one bit", async () => {
  const key = await importAeadKey(new Uint8Array(32).fill(7))
  await fc.assert(
    fc.asyncProperty(fc.uint8Array({ maxLength: 100 }), fc.nat(), async (plaintext, bit) => {
      const sealed = await aeadSeal(key, NONCE, AAD, plaintext)
      expect(sealed).toHaveLength(plaintext.length + 16)
      expect(await aeadOpen(key, NONCE, AAD, sealed)).toEqual(plaintext)
      const at = bit % (sealed.length * 8)
      sealed[at >> 3] = (sealed[at >> 3] ?? 0) ^ (1 << (at & 7))
      expect(await aeadOpen(key, NONCE, AAD, sealed)).toBeNull()
    }),
    { numRuns: 300 },
  )
})

it("binds nonce and associated data, and survives short input", async () => {
  const key = await importAeadKey(new Uint8Array(32).fill(7))
  const sealed = await aeadSeal(key, NONCE, AAD, new Uint8Array(5))
  expect(await aeadOpen(key, new Uint8Array(12), AAD, sealed)).toBeNull()
  expect(await aeadOpen(key, NONCE, new Uint8Array(0), sealed)).toBeNull()
  for (let length = 0; length < sealed.length; length++)
    expect(await aeadOpen(key, NONCE, AAD, sealed.slice(0, length))).toBeNull()
})

it("refuses keys and nonces of another length, and never gives a key out", async () => {
  await expect(importAeadKey(new Uint8Array(16))).rejects.toMatchObject({ code: "KeyInvalid" })
  const key = await importAeadKey(new Uint8Array(32))
  await expect(aeadSeal(key, new Uint8Array(11), AAD, AAD)).rejects.toMatchObject({ code: "KeyInvalid" })
  await expect(crypto.subtle.exportKey("raw", key)).rejects.toThrow()
})
