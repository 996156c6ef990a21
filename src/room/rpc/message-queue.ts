/** Messages that wait for one reader: bounded, the oldest go first. */
import { AvError } from "../../wire/errors.ts"

const MAX_MESSAGES = 1_024
const MAX_BYTES = 16 * 1024 * 1024

export class MessageQueue<T> implements AsyncIterableIterator<T> {
  readonly #onEnd: () => void
  #items: { item: T; bytes: number }[] = []
  #bytes = 0
  #reader: ((step: IteratorResult<T, undefined>) => void) | undefined
  #ended = false
  #dropped = 0

  constructor(onEnd: () => void) {
    this.#onEnd = onEnd
  }

  /** Messages that found no place. */
  get dropped(): number {
    return this.#dropped
  }

  push(item: T, bytes: number): void {
    if (this.#ended) return
    const reader = this.#reader
    if (reader !== undefined) {
      this.#reader = undefined
      reader({ done: false, value: item })
      return
    }
    this.#items.push({ item, bytes })
    this.#bytes += bytes
    while (this.#items.length > MAX_MESSAGES || this.#bytes > MAX_BYTES) {
      this.#bytes -= this.#items.shift()?.bytes ?? 0
      this.#dropped++
    }
  }

  /** No more messages; what is here can still be read. */
  end(): void {
    if (this.#ended) return
    this.#ended = true
    this.#reader?.({ done: true, value: undefined })
    this.#reader = undefined
    this.#onEnd()
  }

  next(): Promise<IteratorResult<T, undefined>> {
    const next = this.#items.shift()
    if (next !== undefined) {
      this.#bytes -= next.bytes
      return Promise.resolve({ done: false, value: next.item })
    }
    if (this.#ended) return Promise.resolve({ done: true, value: undefined })
    if (this.#reader !== undefined) return Promise.reject(new AvError("UsageError", { why: "a stream has one reader" }))
    return new Promise((resolve) => {
      this.#reader = resolve
    })
  }

  return(): Promise<IteratorResult<T, undefined>> {
    this.#items = []
    this.#bytes = 0
    this.end()
    return Promise.resolve({ done: true, value: undefined })
  }

  [Symbol.asyncIterator](): this {
    return this
  }
}
