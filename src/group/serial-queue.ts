/** Runs asynchronous steps one after another, in the order they were asked for. */

/** Steps that may wait at the same time; beyond that somebody is flooding us. */
const MAX_WAITING = 4_096

import { AvError } from "../wire/errors.ts"

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
