/** A log that lives in a log worker, as the page holds it: appending never waits for a sync (control-plane 8.3, 12). */
import { AvError, type ErrorCode } from "../../wire/errors.ts"
import type { Bytes, U64 } from "../../wire/types.ts"
import { FREE_DEADLINE_MS, forgotten, HandleGuard, nextHandleId } from "../handle-guard.ts"
import type { LogAnswer, LogFailure, LogQuestion } from "./log-service.ts"
import type { LogRecord } from "./scan.ts"
import type { Durability } from "./sync-policy.ts"

/** A worker, or the near end of a port to one. */
export interface LogWorker {
  postMessage(message: unknown): void
  addEventListener(type: "message", listener: (event: MessageEvent) => void): void
}

export interface OpenLogOptions {
  /** When what was appended is made safe from a loss of power. Default `never`: only by `sync` and `close`. */
  durability?: Durability
  /** Something was left behind because the worker did not answer for five seconds while the log was closed. */
  onWarning?: (error: AvError) => void
}

export interface AppendLogHandle {
  /** Appends all or nothing and gives the number of the first; null for an empty batch. Resolves when the system has the bytes. */
  append(payloads: readonly Uint8Array[], options?: { durable?: boolean }): Promise<U64 | null>
  /** Up to 1 024 records from a number on. */
  read(from: U64, limit?: number): Promise<LogRecord[]>
  /** Resolves when everything appended before is safe from a loss of power. */
  sync(): Promise<void>
  /** Syncs and gives the files free. Idempotent. Calls after it fail with `HandleClosed`. */
  close(): Promise<void>
  [Symbol.asyncDispose](): Promise<void>
}

interface Waiting {
  resolve(value: unknown): void
  reject(error: AvError): void
}

const READ_LIMIT = 1_024
/** Codes that the worker answers with; anything else is a fault of the storage. */
const CODES: readonly ErrorCode[] = ["StoreError", "UsageError", "HandleClosed", "TooLarge"]

/** Who waits for what at one worker. It knows calls and no handles, so a forgotten handle can be collected. */
class Line {
  readonly #worker: LogWorker
  readonly #waiting = new Map<number, Waiting & { handle: number }>()
  #lastCall = 0

  constructor(worker: LogWorker) {
    this.#worker = worker
    worker.addEventListener("message", ({ data }) => this.#answered(data as LogAnswer))
  }

  ask(handle: number, question: Omit<LogQuestion, "handle" | "call">): Promise<unknown> {
    const call = ++this.#lastCall
    return new Promise((resolve, reject) => {
      this.#waiting.set(call, { handle, resolve, reject })
      this.#worker.postMessage({ handle, call, ...question })
    })
  }

  /** Nobody is left who could want an answer: what still comes for this handle is dropped. */
  forget(handle: number): void {
    for (const [call, { handle: of, reject }] of this.#waiting) {
      if (of !== handle) continue
      this.#waiting.delete(call)
      reject(new AvError("HandleClosed"))
    }
  }

  #answered(answer: LogAnswer): void {
    const waiting = this.#waiting.get(answer.call)
    if (waiting === undefined || waiting.handle !== answer.handle) return
    this.#waiting.delete(answer.call)
    if ("failure" in answer) waiting.reject(errorOf(answer.failure))
    else waiting.resolve(answer.value)
  }
}

const lines = new WeakMap<LogWorker, Line>()

/**
 * Opens the log `name` (16 hex digits) in the log worker. One page of the origin can have it open.
 * @throws AvError `StoreError` with what `locked` when another tab has it, `unsupported` where there are no such files
 */
export async function openLog(worker: LogWorker, name: string, options: OpenLogOptions = {}): Promise<AppendLogHandle> {
  if (!/^[0-9a-f]{16}$/.test(name)) throw new AvError("UsageError", { why: "log name" })
  const line = lines.get(worker) ?? new Line(worker)
  lines.set(worker, line)
  const unlock = await lock(name)
  const handle = nextHandleId()
  try {
    await line.ask(handle, { op: "open", name, durability: options.durability ?? "never" } as LogQuestion)
  } catch (error) {
    unlock()
    throw error
  }
  return new RemoteLog(line, handle, unlock, options.onWarning)
}

class RemoteLog implements AppendLogHandle {
  readonly #guard: HandleGuard
  readonly #line: Line
  readonly #handle: number
  readonly #unlock: () => void
  #closing: Promise<void> | undefined

  constructor(line: Line, handle: number, unlock: () => void, onWarning?: (error: AvError) => void) {
    this.#guard = new HandleGuard(onWarning)
    this.#line = line
    this.#handle = handle
    this.#unlock = unlock
    forgotten.register(this, () => void release(line, handle, unlock).catch(() => undefined), this)
  }

  append(payloads: readonly Uint8Array[], { durable = false }: { durable?: boolean } = {}): Promise<U64 | null> {
    return this.#guard.run(() => this.#ask<U64 | null>({ op: "append", payloads: [...payloads] as Bytes[], durable }))
  }

  read(from: U64, limit = READ_LIMIT): Promise<LogRecord[]> {
    return this.#guard.run(() => this.#ask<LogRecord[]>({ op: "read", from, limit }))
  }

  sync(): Promise<void> {
    return this.#guard.run(() => this.#ask<void>({ op: "sync" }))
  }

  close(): Promise<void> {
    this.#closing ??= this.#close()
    return this.#closing
  }

  [Symbol.asyncDispose](): Promise<void> {
    return this.close()
  }

  async #close(): Promise<void> {
    const outcome = await this.#guard.beginFree()
    if (outcome !== "drained") return
    forgotten.unregister(this)
    await release(this.#line, this.#handle, this.#unlock)
  }

  #ask<T>(question: Omit<LogQuestion, "handle" | "call"> & Record<string, unknown>): Promise<T> {
    return this.#line.ask(this.#handle, question) as Promise<T>
  }
}

/** A worker that is gone answers nothing: what it held is free then anyway. */
async function release(line: Line, handle: number, unlock: () => void): Promise<void> {
  let timer: ReturnType<typeof setTimeout> | undefined
  const late = new Promise<never>((_, reject) => {
    timer = setTimeout(() => reject(new AvError("StoreError", { what: "no answer" })), FREE_DEADLINE_MS)
  })
  try {
    await Promise.race([line.ask(handle, { op: "close" } as LogQuestion), late])
  } finally {
    clearTimeout(timer)
    unlock()
    line.forget(handle)
  }
}

/** One writer of each log: the lock is held until the returned function is called. Browsers without locks have the system's own. */
async function lock(name: string): Promise<() => void> {
  const { locks } = globalThis.navigator ?? {}
  if (locks === undefined) return () => undefined
  return new Promise((resolve, reject) => {
    locks
      .request(`holomesh-log:${name}`, { ifAvailable: true }, (held) => {
        if (held === null) {
          reject(new AvError("StoreError", { what: "locked" }))
          return undefined
        }
        return new Promise<void>((release) => resolve(release))
      })
      .catch((cause: unknown) => reject(new AvError("StoreError", { what: "unsupported" }, { cause })))
  })
}

function errorOf({ code, what }: LogFailure): AvError {
  const known = CODES.find((each) => each === code) ?? "StoreError"
  return new AvError(known, what === undefined ? {} : { what })
}
