/** A cursor over a byte string that refuses to read past the end and names the error to raise. */
import { AvError, type ErrorCode, type ErrorDetails } from "./errors.ts"
import type { Bytes, U64 } from "./types.ts"

/**
 * Reads fixed layouts. Every method that needs more bytes than are left raises the `code` given to the constructor, so a
 * decoder built on it is total. `bytes` and `rest` return views into the input, not copies.
 */
export class ByteReader {
  readonly #bytes: Bytes
  readonly #view: DataView
  readonly #code: ErrorCode
  #offset = 0

  constructor(bytes: Bytes, code: ErrorCode = "Malformed") {
    this.#bytes = plainBytes(bytes)
    this.#view = new DataView(bytes.buffer, bytes.byteOffset, bytes.byteLength)
    this.#code = code
  }

  /** Everything consumed so far, as a view. */
  get consumed(): Bytes {
    return this.#bytes.subarray(0, this.#offset)
  }

  /** Number of bytes consumed so far. */
  get offset(): number {
    return this.#offset
  }

  /** Bytes left. */
  get remaining(): number {
    return this.#bytes.length - this.#offset
  }

  /** Raises this reader's error with a reason; for checks the caller makes itself. */
  fail(why: string, details: ErrorDetails = {}): never {
    throw new AvError(this.#code, { why, ...details })
  }

  u8(): number {
    return this.#view.getUint8(this.#advance(1))
  }
  u16be(): number {
    return this.#view.getUint16(this.#advance(2))
  }
  u24be(): number {
    const at = this.#advance(3)
    return this.#view.getUint8(at) * 65536 + this.#view.getUint16(at + 1)
  }
  u32be(): number {
    return this.#view.getUint32(this.#advance(4))
  }
  u64be(): U64 {
    return this.#view.getBigUint64(this.#advance(8))
  }
  u16le(): number {
    return this.#view.getUint16(this.#advance(2), true)
  }
  u32le(): number {
    return this.#view.getUint32(this.#advance(4), true)
  }
  u64le(): U64 {
    return this.#view.getBigUint64(this.#advance(8), true)
  }

  /** The next `length` bytes as a view. */
  bytes(length: number): Bytes {
    const at = this.#advance(length)
    return this.#bytes.subarray(at, at + length)
  }

  /** Everything left as a view; may be empty. */
  rest(): Bytes {
    return this.bytes(this.remaining)
  }

  /** `u16(length) ‖ bytes`, big-endian. */
  lp16(): Bytes {
    return this.bytes(this.u16be())
  }

  /** `u32(length) ‖ bytes`, big-endian. */
  lp32(): Bytes {
    return this.bytes(this.u32be())
  }

  /** Skips `length` bytes that must all be zero (reserved fields). */
  zeros(length: number): void {
    for (const byte of this.bytes(length)) if (byte !== 0) this.fail("reserved bytes not zero")
  }

  /** Consumes `expected`, which must come next (magic values and domain labels). */
  expect(expected: Bytes, what: string): void {
    const found = this.bytes(expected.length)
    for (let i = 0; i < expected.length; i++) if (found[i] !== expected[i]) this.fail(`wrong ${what}`)
  }

  /** Refuses trailing bytes. */
  end(): void {
    if (this.remaining !== 0) this.fail("trailing bytes", { extra: this.remaining })
  }

  #advance(length: number): number {
    const at = this.#offset
    if (length > this.#bytes.length - at) {
      throw new AvError(this.#code, { why: "too short", got: this.#bytes.length, need: at + length })
    }
    this.#offset = at + length
    return at
  }
}

/**
 * The same bytes as a plain `Uint8Array` view. Node's `Buffer`, which sockets deliver, is a subclass whose `slice` does not copy:
 * a decoder that keeps a copy would keep a window into the socket's memory.
 */
export function plainBytes(bytes: Bytes): Bytes {
  return bytes.constructor === Uint8Array ? bytes : new Uint8Array(bytes.buffer, bytes.byteOffset, bytes.byteLength)
}
