import fc from "fast-check"
import { describe, expect, it } from "vitest"
import { isAvError } from "../../wire/errors.ts"
import {
  decodeKex1,
  decodeKex2,
  decodeKex3,
  encodeKex1,
  encodeKex2,
  encodeKex2Body,
  encodeKex3,
  KEX2_LENGTH,
  KEX3_LENGTH,
} from "./kex-messages.ts"
import { deriveLinkKey, kexAuthMessage, kexTranscript } from "./link-keys.ts"

const fill = (length: number, value: number) => new Uint8Array(length).fill(value)
const kex1 = { x25519: fill(32, 1), mlKem: fill(1184, 2), nonce: fill(16, 3) }
const kex2 = { x25519: fill(32, 4), ciphertext: fill(1088, 5), nonce: fill(16, 6) }
const signature = { ed: fill(64, 7), pq: fill(3309, 8) }

describe("kex messages", () => {
  it("have the lengths of D-34 and come back as they were", () => {
    const one = encodeKex1(kex1)
    expect([one.length, one[0]]).toEqual([1233, 1])
    expect(decodeKex1(one)).toEqual(kex1)
    const body = encodeKex2Body(kex2)
    expect([body.length, body[0]]).toEqual([1137, 2])
    const two = encodeKex2(body, signature)
    expect(decodeKex2(two)).toEqual({ body, message: kex2, signature })
    const three = encodeKex3(signature)
    expect(three[0]).toBe(3)
    expect(decodeKex3(three)).toEqual(signature)
  })

  it("refuse every other length, step and signature length", () => {
    const invalid = expect.objectContaining({ code: "KexInvalid" })
    const one = encodeKex1(kex1)
    expect(() => decodeKex1(one.slice(1))).toThrow(invalid)
    expect(() => decodeKex1(new Uint8Array([...one, 0]))).toThrow(invalid)
    expect(() => decodeKex3(fill(KEX3_LENGTH, 3))).toThrow(invalid)
    expect(() => decodeKex2(fill(KEX2_LENGTH, 2))).toThrow(invalid)
    one[0] = 2
    expect(() => decodeKex1(one)).toThrow(invalid)
    expect(() => encodeKex1({ ...kex1, nonce: fill(15, 0) })).toThrow(expect.objectContaining({ code: "UsageError" }))
  })

  it("are total decoders", () => {
    const lengths = fc.constantFrom(0, 1, 10, 1233, KEX2_LENGTH, KEX3_LENGTH)
    fc.assert(
      fc.property(lengths, fc.nat({ max: 4 }), fc.nat({ max: 255 }), (length, step, value) => {
        const bytes = fill(length, value)
        if (length > 0) bytes[0] = step
        for (const decode of [decodeKex1, decodeKex2, decodeKex3]) {
          try {
            decode(bytes)
          } catch (error) {
            expect(isAvError(error, "KexInvalid")).toBe(true)
          }
        }
      }),
      { numRuns: 10_000 },
    )
  })

  it("every byte of both messages enters key and signed message", async () => {
    const [one, two] = [encodeKex1(kex1), encodeKex2Body(kex2)]
    const key = (a: Uint8Array, b: Uint8Array) => deriveLinkKey(fill(32, 1), fill(32, 2), a, b, "alice", "bob")
    const changed = two.slice()
    changed[1136] = 0
    expect(await key(one, two)).not.toEqual(await key(one, changed))
    expect(kexTranscript(one, two)).not.toEqual(kexTranscript(one, changed))
    const transcript = kexTranscript(one, two)
    expect(kexAuthMessage("initiator", transcript, "a", "b")).not.toEqual(kexAuthMessage("responder", transcript, "a", "b"))
  })
})
