/** What an append log needs of a disk. */
import type { Bytes } from "../../wire/types.ts"

/**
 * The two files of one log. Opened by one writer at a time. Calls come one after the other, except that `sync` may run beside
 * `append`; it covers what was appended before it was called.
 */
export interface LogStorage {
  /** Bytes in the file of records. */
  size(): Promise<number>
  /** Up to `length` bytes from `offset`; fewer at the end. */
  read(offset: number, length: number): Promise<Bytes>
  /** Writes at `offset`, which is the end of the file, by one call of the system. */
  append(bytes: Bytes, offset: number): Promise<void>
  truncate(length: number): Promise<void>
  /** Resolves when everything appended before is safe from a loss of power. */
  sync(): Promise<void>
  readMeta(): Promise<Bytes | undefined>
  /** Replaces the checkpoint. It need not be safe: a torn one is noticed. */
  writeMeta(bytes: Bytes): Promise<void>
  close(): Promise<void>
}
