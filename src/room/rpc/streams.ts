/** Between what applications iterate and the items of a call. */
import type { Bytes } from "../../wire/types.ts"
import type { Items } from "./types.ts"

/** The items of a call as values. One that cannot be read ends the call. */
export function readItems<T>(items: AsyncIterableIterator<Bytes>, read: (bytes: Bytes) => Promise<T>): AsyncIterableIterator<T> {
  const reading: AsyncIterableIterator<T> = {
    async next() {
      const step = await items.next()
      if (step.done === true) return { done: true, value: undefined }
      try {
        return { done: false, value: await read(step.value) }
      } catch (error) {
        await items.return?.()
        throw error
      }
    },
    async return() {
      await items.return?.()
      return { done: true, value: undefined }
    },
    [Symbol.asyncIterator]: () => reading,
  }
  return reading
}

/** Items of a call that begins later. */
export function laterItems<T>(begin: Promise<AsyncIterableIterator<T>>): AsyncIterableIterator<T> {
  const reading: AsyncIterableIterator<T> = {
    next: async () => (await begin).next(),
    return: async () => (await (await begin).return?.()) ?? { done: true, value: undefined },
    [Symbol.asyncIterator]: () => reading,
  }
  // Whoever reads hears of it.
  begin.catch(() => undefined)
  return reading
}

/** The items of an upload as a handler reads them. */
export async function* readUpload<T>(items: AsyncIterable<Bytes>, read: (bytes: Bytes) => Promise<T>): AsyncGenerator<T> {
  for await (const item of items) yield await read(item)
}

/**
 * Hands everything from `source` to `write`, until one of them ends or `over` settles, whichever is first. Rejects with what the
 * source or `write` throws; the source is told that nobody reads on.
 */
export async function feed<T>(source: Items<T>, write: (item: T) => Promise<void>, over: Promise<unknown>): Promise<void> {
  const iterator = Symbol.asyncIterator in source ? source[Symbol.asyncIterator]() : source[Symbol.iterator]()
  let isOver = false
  let wake: (() => void) | undefined
  const stop = () => {
    isOver = true
    wake?.()
  }
  over.then(stop, stop)
  try {
    while (!isOver) {
      // One listener for all items: a race per item would keep them all until the call ends.
      const step = await new Promise<IteratorResult<T, unknown> | undefined>((resolve, reject) => {
        wake = () => resolve(undefined)
        Promise.resolve(iterator.next()).then(resolve, reject)
      })
      if (step === undefined || step.done === true) break
      await write(step.value)
    }
  } finally {
    // A generator that is waiting for something hears of it when it goes on; nobody waits for that.
    Promise.resolve(iterator.return?.()).catch(() => undefined)
  }
}
