/** Floor records and membership certificates as bytes. */
import { describe, expect, test } from "vitest"
import {
  decodeFloorPayload,
  decodeFloorRecord,
  encodeFloorPayload,
  encodeUnsignedFloorRecord,
  joinFloorRecord,
} from "./floor-record.ts"
import { decodeMembershipCert, encodeUnsignedMembershipCert, joinMembershipCert } from "./membership-cert.ts"
import { checkCodec, codeOf } from "./testing.ts"

const fill = (length: number, value: number) => new Uint8Array(length).fill(value)
const unsignedFloor = encodeUnsignedFloorRecord({ entity: fill(32, 1), generation: 7, issuedMs: 9n })
const floor = joinFloorRecord(unsignedFloor, fill(64, 2))
const fields = { kind: "group", authority: fill(32, 3), member: fill(32, 4), notBefore: 5n, notAfter: 6n } as const
const cert = joinMembershipCert(encodeUnsignedMembershipCert(fields), fill(64, 5))

describe("signed records", () => {
  test("what was put in comes out", () => {
    expect([unsignedFloor.length, floor.length, cert.length]).toEqual([48, 112, 149])
    expect(decodeFloorRecord(floor).floor).toEqual({ entity: fill(32, 1), generation: 7, issuedMs: 9n })
    expect(decodeFloorRecord(floor).signedBytes).toEqual(unsignedFloor)
    expect(decodeMembershipCert(cert).cert).toEqual(fields)
    expect(decodeFloorPayload(encodeFloorPayload(3, floor))).toEqual({ hopCount: 3, record: floor })
  })

  test("what no reader accepts is not built", () => {
    expect(codeOf(() => encodeUnsignedFloorRecord({ entity: fill(31, 1), generation: 7, issuedMs: 9n }))).toBe("UsageError")
    expect(codeOf(() => encodeUnsignedFloorRecord({ entity: fill(32, 1), generation: 2 ** 32, issuedMs: 9n }))).toBe("UsageError")
    expect(codeOf(() => encodeUnsignedMembershipCert({ ...fields, notAfter: 5n }))).toBe("UsageError")
    expect(codeOf(() => joinMembershipCert(fill(85, 0), fill(63, 0)))).toBe("UsageError")
  })

  test("any bytes", () => {
    checkCodec({
      decode: decodeFloorRecord,
      encode: (r) => joinFloorRecord(encodeUnsignedFloorRecord(r.floor), r.signature),
      codes: ["Malformed"],
      samples: [floor],
    })
    checkCodec({
      decode: decodeFloorPayload,
      encode: (p) => encodeFloorPayload(p.hopCount, p.record),
      codes: ["Malformed"],
      samples: [encodeFloorPayload(0, floor)],
    })
    checkCodec({
      decode: decodeMembershipCert,
      encode: (c) => joinMembershipCert(encodeUnsignedMembershipCert(c.cert), c.signature),
      codes: ["Malformed"],
      samples: [cert],
    })
  })
})
