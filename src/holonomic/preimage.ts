/** Writes the bytes that are signed or hashed. Refuses what would not say the same after encoding (D01, D02). */
import { ByteWriter } from "../wire/byte-writer.ts"
import { AvError } from "../wire/errors.ts"
import type { Bytes, U64 } from "../wire/types.ts"
import { i64, u64, unsigned, utf8 } from "./checks.ts"
import { type SeparatorName, separator } from "./separators.ts"

/** Integers are big-endian. Methods raise `IllFormedString` or `IntegerOutOfRange`; the field's name goes into the error. */
export class Preimage {
  readonly #out = new ByteWriter(256)

  constructor(name: SeparatorName) {
    this.#out.bytes(separator(name))
  }

  u8(value: number, field: string): this {
    this.#out.u8(unsigned(value, 8, field))
    return this
  }
  u16(value: number, field: string): this {
    this.#out.u16be(unsigned(value, 16, field))
    return this
  }
  u32(value: number, field: string): this {
    this.#out.u32be(unsigned(value, 32, field))
    return this
  }
  u64(value: U64 | number, field: string): this {
    this.#out.u64be(u64(value, field))
    return this
  }
  i64(value: bigint | number, field: string): this {
    this.#out.u64be(BigInt.asUintN(64, i64(value, field)))
    return this
  }

  /** Bytes of a length that the layout fixes. */
  raw(value: Bytes, length: number, field: string): this {
    if (value.length !== length) throw new AvError("UsageError", { why: "wrong length", field, got: value.length, need: length })
    this.#out.bytes(value)
    return this
  }

  /** Bytes to the end. */
  rest(value: Bytes): this {
    this.#out.bytes(value)
    return this
  }

  /** Bytes behind their length in 32 bits. */
  sized(value: Bytes): this {
    this.#out.lp32(value)
    return this
  }

  /** A text behind its length in 32 bits. */
  text(value: string): this {
    this.#out.lp32(utf8(value))
    return this
  }

  /** A text behind its length in 64 bits, as the older layouts have it. */
  longText(value: string): this {
    const bytes = utf8(value)
    this.#out.u64be(BigInt(bytes.length)).bytes(bytes)
    return this
  }

  /** A text that may be missing; an empty one is not. */
  optional(value: string | null): this {
    if (value === null) this.#out.u8(0)
    else this.#out.u8(1).lp32(utf8(value))
    return this
  }

  finish(): Bytes {
    return this.#out.finish()
  }
}
