/** Requests to the server's key package directory, one at a time: its answers name no request (av-mesh 6.6 D-18). */
import { AvError, isAvError } from "../wire/errors.ts"
import { decodeKeyPackageRecord } from "../wire/key-records.ts"
import type { Bytes } from "../wire/types.ts"
import type { WaitOptions } from "./types.ts"

const TIMEOUT_MS = 5_000
/** How long a publication listens for a refusal; the server is silent about what it took. */
const PUT_GRACE_MS = 500
const MAX_WAITING = 64

type Answer = { record: Bytes } | { error: string }

interface Request {
  payload: Bytes
  /** Takes an answer; `false` when it belongs to something else. */
  settle(answer: Answer): boolean
  fail(error: AvError): void
  onSent(): void
}

export class DirectoryRequests {
  readonly #send: (payload: Bytes) => boolean
  readonly #queue: Request[] = []
  #current: Request | undefined

  /** `send` answers `false` while there is no registration. */
  constructor(send: (payload: Bytes) => boolean) {
    this.#send = send
  }

  /** Resolves when the server had time to refuse and did not. */
  put(payload: Bytes, options: WaitOptions): Promise<void> {
    return this.#request<void>(payload, options, (answer, resolve, reject) => {
      if (answer === undefined) resolve()
      else if ("error" in answer) reject(directoryError(answer.error))
      return answer === undefined || "error" in answer
    })
  }

  get(keyId: string, payload: Bytes, options: WaitOptions): Promise<Bytes> {
    return this.#request<Bytes>(payload, options, (answer, resolve, reject) => {
      if (answer === undefined) return false
      // A late refusal of an earlier publication is not the answer to this.
      if ("error" in answer && answer.error.startsWith("KeyPackage") && answer.error !== "KeyPackageUnavailable") return false
      if ("error" in answer) reject(directoryError(answer.error, keyId))
      else if (isRecordOf(answer.record, keyId)) resolve(answer.record)
      else return false
      return true
    })
  }

  answer(answer: Answer): void {
    if (this.#current?.settle(answer) === true) this.#next()
  }

  failAll(error: AvError): void {
    const all = this.#current === undefined ? this.#queue.splice(0) : [this.#current, ...this.#queue.splice(0)]
    this.#current = undefined
    for (const request of all) request.fail(error)
  }

  #request<T>(
    payload: Bytes,
    { signal, timeoutMs = TIMEOUT_MS }: WaitOptions,
    take: (answer: Answer | undefined, resolve: (value: T) => void, reject: (error: AvError) => void) => boolean,
  ): Promise<T> {
    if (this.#queue.length >= MAX_WAITING) return Promise.reject(new AvError("LimitExceeded", { what: "directory requests" }))
    return new Promise<T>((resolve, reject) => {
      const timers: ReturnType<typeof setTimeout>[] = []
      const done = () => {
        for (const timer of timers) clearTimeout(timer)
        signal?.removeEventListener("abort", abort)
      }
      const settled = (answer: Answer | undefined) => {
        const taken = take(answer, resolve, reject)
        if (taken) done()
        return taken
      }
      const fail = (error: AvError) => {
        done()
        reject(error)
      }
      const giveUp = (error: AvError) => {
        fail(error)
        this.#remove(request)
      }
      const abort = () => giveUp(new AvError("Aborted"))
      const onSent = () => {
        timers.push(setTimeout(() => settled(undefined) && this.#remove(request), PUT_GRACE_MS))
      }
      const request: Request = { payload, settle: settled, fail, onSent }
      if (signal?.aborted === true) return fail(new AvError("Aborted"))
      signal?.addEventListener("abort", abort, { once: true })
      timers.push(setTimeout(() => giveUp(new AvError("ServerUnreachable", { why: "no answer" })), timeoutMs))
      this.#queue.push(request)
      if (this.#current === undefined) this.#next()
    })
  }

  #remove(request: Request): void {
    const at = this.#queue.indexOf(request)
    if (at >= 0) this.#queue.splice(at, 1)
    if (this.#current === request) this.#next()
  }

  #next(): void {
    this.#current = this.#queue.shift()
    const request = this.#current
    if (request === undefined) return
    if (this.#send(request.payload)) {
      request.onSent()
      return
    }
    request.fail(new AvError("ServerUnreachable", { why: "not registered" }))
    this.#next()
  }
}

function isRecordOf(record: Bytes, keyId: string): boolean {
  try {
    return decodeKeyPackageRecord(record).record.keyId === keyId
  } catch (error) {
    if (isAvError(error)) return false
    throw error
  }
}

function directoryError(name: string, keyId?: string): AvError {
  const details = { keyId, reason: name }
  if (name === "KeyPackageUnavailable" || name === "KeyPackageMismatch" || name === "KeyPackageSignatureInvalid") {
    return new AvError(name, details)
  }
  return new AvError(name === "LimitExceeded" ? "LimitExceeded" : "ServerRefused", details)
}
