/** The highest version ever accepted per node, kept longer than the entry itself (control-plane 2.5). */
import { LruMap } from "../identity/index.ts"
import { equalBytes } from "../wire/bytes.ts"
import type { Bytes, Milliseconds, NodeId, U64 } from "../wire/types.ts"
import type { Announcement } from "./announcement.ts"

const MAX_NODES = 65_536
/** One day and a minute after its lease an old version can no longer be anybody's live announcement. */
const KEEP_AFTER_LEASE_MS = 86_460_000

interface Highest {
  version: U64
  bodyHash: Bytes
  keepUntil: Milliseconds
}

type VersionVerdict = "newer" | "duplicate" | "Equivocation" | "StaleVersion"

export class VersionHistory {
  readonly #highest: LruMap<NodeId, Highest>

  /** @param isProtected nodes that are indexed, have a session with us, or are token roots. */
  constructor(isProtected: (node: NodeId) => boolean, capacity: number = MAX_NODES) {
    this.#highest = new LruMap(capacity, isProtected)
  }

  judge(announcement: Announcement, bodyHash: Bytes, now: Milliseconds): VersionVerdict {
    const known = this.#highest.get(announcement.nodeId)
    if (known === undefined || now >= known.keepUntil || announcement.version > known.version) return "newer"
    if (announcement.version < known.version) return "StaleVersion"
    return equalBytes(known.bodyHash, bodyHash) ? "duplicate" : "Equivocation"
  }

  /** Remembers an accepted version. False when the table is full of protected nodes. */
  accept(announcement: Announcement, bodyHash: Bytes): boolean {
    const { nodeId, version, issuedMs, ttlSeconds } = announcement
    const keepUntil = Number(issuedMs) + ttlSeconds * 1000 + KEEP_AFTER_LEASE_MS
    return this.#highest.set(nodeId, { version, bodyHash, keepUntil })
  }
}
