/** Reading a log from some record on: for opening it and for its readers. */
import { concatBytes } from "../../wire/bytes.ts"
import type { Bytes, U64 } from "../../wire/types.ts"
import type { Crc32 } from "./crc32.ts"
import { type Checkpoint, RECORD_HEAD, readRecord, recordLength } from "./record.ts"
import type { LogStorage } from "./storage.ts"

export interface LogRecord {
  seq: U64
  payload: Bytes
}

/** Bytes asked of the disk at once. */
const BLOCK = 262_144

/**
 * The records from `start` up to byte `end`; stops at the first that is short or wrong. Payloads are copies. The value returned says
 * where the next record would begin.
 */
export async function* scanRecords(
  storage: Pick<LogStorage, "read">,
  start: Checkpoint,
  end: number,
  crc: Crc32,
): AsyncGenerator<LogRecord, Checkpoint> {
  let { seq, offset } = start
  let held: Bytes = new Uint8Array()
  /** Makes at least `length` bytes from `offset` on available, if the file has them. */
  const fill = async (length: number): Promise<boolean> => {
    while (held.length < length) {
      const from = offset + held.length
      const wanted = Math.min(end - from, Math.max(BLOCK, length - held.length))
      const more = wanted > 0 ? await storage.read(from, wanted) : held.subarray(0, 0)
      if (more.length === 0) return false
      held = held.length === 0 ? more : concatBytes(held, more)
    }
    return true
  }
  for (;;) {
    if (!(await fill(RECORD_HEAD))) break
    const length = recordLength(held)
    if (length === undefined || !(await fill(RECORD_HEAD + length))) break
    const payload = readRecord(held.subarray(0, RECORD_HEAD + length), seq, crc)
    if (payload === undefined) break
    yield { seq, payload: payload.slice() }
    seq += 1n
    offset += RECORD_HEAD + length
    held = held.subarray(RECORD_HEAD + length)
  }
  return { seq, offset }
}
