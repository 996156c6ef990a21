/** What a page wants of the memory, as plain data: it may be carried out in another tab. */
import type { ItemInfo, MemoryEstimate, PutItem } from "./types.ts"

export type MemoryOrder =
  | { do: "put"; blob: Blob; item: PutItem }
  | { do: "get"; id: string }
  | { do: "list" }
  | { do: "revoke"; id: string }
  | { do: "extend"; id: string; expiresAtMs: number | undefined }
  | { do: "estimate" }

export interface OrderResult {
  put: ItemInfo
  get: Blob
  list: ItemInfo[]
  revoke: undefined
  extend: undefined
  estimate: MemoryEstimate
}

/** Of `put` and `get`. */
export interface OrderProgress {
  done: number
  total: number
}

/** For every tab. */
export type MemoryNews = { news: "changed" } | { news: "revoked"; id: string }
