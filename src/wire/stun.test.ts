import fc from "fast-check"
import { describe, expect, test } from "vitest"
import { addressFromText, addressToText } from "./address.ts"
import { fromHex, toHex } from "./bytes.ts"
import {
  decodeBindingRequest,
  decodeBindingResponse,
  encodeBindingRequest,
  encodeBindingResponse,
  MAX_STUN_LENGTH,
} from "./stun.ts"

const transaction = fromHex("b7e7a701bc34d686fa87dfae")

/** RFC 5769, 2.2 and 2.3: with SOFTWARE before the address, MESSAGE-INTEGRITY and FINGERPRINT after it. */
const RFC_IPV4 = fromHex(
  `0101003c2112a442b7e7a701bc34d686fa87dfae8022000b7465737420766563746f7220002000080001a147e112a643${
    "000800142b91f599fd9e90c38c7489f92af9ba53f06be7d7" + "80280004c07d4c96"
  }`,
)
const RFC_IPV6 = fromHex(
  `010100482112a442b7e7a701bc34d686fa87dfae8022000b7465737420766563746f7220002000140002a1470113a9faa5d3f179bc25f4b5bed2b9d9${
    "00080014a382954e4be67bf11784c97c8292c275bfe3ed41" + "80280004c8fb0b4c"
  }`,
)

describe("STUN Binding", () => {
  test("reads the answers of RFC 5769", () => {
    const four = decodeBindingResponse(RFC_IPV4)
    expect(four && [addressToText(four.mapped), four.mapped.port, toHex(four.transaction)]).toEqual([
      "192.0.2.1",
      32_853,
      toHex(transaction),
    ])
    const six = decodeBindingResponse(RFC_IPV6)
    expect(six && [addressToText(six.mapped), six.mapped.port]).toEqual(["2001:db8:1234:5678:11:2233:4455:6677", 32_853])
  })

  test("asks, also for an answer from elsewhere, and answers in at most 44 bytes", () => {
    for (const fromElsewhere of [false, true]) {
      const bytes = encodeBindingRequest({ transaction, fromElsewhere })
      expect(bytes.length).toBe(fromElsewhere ? 28 : 20)
      expect(decodeBindingRequest(bytes)).toEqual({ transaction, fromElsewhere })
      expect(decodeBindingResponse(bytes)).toBeUndefined()
    }
    for (const [host, length] of [
      ["203.0.113.9", 32],
      ["2001:db8::9", 44],
    ] as const) {
      const mapped = addressFromText(host, 61_000)!
      const bytes = encodeBindingResponse({ transaction, mapped })
      expect(bytes.length).toBe(length)
      expect(decodeBindingResponse(bytes)).toEqual({ transaction, mapped })
      expect(decodeBindingRequest(bytes)).toBeUndefined()
    }
  })

  test("any bytes are a message or nothing, and no cut or longer one is", () => {
    fc.assert(
      fc.property(fc.uint8Array({ maxLength: 120 }), fc.integer({ min: 0, max: 119 }), fc.nat(255), (noise, at, byte) => {
        expect([decodeBindingRequest(noise), decodeBindingResponse(noise)]).toEqual([undefined, undefined])
        const bent = RFC_IPV6.slice()
        bent[at % bent.length] = byte
        decodeBindingRequest(bent)
        decodeBindingResponse(bent)
      }),
      { numRuns: 10_000 },
    )
    for (let length = 0; length < RFC_IPV6.length; length++) {
      expect(decodeBindingResponse(RFC_IPV6.subarray(0, length))).toBeUndefined()
    }
    expect(decodeBindingResponse(new Uint8Array([...RFC_IPV4, 0, 0, 0, 0]))).toBeUndefined()
    const long = new Uint8Array(MAX_STUN_LENGTH + 4)
    long.set(encodeBindingRequest({ transaction, fromElsewhere: false }))
    new DataView(long.buffer).setUint16(2, long.length - 20)
    expect(decodeBindingRequest(long)).toBeUndefined()
    const mappedForm = encodeBindingResponse({ transaction, mapped: { family: 6, address: mappedIpv4(), port: 9 } })
    expect(decodeBindingResponse(mappedForm)).toBeUndefined()
  })
})

function mappedIpv4(): Uint8Array {
  const address = new Uint8Array(16)
  address.set([0xff, 0xff, 1, 2, 3, 4], 10)
  return address
}
