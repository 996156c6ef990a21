/** Runs asynchronous steps one after another, in the order they were asked for. */
import { AvError } from "../wire/errors.ts"

/** Steps that may wait at the same time; beyond that somebody is flooding us. */
const MAX_WAITING = 4_096
/** Items of one call: a room's leaves come in pages of 64. */
const MAX_ITEMS = 1_024

export class SerialQueue {
  #tail: Promise<unknown> = Promise.resolve()
  #waiting = 0

  /** Resolves or rejects as `step` does; a failed step does not stop the next. @throws AvError `LimitExceeded` */
  async run<T>(step: () => T | Promise<T>): Promise<T> {
    if (this.#waiting >= MAX_WAITING) throw new AvError("LimitExceeded", { what: "group operations", limit: MAX_WAITING })
    this.#waiting++
    const result = this.#tail.then(step)
    this.#tail = result.catch(() => {})
    try {
      return await result
    } finally {
      this.#waiting--
    }
  }
}

/** The same list, refused when it is too long for one call. @throws AvError `LimitExceeded` */
export function limited<T>(items: T[]): T[] {
  if (items.length > MAX_ITEMS) throw new AvError("LimitExceeded", { limit: MAX_ITEMS, length: items.length })
  return items
}

/** Results of `step` for each item, one at a time: signatures are slow, and a thousand at once would starve everything else. */
export async function inOrder<T, R>(items: T[], step: (item: T) => Promise<R>): Promise<R[]> {
  const results: R[] = []
  for (const item of items) results.push(await step(item))
  return results
}
