/** The two ends of a stream as an application holds them: an async iterable to read, a sink to write. */
import { AvError } from "../wire/errors.ts"
import { MAX_RPC_ITEM } from "../wire/rpc-frame.ts"
import type { Bytes } from "../wire/types.ts"

/** Writes items. A write resolves when the item was handed to the session: await it, and memory stays small. */
export interface RpcSink {
  write(item: Bytes): Promise<void>
}

type Ending = { failed: false } | { failed: true; error: Error }

/**
 * Items between a call's machine and one reader. Holds no more than the credit that was given out: the machine sees to it.
 * Leaving the loop early drops the stream.
 */
export class ItemQueue implements AsyncIterableIterator<Bytes> {
  readonly #events: { taken(): void; idle(): void; left(): void }
  readonly #items: Bytes[] = []
  #reader: { resolve(result: IteratorResult<Bytes, undefined>): void; reject(error: Error): void } | undefined
  #ending: Ending | undefined

  /** @param events taken: one item was read; idle: the reader waits; left: the reader will not come back. */
  constructor(events: { taken(): void; idle(): void; left(): void }) {
    this.#events = events
  }

  push(item: Bytes): void {
    const reader = this.#reader
    if (this.#ending !== undefined) return
    if (reader === undefined) {
      this.#items.push(item)
      return
    }
    this.#reader = undefined
    reader.resolve({ done: false, value: item })
    this.#events.taken()
  }

  /** No more items; with an error the reader meets it after what is already here. */
  end(error?: Error): void {
    if (this.#ending !== undefined) return
    this.#ending = error === undefined ? { failed: false } : { failed: true, error }
    const reader = this.#reader
    this.#reader = undefined
    if (reader === undefined) return
    if (error === undefined) reader.resolve({ done: true, value: undefined })
    else reader.reject(error)
  }

  next(): Promise<IteratorResult<Bytes, undefined>> {
    const item = this.#items.shift()
    if (item !== undefined) {
      this.#events.taken()
      return Promise.resolve({ done: false, value: item })
    }
    const ending = this.#ending
    if (ending !== undefined) {
      if (!ending.failed) return Promise.resolve({ done: true, value: undefined })
      this.#ending = { failed: false }
      return Promise.reject(ending.error)
    }
    if (this.#reader !== undefined) return Promise.reject(new AvError("UsageError", { why: "a stream has one reader" }))
    const result = new Promise<IteratorResult<Bytes, undefined>>((resolve, reject) => {
      this.#reader = { resolve, reject }
    })
    this.#events.idle()
    return result
  }

  return(): Promise<IteratorResult<Bytes, undefined>> {
    const open = this.#ending === undefined
    this.#items.length = 0
    this.end()
    if (open) this.#events.left()
    return Promise.resolve({ done: true, value: undefined })
  }

  [Symbol.asyncIterator](): this {
    return this
  }
}

interface Pending {
  item: Bytes
  last: boolean
  resolve(): void
  reject(error: Error): void
}

/** Items between one writer and a call's machine: sent in order as credit and link space come. */
export class Producer implements RpcSink {
  readonly #port: { ready(): boolean; write(item: Bytes): void; end(item: Bytes): void }
  readonly #pending: Pending[] = []
  #closed: Error | undefined

  /** @param port ready: may a non-final item be sent now? */
  constructor(port: { ready(): boolean; write(item: Bytes): void; end(item: Bytes): void }) {
    this.#port = port
  }

  write(item: Bytes): Promise<void> {
    return this.#queue(item, false)
  }

  /** Ends the stream once everything before is sent. */
  end(item: Bytes = new Uint8Array()): Promise<void> {
    const ended = this.#queue(item, true)
    this.#closed ??= new AvError("UsageError", { why: "the stream has ended" })
    return ended
  }

  /** Credit or space came. */
  pump(): void {
    for (let next = this.#pending[0]; next !== undefined; next = this.#pending[0]) {
      if (!next.last && !this.#port.ready()) return
      this.#pending.shift()
      if (next.last) this.#port.end(next.item)
      else this.#port.write(next.item)
      next.resolve()
    }
  }

  /** The call is over: what waits will not be sent. */
  close(error: Error): void {
    this.#closed = error
    for (const { reject } of this.#pending.splice(0)) reject(error)
  }

  #queue(item: Bytes, last: boolean): Promise<void> {
    if (this.#closed !== undefined) return Promise.reject(this.#closed)
    if (item.length > MAX_RPC_ITEM) {
      return Promise.reject(new AvError("TooLarge", { field: "item", actual: item.length, limit: MAX_RPC_ITEM }))
    }
    const sent = new Promise<void>((resolve, reject) => this.#pending.push({ item, last, resolve, reject }))
    // Whoever awaits it sees the failure; one that nobody awaits must not end a Node process.
    sent.catch(() => {})
    this.pump()
    return sent
  }
}
