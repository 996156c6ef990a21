/** Key package, leaf binding and welcome records. */
import { describe, expect, test } from "vitest"
import { concatBytes, toHex, utf8Encode } from "./bytes.ts"
import {
  decodeKeyPackageRecord,
  decodeLeafBindingRecord,
  decodeWelcomeEnvelope,
  type KeyPackageRecord,
  keyPackageCanonicalBytes,
  leafBindingCanonicalBytes,
  storeRecord,
  storeWelcome,
  welcomeCanonicalBytes,
} from "./key-records.ts"
import { checkCodec, codeOf } from "./testing.ts"

const fill = (length: number, value: number) => new Uint8Array(length).fill(value)
const signature = { ed: fill(64, 1), pq: fill(5, 2) }
const record: KeyPackageRecord = {
  keyId: "żółw",
  lastResort: true,
  notBeforeUnixMs: 1n,
  notAfterUnixMs: 2n,
  leafSignaturePublicKey: fill(32, 3),
  keyPackageRef: fill(32, 4),
  keyPackage: fill(3, 5),
}
const binding = { keyId: "k", leafSignaturePublicKey: fill(32, 6), notBeforeUnixMs: 7n, notAfterUnixMs: 8n }
const welcome = { inviterKeyId: "a", joinerKeyId: "b", keyPackageRef: fill(32, 9), welcomeHash: fill(32, 10) }
const storedPackage = storeRecord(keyPackageCanonicalBytes(record), signature)
const storedBinding = storeRecord(leafBindingCanonicalBytes(binding), signature)
const storedWelcome = storeWelcome(welcomeCanonicalBytes(welcome), signature, fill(4, 11))

describe("signed records (D-18)", () => {
  test("layouts", () => {
    const tail = `${"01".repeat(64)}0005${"02".repeat(5)}`
    const id = toHex(utf8Encode("żółw"))
    expect(toHex(storedPackage)).toBe(
      `${toHex(utf8Encode("AVMESH-KEYPKG-V1"))}0007${id}0100000000000000010000000000000002` +
        `0020${"03".repeat(32)}${"04".repeat(32)}00000003050505${tail}`,
    )
    expect(toHex(storedBinding)).toBe(
      `${toHex(utf8Encode("AVMESH-LEAFBD-V1"))}00016b0020${"06".repeat(32)}00000000000000070000000000000008${tail}`,
    )
    expect(toHex(storedWelcome)).toBe(
      `${toHex(utf8Encode("AVMESH-WELCOME-1"))}0001610001 62${"09".repeat(32)}${"0a".repeat(32)}${tail}000000040b0b0b0b`.replace(
        " ",
        "",
      ),
    )
  })

  test("the decoded canonical bytes are those that were signed", () => {
    expect(decodeKeyPackageRecord(storedPackage)).toEqual({ record, canonical: keyPackageCanonicalBytes(record), signature })
    expect(decodeLeafBindingRecord(storedBinding)).toEqual({
      record: binding,
      canonical: leafBindingCanonicalBytes(binding),
      signature,
    })
    expect(decodeWelcomeEnvelope(storedWelcome).welcome).toEqual(fill(4, 11))
  })

  test("one record is never read as another; sizes are checked", () => {
    expect(codeOf(() => decodeKeyPackageRecord(storedBinding))).toBe("Malformed")
    expect(codeOf(() => decodeLeafBindingRecord(storedPackage))).toBe("Malformed")
    expect(codeOf(() => decodeWelcomeEnvelope(storedPackage))).toBe("WelcomeMalformed")
    expect(codeOf(() => decodeKeyPackageRecord(concatBytes(storedPackage, fill(1, 0))))).toBe("Malformed")
    expect(codeOf(() => keyPackageCanonicalBytes({ ...record, leafSignaturePublicKey: fill(31, 0) }))).toBe("UsageError")
    expect(codeOf(() => leafBindingCanonicalBytes({ ...binding, keyId: "" }))).toBe("UsageError")
    expect(codeOf(() => leafBindingCanonicalBytes({ ...binding, keyId: "x".repeat(256) }))).toBe("UsageError")
    const large = storeRecord(keyPackageCanonicalBytes({ ...record, keyPackage: fill(65_537, 0) }), signature)
    expect(codeOf(() => decodeKeyPackageRecord(large))).toBe("Malformed")
  })

  test("any bytes", () => {
    checkCodec({
      decode: decodeKeyPackageRecord,
      encode: (s) => storeRecord(keyPackageCanonicalBytes(s.record), s.signature),
      codes: ["Malformed"],
      samples: [storedPackage],
    })
    checkCodec({
      decode: decodeLeafBindingRecord,
      encode: (s) => storeRecord(leafBindingCanonicalBytes(s.record), s.signature),
      codes: ["Malformed"],
      samples: [storedBinding],
    })
    checkCodec({
      decode: decodeWelcomeEnvelope,
      encode: (s) => storeWelcome(welcomeCanonicalBytes(s.record), s.signature, s.welcome),
      codes: ["WelcomeMalformed"],
      samples: [storedWelcome],
    })
  })
})
