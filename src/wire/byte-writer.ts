/** A growing byte string with integer writers in both byte orders. */
import { AvError } from "./errors.ts"
import type { Bytes, U64 } from "./types.ts"

/** binary32. */
const CANONICAL_NAN = 0x7fc00000

/**
 * Builds fixed layouts. Integers out of range raise `UsageError`: silently cut integers would sign something else than
 * was meant.
 */
export class ByteWriter {
  #bytes: Uint8Array
  #view: DataView
  #length = 0

  constructor(capacity = 128) {
    this.#bytes = new Uint8Array(capacity)
    this.#view = new DataView(this.#bytes.buffer)
  }

  /** Bytes written so far. */
  get length(): number {
    return this.#length
  }

  u8(value: number): this {
    checked(value, 0xff)
    const at = this.#reserve(1)
    this.#view.setUint8(at, value)
    return this
  }
  u16be(value: number): this {
    checked(value, 0xffff)
    const at = this.#reserve(2)
    this.#view.setUint16(at, value)
    return this
  }
  u24be(value: number): this {
    checked(value, 0xffffff)
    return this.u8(value >>> 16).u16be(value & 0xffff)
  }
  u32be(value: number): this {
    checked(value, 0xffffffff)
    const at = this.#reserve(4)
    this.#view.setUint32(at, value)
    return this
  }
  u64be(value: U64): this {
    checkedU64(value)
    const at = this.#reserve(8)
    this.#view.setBigUint64(at, value)
    return this
  }
  u16le(value: number): this {
    checked(value, 0xffff)
    const at = this.#reserve(2)
    this.#view.setUint16(at, value, true)
    return this
  }
  u32le(value: number): this {
    checked(value, 0xffffffff)
    const at = this.#reserve(4)
    this.#view.setUint32(at, value, true)
    return this
  }
  u64le(value: U64): this {
    checkedU64(value)
    const at = this.#reserve(8)
    this.#view.setBigUint64(at, value, true)
    return this
  }

  /** binary32, big-endian, rounded from the double. Engines keep sign and payload of a NaN; here every NaN has the same bits. */
  f32be(value: number): this {
    if (Number.isNaN(value)) return this.u32be(CANONICAL_NAN)
    const at = this.#reserve(4)
    this.#view.setFloat32(at, value)
    return this
  }

  bytes(value: Bytes): this {
    const at = this.#reserve(value.length)
    this.#bytes.set(value, at)
    return this
  }

  /** Bytes whose length the layout fixes; another length raises `UsageError`. */
  fixed(value: Bytes, length: number): this {
    if (value.length !== length) throw new AvError("UsageError", { why: "wrong length", got: value.length, need: length })
    return this.bytes(value)
  }

  /** `u16(length) ‖ bytes`, big-endian. */
  lp16(value: Bytes): this {
    return this.u16be(value.length).bytes(value)
  }

  /** `u32(length) ‖ bytes`, big-endian. */
  lp32(value: Bytes): this {
    return this.u32be(value.length).bytes(value)
  }

  zeros(length: number): this {
    const at = this.#reserve(length)
    this.#bytes.fill(0, at, at + length)
    return this
  }

  /** The bytes written, as a copy of exactly that length. */
  finish(): Bytes {
    return this.#bytes.slice(0, this.#length)
  }

  /** Makes room for `length` bytes and returns their offset. May replace the buffer: fetch the view after it. */
  #reserve(length: number): number {
    const at = this.#length
    const needed = at + length
    if (needed > this.#bytes.length) {
      const grown = new Uint8Array(Math.max(needed, this.#bytes.length * 2))
      grown.set(this.#bytes.subarray(0, at))
      this.#bytes = grown
      this.#view = new DataView(grown.buffer)
    }
    this.#length = needed
    return at
  }
}

function checked(value: number, max: number): void {
  if (!Number.isInteger(value) || value < 0 || value > max) throw new AvError("UsageError", { why: "integer range", value, max })
}

function checkedU64(value: U64): void {
  if (value < 0n || value > 0xffffffffffffffffn) throw new AvError("UsageError", { why: "u64 range", value })
}
