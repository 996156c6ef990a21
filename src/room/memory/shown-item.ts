/** An item as the application sees it, and how it is named. */
import type { ItemInfo } from "../../pipeline/memory/index.ts"
import type { Milliseconds, PeerKeyId } from "../../wire/types.ts"
import type { People } from "../people.ts"
import type { MemoryItem } from "./types.ts"

export function shownItem(info: ItemInfo, people: People): MemoryItem {
  const participant = (id: PeerKeyId) => (id === people.local.id ? people.local : people.remote.get(id))
  return {
    id: info.id,
    kind: info.kind,
    name: info.name,
    type: info.type,
    size: info.size,
    at: info.atMs,
    durationMs: info.durationMs,
    publisherId: info.producer,
    publisher: participant(info.producer),
    own: info.own,
    expiresAt: info.expiresAtMs,
    holders: Object.entries(info.holders).map(([id, share]) => ({ id, share, participant: participant(id) })),
    readable: info.readable,
    needed: info.needed,
  }
}

export function endOf(lifetimeMs: number, now: Milliseconds): number | undefined {
  return lifetimeMs === Number.POSITIVE_INFINITY ? undefined : Math.floor(now + lifetimeMs)
}

export function idOf(item: MemoryItem | string): string {
  return typeof item === "string" ? item : item.id
}
