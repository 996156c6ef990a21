/** Counts refused items by error name; the part of the statistics that says why something did not arrive. */
import { type ErrorCode, isAvError } from "../../wire/errors.ts"

export class DropCounter {
  readonly #counts = new Map<ErrorCode, number>()

  /** Counts one refusal. */
  add(code: ErrorCode): void {
    this.#counts.set(code, (this.#counts.get(code) ?? 0) + 1)
  }

  /** Counts a caught error by its code. Anything but an `AvError` is a bug of ours and is thrown on. */
  caught(error: unknown): ErrorCode {
    if (!isAvError(error)) throw error
    this.add(error.code)
    return error.code
  }

  snapshot(): Record<string, number> {
    return Object.fromEntries(this.#counts)
  }
}
