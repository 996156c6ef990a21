/** CRC-32 as in zlib (IEEE), eight bytes at a time. Node has a native one, which its files use instead. */
import type { Bytes } from "../../wire/types.ts"

export type Crc32 = (bytes: Bytes) => number

const SLICES = 8
const TABLES = /* @__PURE__ */ makeTables()

function makeTables(): Uint32Array {
  const tables = new Uint32Array(256 * SLICES)
  for (let n = 0; n < 256; n++) {
    let value = n
    for (let bit = 0; bit < 8; bit++) value = (value & 1) === 1 ? (value >>> 1) ^ 0xedb88320 : value >>> 1
    tables[n] = value
  }
  for (let i = 256; i < tables.length; i++) {
    const before = tables[i - 256] ?? 0
    tables[i] = (before >>> 8) ^ (tables[before & 0xff] ?? 0)
  }
  return tables
}

export const crc32: Crc32 = (bytes) => {
  const table = (slice: number, index: number) => TABLES[slice * 256 + index] ?? 0
  const view = new DataView(bytes.buffer, bytes.byteOffset, bytes.byteLength)
  const whole = bytes.length - (bytes.length % SLICES)
  let crc = -1
  for (let at = 0; at < whole; at += SLICES) {
    const low = view.getUint32(at, true) ^ crc
    const high = view.getUint32(at + 4, true)
    crc =
      table(7, low & 0xff) ^
      table(6, (low >>> 8) & 0xff) ^
      table(5, (low >>> 16) & 0xff) ^
      table(4, low >>> 24) ^
      table(3, high & 0xff) ^
      table(2, (high >>> 8) & 0xff) ^
      table(1, (high >>> 16) & 0xff) ^
      table(0, high >>> 24)
  }
  for (let at = whole; at < bytes.length; at++) crc = (crc >>> 8) ^ table(0, (crc ^ view.getUint8(at)) & 0xff)
  return ~crc >>> 0
}
