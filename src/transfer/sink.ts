/** Where a fetched tree is built: a private place first, installed as a whole when everything is there (control-plane 7.4). */
import type { TreeEntry } from "../store/tree/manifest.ts"
import type { TreePlatform } from "../store/tree/paths.ts"
import type { Bytes } from "../wire/types.ts"

/** A file that is being written. */
export interface TreeFile {
  /** What an earlier attempt left at this place; undefined when there is less. Its content proves nothing. */
  existing(offset: number, length: number): Promise<Bytes | undefined>
  write(offset: number, bytes: Bytes): Promise<void>
  /** Everything is written. */
  close(): Promise<void>
  /** Closes without a claim that it is whole. Never rejects. */
  giveUp(): Promise<void>
}

/**
 * Paths come from a checked manifest. Everything happens in this order: `begin`, directories with parents first, files, links, then
 * `commit` or `abort`.
 */
export interface TreeSink {
  readonly platform: TreePlatform
  /** @param id 16 hex digits that name this content. @throws AvError `QuotaExceeded` when there is no room */
  begin(id: string, entries: readonly TreeEntry[], totalBytes: number): Promise<void>
  directory(path: string): Promise<void>
  open(path: string, size: number, mode: number): Promise<TreeFile>
  link(path: string, target: string): Promise<void>
  /** Puts the tree in the place of what was there. `entries` for what can only be set at the end. */
  commit(entries: readonly TreeEntry[]): Promise<void>
  /** The fetch failed: the destination stays as it was. Never rejects. */
  abort(): Promise<void>
}
