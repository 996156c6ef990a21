/** The memory worker's face: what the page asks of it, and what it tells. */
import type { HybridSignature } from "../../crypto/hybrid.ts"
import type { ItemKind } from "../../holonomic/items/item.ts"
import type { ErrorCode } from "../../wire/errors.ts"
import type { Bytes, Milliseconds, NodeId, PeerKeyId } from "../../wire/types.ts"

/** The public half of an identity, as the keys worker gives it. */
export interface MemoryIdentity {
  entityId: Bytes
  mlDsaPublicKey: Bytes
  pqHash: Bytes
  keyId: PeerKeyId
  nodeId: NodeId
}

export interface MemoryOpenOptions {
  meshId: string
  identity: MemoryIdentity
  /** False: nothing outlives the page. */
  persistent: boolean
  /** This page has the person's stored identity: among several tabs it is the one that keeps the memory. */
  preferred: boolean
}

export interface PutItem {
  name: string
  type: string
  kind: ItemKind
  /** Unix ms; undefined: without end. */
  expiresAtMs?: number
  durationMs?: Milliseconds
}

/** An item as far as this peer knows. */
export interface ItemInfo {
  id: string
  kind: ItemKind
  name: string
  type: string
  /** Bytes. */
  size: number
  /** Unix ms. */
  atMs: number
  durationMs?: Milliseconds
  producer: PeerKeyId
  /** Put here by this identity: it may revoke it. */
  own: boolean
  /** Unix ms; absent: without end. */
  expiresAtMs?: number
  /** Whom we know to hold some of it, ourselves included, and what share of the whole: 1 is all of it, without repair. */
  holders: Record<PeerKeyId, number>
  /** The pieces that are reachable now suffice to read it. */
  readable: boolean
  /** Holders without whom it could not be read: none when it survives the leaving of any one of them. */
  needed: PeerKeyId[]
}

export interface MemoryEstimate {
  quotaBytes: number
  usageBytes: number
  /** Of others' items nothing more is taken from `stop` on. */
  level: "normal" | "warn" | "crit" | "stop" | "host_at_risk"
  persistent: boolean
}

/** Whether it is about the whole operation; `total` does not change. */
export type Progress = (doneBytes: number, totalBytes: number) => void

export interface MemoryApi {
  /** @throws AvError `StorageUnavailable`, `StorageCorrupt`, `AlreadyInitialized` */
  open(
    options: MemoryOpenOptions,
    sign: (message: Bytes) => Promise<HybridSignature>,
    fountain: WebAssembly.Module,
  ): Promise<{ persistent: boolean }>
  setEventPort(port: MessagePort): void
  /** A member can be reached. Keys as its session has proven them. @param offsetMs how far the others' clocks are ahead of this one's */
  connected(peer: PeerKeyId, keys: { ed25519: Bytes; mlDsa65: Bytes }, offsetMs: Milliseconds): Promise<void>
  disconnected(peer: PeerKeyId): void
  message(peer: PeerKeyId, payload: Bytes): Promise<void>
  symbol(peer: PeerKeyId, payload: Bytes): Promise<void>
  /** @throws AvError `PayloadTooLarge`, `QuotaExceeded`, `StorageUnavailable`, `Aborted` */
  put(blob: Blob, item: PutItem, operation: number): Promise<ItemInfo>
  /** @throws AvError `ItemNotFound`, `InsufficientSymbols`, `ContentRevoked`, `Aborted`, `DecodeFailed` */
  get(id: string, operation: number): Promise<Blob>
  /** Ends `put` or `get` of that number with `Aborted`. */
  cancel(operation: number): void
  list(): Promise<ItemInfo[]>
  /** @throws AvError `ItemNotFound`, `NotAllowed` */
  revoke(id: string): Promise<void>
  /** @throws AvError `ItemNotFound`, `NotAllowed` */
  extend(id: string, expiresAtMs: number | undefined): Promise<void>
  estimate(): Promise<MemoryEstimate>
  close(): Promise<void>
}

/** What the worker posts. */
export type MemoryEvent =
  /** To be sent; answered by `{ sent: id }` when `id` is there. `first`: before other symbols. */
  | { type: "send"; peer: PeerKeyId; symbol: boolean; payload: Bytes; first: boolean; id?: number }
  /** Items came, went, or are held by others than before. */
  | { type: "changed" }
  | { type: "revoked"; id: string }
  | { type: "progress"; operation: number; done: number; total: number }
  /** Something of a peer was not taken. */
  | { type: "dropped"; what: string; code: string }
  | { type: "failed"; code: ErrorCode }

/** What the page posts. */
export interface MemoryAnswer {
  sent: number
}
