/** REFLEX_QUERY and its answers: each question has a number of its own, so none disturbs another (control-plane 6.9). */
import type { AddressBlock } from "../wire/address.ts"
import { AvError } from "../wire/errors.ts"
import type { ReflexReplyEntry, RendezvousMessage } from "../wire/rendezvous-message.ts"
import type { Milliseconds, RandomBytes, U64 } from "../wire/types.ts"
import type { WaitOptions } from "./types.ts"

const TIMEOUT_MS = 3_000
/** Addresses that one query names. */
const MAX_ADDRESSES = 8
const MAX_WAITING = 8

interface Question {
  answer(entries: ReflexReplyEntry[]): void
  fail(error: AvError): void
}

export class ReflexQueries {
  readonly #send: (message: RendezvousMessage) => boolean
  readonly #random: RandomBytes
  readonly #open = new Map<U64, Question>()

  /** `send` answers `false` while there is no registration. */
  constructor(send: (message: RendezvousMessage) => boolean, random: RandomBytes) {
    this.#send = send
    this.#random = random
  }

  ask(
    addresses: readonly AddressBlock[],
    { signal, timeoutMs = TIMEOUT_MS }: WaitOptions = {},
  ): Promise<readonly ReflexReplyEntry[]> {
    if (signal?.aborted === true) return Promise.reject(new AvError("Aborted"))
    if (this.#open.size >= MAX_WAITING) return Promise.reject(new AvError("LimitExceeded", { what: "reflex queries" }))
    const bytes = this.#random(8)
    const queryId = new DataView(bytes.buffer, bytes.byteOffset, 8).getBigUint64(0)
    return new Promise((resolve, reject) => {
      const done = () => {
        clearTimeout(timer)
        signal?.removeEventListener("abort", abort)
        this.#open.delete(queryId)
      }
      const fail = (error: AvError) => {
        done()
        reject(error)
      }
      const abort = () => fail(new AvError("Aborted"))
      const timer = setTimeout(() => fail(new AvError("TraversalError", { kind: "reflex-timeout" })), timeoutMs)
      signal?.addEventListener("abort", abort, { once: true })
      const answer = (entries: ReflexReplyEntry[]) => {
        done()
        resolve(entries)
      }
      this.#open.set(queryId, { answer, fail })
      const sent = this.#send({ kind: "reflex-query", addresses: addresses.slice(0, MAX_ADDRESSES), queryId })
      if (!sent) fail(new AvError("ServerUnreachable", { why: "not registered" }))
    })
  }

  answered(queryId: U64, entries: ReflexReplyEntry[]): void {
    this.#open.get(queryId)?.answer(entries)
  }

  refused(queryId: U64, reason: string, retryAfterMs: Milliseconds): void {
    this.#open.get(queryId)?.fail(new AvError("TraversalError", { kind: "rendezvous-rejected", reason, retryAfterMs }))
  }

  failAll(error: AvError): void {
    for (const question of [...this.#open.values()]) question.fail(error)
  }
}
