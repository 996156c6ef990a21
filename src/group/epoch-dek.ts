/** A content key that does not show itself: printing it in any way gives a placeholder (av-mesh 6.2). */
import type { Bytes } from "../wire/types.ts"

const REDACTED = "<redacted EpochDek>"

export class EpochDek {
  readonly #bytes: Bytes

  constructor(bytes: Bytes) {
    this.#bytes = bytes
  }

  /** The 32 key bytes. They are the object's own: {@link erase} overwrites them. */
  reveal(): Bytes {
    return this.#bytes
  }

  erase(): void {
    this.#bytes.fill(0)
  }

  toString(): string {
    return REDACTED
  }

  toJSON(): string {
    return REDACTED
  }

  /** What Node prints. */
  [Symbol.for("nodejs.util.inspect.custom")](): string {
    return REDACTED
  }
}
