/** The public shapes of a room's memory: files and recordings that live on the members' devices. */
import type { Participant } from "../types.ts"

export interface MemoryPutOptions {
  /** Shown to everybody; at most 255 characters. Default: the file's own name, else `untitled`. */
  name?: string
  /** How long it lives, ms. Default 30 days; `Infinity`: without end. */
  lifetimeMs?: number
  /** Of a recording. */
  durationMs?: number
  /** Default `file`. */
  kind?: "file" | "recording"
  signal?: AbortSignal
  onProgress?: (doneBytes: number, totalBytes: number) => void
}

export interface MemoryGetOptions {
  signal?: AbortSignal
  onProgress?: (doneBytes: number, totalBytes: number) => void
}

/** Somebody who keeps a part of an item. */
export interface MemoryHolder {
  /** Key id. */
  id: string
  /** Undefined for somebody who has just gone. */
  participant: Participant | undefined
  /** Of the whole: with 1 somebody could give it alone. What is more is repair. */
  share: number
}

/** A file or recording in the room's memory. */
export interface MemoryItem {
  readonly id: string
  readonly kind: "file" | "recording"
  readonly name: string
  /** Media type as its publisher wrote it: nobody has checked it. */
  readonly type: string
  /** Bytes. */
  readonly size: number
  /** Unix ms at which it was put here, by the publisher's clock. */
  readonly at: number
  /** Ms. */
  readonly durationMs: number | undefined
  /** Key id of who put it here. */
  readonly publisherId: string
  /** Undefined when the publisher is not in the room. */
  readonly publisher: Participant | undefined
  /** Put here by this identity: it may prolong and revoke it. */
  readonly own: boolean
  /** Unix ms; undefined: without end. */
  readonly expiresAt: number | undefined
  readonly holders: readonly MemoryHolder[]
  /** The pieces on the devices that are here now suffice. */
  readonly readable: boolean
  /** Key ids of holders without whom they would not: none when anybody may leave. */
  readonly needed: readonly string[]
}

export interface MemoryUsage {
  /** Of the whole origin; bytes. */
  quota: number
  usage: number
  /** `low` and worse: pieces are given up, the others' first. `full`: no more is taken from others. */
  level: "normal" | "low" | "full"
  /** False: what is kept is forgotten with this page (a private window, a browser without locks, an identity of this page alone). */
  persistent: boolean
}

/** What the room remembers. Nobody's server keeps any of it: every member keeps a few pieces of everything. */
export interface RoomMemory {
  /**
   * Cuts a file or recording into pieces, signs them, and spreads them over the members.
   * @throws AvError `PayloadTooLarge`, `QuotaExceeded`, `StorageUnavailable`, `Aborted`
   */
  put(content: Blob, options?: MemoryPutOptions): Promise<MemoryItem>
  /**
   * Gathers enough pieces of an item, checks each, and puts it together again, bit by bit as it was.
   * @throws AvError `ItemNotFound`, `InsufficientSymbols` (too few of those who keep it are here), `ContentRevoked`, `Aborted`
   */
  get(item: MemoryItem | string, options?: MemoryGetOptions): Promise<File>
  /** The newest first. */
  list(): Promise<MemoryItem[]>
  /** Takes back an item of one's own, for good: every member deletes it, also who comes later. @throws AvError `ItemNotFound`, `NotAllowed` */
  revoke(item: MemoryItem | string): Promise<void>
  /** Lets an item of one's own live so much longer from now, ms. A shorter time than it has already changes nothing. */
  prolong(item: MemoryItem | string, lifetimeMs: number): Promise<void>
  usage(): Promise<MemoryUsage>
}
