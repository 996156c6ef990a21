/** HELLO, routed frames, addresses, descriptions, attestations. */
import fc from "fast-check"
import { describe, expect, test } from "vitest"
import {
  type AddressBlock,
  addressFromText,
  addressToText,
  type CandidateEntry,
  decodeAddressBlock,
  encodeAddressBlock,
} from "./address.ts"
import { type AddressAttestation, decodeAttestation, encodeUnsignedAttestation, joinAttestation } from "./attestation.ts"
import { fromHex, toHex } from "./bytes.ts"
import { decodeDescription, encodeUnsignedDescription, joinDescription, type SessionDescription } from "./description.ts"
import { decodeHello, decodeHelloAuth, encodeHello, encodeHelloAuth, helloTranscript } from "./hello.ts"
import { isNodeId, nodeIdFromU64, nodeIdToU64 } from "./node-id.ts"
import {
  decodeRoutedFrame,
  decodeRoutedHello,
  encodeRoutedFrame,
  encodeRoutedHello,
  type RoutedHello,
  routedAssociatedData,
  routedFrameWithTtl,
  routedHelloWithTtl,
  routedNonce,
} from "./routed.ts"
import { checkCodec, codeOf } from "./testing.ts"

const fill = (length: number, value: number) => new Uint8Array(length).fill(value)
const signature = fill(64, 0x5a)

describe("hello (control-plane 1.5)", () => {
  const hello = { namespaceKey: true, entityId: fill(32, 1), nonce: fill(32, 2), pqHash: fill(32, 3), wallMs: 258n }
  test("layout", () => {
    expect(toHex(encodeHello(hello))).toBe(`01010000${"01".repeat(32)}${"02".repeat(32)}${"03".repeat(32)}0201000000000000`)
    expect(decodeHelloAuth(fill(96, 4))).toEqual({ signature: fill(64, 4), namespaceMac: fill(32, 4) })
  })

  test("what is decoded from a socket's buffer does not share its memory", () => {
    const buffer = Buffer.from(encodeHello(hello))
    const decoded = decodeHello(buffer)
    buffer.fill(0)
    expect(decoded).toEqual(hello)
  })

  test("the transcript names the sender's value first in every pair", () => {
    const side = (value: number) => ({
      entityId: fill(32, value),
      nonce: fill(32, value + 1),
      fingerprint: fill(32, value + 2),
      pqHash: fill(32, value + 3),
    })
    const hex = ["10", "20", "11", "21", "12", "22", "13", "23"].map((byte) => byte.repeat(32)).join("")
    expect(toHex(helloTranscript(side(0x10), side(0x20)))).toBe(hex)
  })

  test("any bytes", () => {
    const auths = [encodeHelloAuth({ signature }), encodeHelloAuth({ signature, namespaceMac: fill(32, 1) })]
    checkCodec({ decode: decodeHello, encode: encodeHello, codes: ["HelloInvalid"], samples: [encodeHello(hello)] })
    checkCodec({ decode: decodeHelloAuth, encode: encodeHelloAuth, codes: ["HelloInvalid"], samples: auths })
  })
})

describe("routed (control-plane 1.6)", () => {
  const keys = { entityId: fill(32, 1), nonce: fill(32, 2), ephemeral: fill(32, 3), pqHash: fill(32, 4) }
  const envelope = { src: "0000000000000102", dst: "ff00000000000000", ttl: 16 }
  const hellos: RoutedHello[] = [
    { step: 1, ...envelope, ...keys },
    { step: 2, ...envelope, ...keys, signature },
    { step: 3, ...envelope, signature },
  ]
  const frame = { ...envelope, counter: 7n, ciphertext: fill(20, 9) }

  test("layouts, associated data, nonce, ttl", () => {
    expect(hellos.map((hello) => encodeRoutedHello(hello).length)).toEqual([156, 220, 92])
    expect(toHex(encodeRoutedHello(hellos[2] as RoutedHello)).slice(0, 56)).toBe(
      `03000000020100000000000000000000000000ff10${"00".repeat(7)}`,
    )
    const bytes = encodeRoutedFrame(frame)
    expect(toHex(bytes).slice(0, 56)).toBe("10000000020100000000000000000000000000ff0700000000000000")
    expect(toHex(routedAssociatedData(frame.src, frame.dst, frame.counter))).toBe(toHex(bytes).slice(8, 56))
    expect(toHex(routedNonce(7n))).toBe("000000000700000000000000")
    expect(decodeRoutedFrame(routedFrameWithTtl(bytes, 3))).toEqual({ ...frame, ttl: 3 })
    expect(decodeRoutedHello(routedHelloWithTtl(encodeRoutedHello(hellos[0] as RoutedHello), 3)).ttl).toBe(3)
    expect(codeOf(() => routedFrameWithTtl(new Uint8Array(27), 1))).toBe("RoutedInvalid")
  })

  test("zero node ids, equal ends and missing tags are refused", () => {
    const zero = encodeRoutedFrame({ ...frame, src: "0000000000000000" })
    const loop = encodeRoutedFrame({ ...frame, src: frame.dst })
    const bare = encodeRoutedFrame({ ...frame, ciphertext: fill(15, 0) })
    for (const bytes of [zero, loop, bare]) expect(codeOf(() => decodeRoutedFrame(bytes))).toBe("RoutedInvalid")
  })

  test("any bytes", () => {
    checkCodec({
      decode: decodeRoutedHello,
      encode: encodeRoutedHello,
      codes: ["RoutedInvalid"],
      samples: hellos.map(encodeRoutedHello),
      maxLength: 240,
    })
    checkCodec({
      decode: decodeRoutedFrame,
      encode: encodeRoutedFrame,
      codes: ["RoutedInvalid"],
      samples: [encodeRoutedFrame(frame)],
    })
  })
})

test("node ids", () => {
  expect(nodeIdFromU64(0x652f03ba688dde03n)).toBe("652f03ba688dde03")
  expect(nodeIdFromU64(1n)).toBe("0000000000000001")
  expect(nodeIdToU64("00000000deadbeef")).toBe(0xdeadbeefn)
  expect(codeOf(() => nodeIdToU64("DEADBEEF00000000"))).toBe("UsageError")
  expect(["652f03ba688dde03", "0000000000000000", "652F03BA688DDE03", "1", 5].map(isNodeId)).toEqual([
    true,
    false,
    false,
    false,
    false,
  ])
})

const v4: AddressBlock = { family: 4, address: fromHex(`c0000201${"00".repeat(12)}`), port: 0 }
const v6: AddressBlock = { family: 6, address: fromHex("20010db8000000000000000000000001"), port: 0 }

describe("addresses (control-plane 6.3)", () => {
  test("text forms", () => {
    const uuid = "01234567-89ab-cdef-0123-456789abcdef.local"
    expect(addressToText(addressFromText(uuid, 1) as AddressBlock)).toBe(uuid)
    expect(addressFromText("192.0.2.1", 0)).toEqual(v4)
    expect(addressFromText("2001:db8::1", 0)).toEqual(v6)
    expect(addressFromText("::ffff:192.0.2.1", 0)).toEqual(v4)
    expect(addressFromText("::", 5)?.address).toEqual(fill(16, 0))
    expect(addressToText(v6)).toBe("2001:db8:0:0:0:0:0:1")
    expect(addressFromText(addressToText(v6), 0)).toEqual(v6)
    expect(addressToText(v4)).toBe("192.0.2.1")
    const bad = [
      "",
      "1.2.3",
      "1.2.3.256",
      "01.2.3.4",
      "example.com",
      "1::2::3",
      ":1:2:3:4:5:6:7",
      "1:2:3:4:5:6:7:8:9",
      "1:2:3:4:5:6:7",
      "fe80::1%eth0",
      "12345::",
    ]
    for (const text of bad) expect(addressFromText(text, 1)).toBeUndefined()
  })

  test("any text gives a block that reads back, or nothing", () => {
    const text = fc.string({ unit: fc.constantFrom(..."0123456789abcdef:.".split("")), maxLength: 24 })
    fc.assert(
      fc.property(fc.oneof(text, fc.ipV4(), fc.ipV6(), fc.string()), (host) => {
        const block = addressFromText(host, 9)
        if (block !== undefined) expect(addressFromText(addressToText(block), 9)).toEqual(block)
      }),
      { numRuns: 10_000 },
    )
    fc.assert(fc.property(fc.oneof(fc.ipV4(), fc.ipV6()), (host) => addressFromText(host, 1) !== undefined))
  })

  test("NAT-R14: one address, one form", () => {
    const mapped = encodeAddressBlock({ family: 6, address: fromHex(`${"00".repeat(10)}ffffc0000201`), port: 1 })
    const stray = encodeAddressBlock({ family: 4, address: fill(16, 1), port: 1 })
    for (const bytes of [mapped, stray, fill(19, 5), fill(18, 4)])
      expect(codeOf(() => decodeAddressBlock(bytes))).toBe("AddressInvalid")
  })

  test("any bytes", () => {
    const samples = [v4, v6, { ...v6, family: 0 as const }].map(encodeAddressBlock)
    checkCodec({ decode: decodeAddressBlock, encode: encodeAddressBlock, codes: ["AddressInvalid"], samples, maxLength: 24 })
  })
})

describe("description (control-plane 6.3)", () => {
  const candidate: CandidateEntry = { address: { ...v4, port: 4000 }, type: "srflx", protocol: "udp", priority: 0x01020304 }
  const description: SessionDescription = {
    answer: true,
    iceRestart: false,
    trickle: true,
    endOfCandidates: false,
    fromEntity: fill(32, 1),
    toNode: "0000000000000102",
    attemptId: 3n,
    issuedMs: 4n,
    dtlsFingerprint: fill(32, 2),
    ufrag: "abcd",
    pwd: "p".repeat(22),
    candidates: [candidate],
  }
  const bytes = joinDescription(encodeUnsignedDescription(description), signature)

  test("layout", () => {
    const head = `4d53443105041601${"01".repeat(32)}0201000000000000${"0300000000000000"}${"0400000000000000"}${"02".repeat(32)}`
    expect(toHex(bytes)).toBe(
      `${head}61626364${"70".repeat(22)}${toHex(encodeAddressBlock(candidate.address))}010004030201${toHex(signature)}`,
    )
    expect(decodeDescription(bytes)).toEqual({ description, signedBytes: bytes.subarray(0, bytes.length - 64), signature })
  })

  test("values out of range are not encoded", () => {
    for (const change of [
      { ufrag: "abc" },
      { ufrag: "a-bc" },
      { pwd: "p".repeat(21) },
      { candidates: Array(13).fill(candidate) },
    ]) {
      expect(codeOf(() => encodeUnsignedDescription({ ...description, ...change }))).toBe("UsageError")
    }
  })

  test("any bytes", () => {
    checkCodec({
      decode: decodeDescription,
      encode: (d) => joinDescription(encodeUnsignedDescription(d.description), d.signature),
      codes: ["Malformed"],
      samples: [bytes, joinDescription(encodeUnsignedDescription({ ...description, candidates: [] }), signature)],
      maxLength: 300,
    })
  })
})

describe("attestation (control-plane 6.4)", () => {
  const attestation: AddressAttestation = {
    observer: fill(32, 1),
    subject: fill(32, 2),
    issuedMs: 1_000n,
    expiresMs: 301_000n,
    addresses: [v4, v6],
  }
  const bytes = joinAttestation(encodeUnsignedAttestation(attestation), signature)

  test("addresses are sorted when written and must be sorted when read", () => {
    expect(encodeUnsignedAttestation({ ...attestation, addresses: [v6, v4] })).toEqual(bytes.subarray(0, bytes.length - 64))
    expect(decodeAttestation(bytes).attestation).toEqual(attestation)
    const swapped = bytes.slice()
    swapped.set(bytes.subarray(85, 104), 104)
    swapped.set(bytes.subarray(104, 123), 85)
    expect(codeOf(() => decodeAttestation(swapped))).toBe("Malformed")
  })

  test("too long a life, ports, mDNS and empty lists are refused", () => {
    const encode = (change: Partial<AddressAttestation>) =>
      joinAttestation(encodeUnsignedAttestation({ ...attestation, ...change }), signature)
    const bad = [
      { expiresMs: 301_001n },
      { addresses: [{ ...v4, port: 1 }] },
      { addresses: [{ ...v6, family: 0 as const }] },
      { addresses: [v4, v4] },
    ]
    for (const change of bad) expect(codeOf(() => decodeAttestation(encode(change)))).toBe("Malformed")
    expect(codeOf(() => encode({ addresses: [] }))).toBe("UsageError")
  })

  test("any bytes", () => {
    checkCodec({
      decode: decodeAttestation,
      encode: (a) => joinAttestation(encodeUnsignedAttestation(a.attestation), a.signature),
      codes: ["Malformed"],
      samples: [bytes],
      maxLength: 240,
    })
  })
})
