/** An index whose batches are records of an append log; what it says is in memory. Opening writes it anew when most of it is history. */
import { ByteReader } from "../../wire/byte-reader.ts"
import { ByteWriter } from "../../wire/byte-writer.ts"
import { utf8Decode, utf8Encode } from "../../wire/bytes.ts"
import { AvError } from "../../wire/errors.ts"
import type { Bytes } from "../../wire/types.ts"
import type { AppendLog } from "../log/append-log.ts"
import type { HoloIndex } from "./layered.ts"
import { SortedKeys } from "./sorted-keys.ts"
import type { StorageOp } from "./storage.ts"

const PUT = 1
const DELETE = 2
/** Bytes of one record of a log that is written anew. */
const CHUNK = 1_048_576
/** Operations of a log that is always kept as it is. */
const SMALL_LOG = 1_000

/** Where the logs of one index are; one of them is in use. */
export interface LogGenerations {
  /** The log in use, or a new one. */
  current(): Promise<AppendLog>
  /** An empty log that is not in use yet. */
  next(): Promise<AppendLog>
  /** From here on the log made last is in use, also after a crash. The one before is closed and removed. */
  switch(): Promise<void>
  close(): Promise<void>
}

export class LogIndex implements HoloIndex {
  readonly #generations: LogGenerations
  readonly #log: AppendLog
  readonly #values: Map<string, Bytes>
  readonly #keys: SortedKeys
  #broken = false

  private constructor(generations: LogGenerations, log: AppendLog, values: Map<string, Bytes>) {
    this.#generations = generations
    this.#log = log
    this.#values = values
    this.#keys = new SortedKeys(values.keys())
  }

  /** @throws AvError `StorageCorrupt` when a record that was not torn says nothing */
  static async open(generations: LogGenerations): Promise<LogIndex> {
    try {
      let log = await generations.current()
      const values = new Map<string, Bytes>()
      let operations = 0
      for await (const { payload } of log.records()) operations += apply(values, decodeOps(payload))
      if (operations > SMALL_LOG && operations > 2 * values.size) {
        log = await generations.next()
        for (const record of snapshot(values)) await log.append(record)
        await log.sync()
        await generations.switch()
      }
      return new LogIndex(generations, log, values)
    } catch (error) {
      await generations.close().catch(() => {})
      throw error
    }
  }

  async get(key: string): Promise<Bytes | undefined> {
    return this.#values.get(key)?.slice()
  }

  async list(prefix: string, options: { after?: string; limit?: number }): Promise<string[]> {
    return this.#keys.list(prefix, options)
  }

  async commit(ops: readonly StorageOp[]): Promise<void> {
    if (this.#broken) throw new AvError("StorageUnavailable", { why: "an earlier write failed" })
    try {
      await this.#log.append(encodeOps(ops), { durable: true })
    } catch (error) {
      // Nobody knows whether it is on the disk: the next opening sees.
      this.#broken = true
      throw error
    }
    apply(this.#values, ops)
    for (const op of ops) {
      if ("put" in op) this.#keys.add(op.put[0])
      else this.#keys.delete(op.del)
    }
  }

  close(): Promise<void> {
    return this.#generations.close()
  }
}

/** One batch as one record: the log keeps a record whole or not at all. */
function encodeOps(ops: readonly StorageOp[]): Bytes {
  const out = new ByteWriter(1_024)
  for (const op of ops) {
    if ("put" in op) out.u8(PUT).lp32(utf8Encode(op.put[0])).lp32(op.put[1])
    else out.u8(DELETE).lp32(utf8Encode(op.del))
  }
  return out.finish()
}

function decodeOps(record: Bytes): StorageOp[] {
  const reader = new ByteReader(record, "StorageCorrupt")
  const ops: StorageOp[] = []
  while (reader.remaining > 0) {
    const kind = reader.u8()
    const key = utf8Decode(reader.lp32(), "StorageCorrupt")
    if (kind === PUT) ops.push({ put: [key, reader.lp32().slice()] })
    else if (kind === DELETE) ops.push({ del: key })
    else throw new AvError("StorageCorrupt", { kind })
  }
  return ops
}

/** Gives the number of operations. */
function apply(values: Map<string, Bytes>, ops: readonly StorageOp[]): number {
  for (const op of ops) {
    if ("put" in op) values.set(op.put[0], op.put[1].slice())
    else values.delete(op.del)
  }
  return ops.length
}

function* snapshot(values: ReadonlyMap<string, Bytes>): Generator<Bytes> {
  let ops: StorageOp[] = []
  let size = 0
  for (const [key, value] of values) {
    ops.push({ put: [key, value] })
    size += key.length + value.length
    if (size < CHUNK) continue
    yield encodeOps(ops)
    ops = []
    size = 0
  }
  if (ops.length > 0) yield encodeOps(ops)
}
