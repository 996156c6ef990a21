/** Keys in the order of their UTF-8 bytes, so that listing a prefix does not look at all of them. */
import { compareUtf8 } from "../../wire/bytes.ts"

export class SortedKeys {
  readonly #keys: string[]

  constructor(keys: Iterable<string> = []) {
    this.#keys = [...keys].sort(compareUtf8)
  }

  /** Nothing happens when it is there already. */
  add(key: string): void {
    const at = this.#position(key)
    if (this.#keys[at] !== key) this.#keys.splice(at, 0, key)
  }

  delete(key: string): void {
    const at = this.#position(key)
    if (this.#keys[at] === key) this.#keys.splice(at, 1)
  }

  /** Keys that begin with `prefix`, greater than `after`, at most `limit`. */
  list(prefix: string, { after, limit = Number.POSITIVE_INFINITY }: { after?: string; limit?: number } = {}): string[] {
    const start = after === undefined || compareUtf8(after, prefix) < 0 ? prefix : after
    const found: string[] = []
    for (let at = this.#position(start); at < this.#keys.length && found.length < limit; at++) {
      const key = this.#keys[at]!
      if (!key.startsWith(prefix)) break
      if (key !== after) found.push(key)
    }
    return found
  }

  /** Of the first key that is not less than this one. */
  #position(key: string): number {
    let [low, high] = [0, this.#keys.length]
    while (low < high) {
      const middle = (low + high) >> 1
      if (compareUtf8(this.#keys[middle]!, key) < 0) low = middle + 1
      else high = middle
    }
    return low
  }
}
