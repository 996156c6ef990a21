/** The log worker: owns the files of append logs and does what pages ask for (control-plane 8.3). */
import { AvError, isAvError } from "../../wire/errors.ts"
import type { Bytes } from "../../wire/types.ts"
import type { AppendLog, AppendLogOptions } from "./append-log.ts"
import type { Durability } from "./sync-policy.ts"

/** What a page asks. `handle` names the log, `call` the question. */
export type LogQuestion = { handle: number; call: number } & (
  | { op: "open"; name: string; durability: Durability }
  | { op: "append"; payloads: Bytes[]; durable: boolean }
  | { op: "read"; from: bigint; limit: number }
  | { op: "sync" | "close" }
)

export interface LogFailure {
  code: string
  what: string | undefined
}

export type LogAnswer = { handle: number; call: number } & ({ value: unknown } | { failure: LogFailure })

/** One end of a port, or a worker's own global. */
export interface LogPort {
  postMessage(message: unknown): void
  onmessage: ((event: { data: LogQuestion }) => void) | null
}

type OpenLog = (name: string, options: AppendLogOptions) => Promise<AppendLog>

/** Records that one answer may hold. */
const MAX_READ = 1_024

/** Answers at `port`. The questions of one log are carried out in their order. */
export function serveLogs(port: LogPort, open: OpenLog): void {
  const logs = new Map<number, { log: Promise<AppendLog>; last: Promise<unknown> }>()
  port.onmessage = ({ data: question }) => {
    const { handle, call } = question
    answer(question).then(
      (value) => port.postMessage({ handle, call, value }),
      (error: unknown) => port.postMessage({ handle, call, failure: failureOf(error) }),
    )
  }

  function answer(question: LogQuestion): Promise<unknown> {
    const { handle } = question
    if (question.op === "open") {
      const log = open(question.name, { durability: question.durability })
      logs.set(handle, { log, last: log })
      log.catch(() => logs.delete(handle))
      return log.then(({ nextSeq }) => nextSeq)
    }
    const held = logs.get(handle)
    if (held === undefined) return Promise.reject(new AvError("HandleClosed"))
    if (question.op === "close") logs.delete(handle)
    // Appends need not wait for the syncs of those before them: the log itself keeps their order.
    if (question.op === "append") return held.log.then((log) => log.appendBatch(question.payloads, { durable: question.durable }))
    return held.log.then((log): Promise<unknown> => {
      if (question.op === "read") return read(log, question.from, Math.min(question.limit, MAX_READ))
      return question.op === "sync" ? log.sync() : log.close()
    })
  }
}

async function read(log: AppendLog, from: bigint, limit: number): Promise<{ seq: bigint; payload: Bytes }[]> {
  const records: { seq: bigint; payload: Bytes }[] = []
  for await (const { seq, payload } of log.records()) {
    if (seq < from) continue
    records.push({ seq, payload: payload.slice() })
    if (records.length >= limit) break
  }
  return records
}

function failureOf(error: unknown): LogFailure {
  if (!isAvError(error)) return { code: "StoreError", what: error instanceof Error ? error.message : String(error) }
  return { code: error.code, what: typeof error.details.what === "string" ? error.details.what : undefined }
}
