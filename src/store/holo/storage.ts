/** The storage of a room's memory: keys in the order of their UTF-8 bytes, and batches that happen as a whole or not at all. */
import { isWellFormedText } from "../../wire/bytes.ts"
import { AvError } from "../../wire/errors.ts"
import type { Bytes } from "../../wire/types.ts"

export type StorageOp = { put: readonly [key: string, value: Bytes] } | { del: string }

/** Every back end behaves alike; `storage-suite.ts` says how. Failures: `StorageUnavailable`, `StorageCorrupt`, `QuotaExceeded`. */
export interface HoloStorage {
  /** A copy, or undefined. A damaged value counts as missing. */
  get(key: string): Promise<Bytes | undefined>
  /** Keys that begin with `prefix`, in the order of their UTF-8 bytes, those greater than `after`, at most `limit`. */
  list(prefix: string, options?: { after?: string; limit?: number }): Promise<string[]>
  /** All or nothing, also when the process ends in the middle. The last operation on a key wins. */
  batch(ops: readonly StorageOp[]): Promise<void>
  /** Bytes. */
  estimate(): Promise<{ quotaBytes: number; usageBytes: number }>
  close(): Promise<void>
}

/** Longest key, UTF-16 units: names of others become parts of keys. */
const MAX_KEY = 4_096

/** Joins the parts of a key; each is percent-encoded, so that no part can reach into another one's place. */
export function holoKey(kind: string, ...parts: readonly (string | number | bigint)[]): string {
  const key = ["holo", kind, ...parts.map(keyPart)].join("/")
  if (key.length > MAX_KEY) throw new AvError("UsageError", { why: "key too long", length: key.length })
  return key
}

/** The parts of a key after its kind; undefined for what {@link holoKey} did not make. */
export function holoKeyParts(key: string, kind: string): string[] | undefined {
  const start = `holo/${kind}/`
  if (!key.startsWith(start)) return undefined
  try {
    return key.slice(start.length).split("/").map(decodeURIComponent)
  } catch {
    return undefined
  }
}

/** A number in a key: as many digits as the largest has, so that the order of keys is that of the numbers. */
export function keyNumber(value: number | bigint, digits: 10 | 20): string {
  return String(value).padStart(digits, "0")
}

function keyPart(part: string | number | bigint): string {
  const text = String(part)
  if (!isWellFormedText(text)) throw new AvError("IllFormedString")
  return encodeURIComponent(text)
}

/** What a batch leaves behind: values by key, copied, the last operation on a key; `undefined` for what is gone. */
export function changesOf(ops: readonly StorageOp[]): Map<string, Bytes | undefined> {
  const changes = new Map<string, Bytes | undefined>()
  for (const op of ops) {
    if ("put" in op) changes.set(op.put[0], op.put[1].slice())
    else changes.set(op.del, undefined)
  }
  return changes
}
