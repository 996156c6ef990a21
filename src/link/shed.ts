/** What a full queue drops together with a stale message: link-lanes LL-24. */

/** Age at which a queued message is dropped, in ms. */
export const STALE_MS = 150

export interface QueuedChunk {
  /** Any text that tells streams apart. */
  stream: string
  /** Number of the frame; only the publisher knows it. */
  frame?: number
  spatial: number
  temporal: number
  quality: number
  /** When the publisher made the frame, or when the chunk came in at a relay; ms. */
  at: number
}

/**
 * Indexes to drop, ascending. A publisher drops frames with what depends on them; a relay, which sees no frames, drops
 * by layer.
 *
 * @param queue in send order
 */
export function shed(role: "publisher" | "relay", queue: readonly QueuedChunk[], now: number, staleMs: number): number[] {
  const drop = new Set<number>()
  queue.forEach((chunk, index) => {
    if (now - chunk.at <= staleMs) return
    drop.add(index)
    queue.forEach((other, at) => {
      if (other.stream !== chunk.stream || at === index) return
      if (role === "publisher" ? goesWithFrame(chunk, other, queue) : goesWithLayer(chunk, other)) drop.add(at)
    })
  })
  return [...drop].sort((a, b) => a - b)
}

function goesWithFrame(stale: QueuedChunk, other: QueuedChunk, queue: readonly QueuedChunk[]): boolean {
  const from = stale.frame ?? 0
  const frame = other.frame ?? 0
  if (frame === from) return true
  if (frame < from || !isHigher(other, stale)) return false
  const base = queue.some((c) => c.stream === stale.stream && isBase(c) && (c.frame ?? 0) > from && (c.frame ?? 0) <= frame)
  return !base
}

function goesWithLayer(stale: QueuedChunk, other: QueuedChunk): boolean {
  if (isHigher(other, stale)) return true
  return other.spatial === stale.spatial && other.temporal === stale.temporal && other.quality >= 1
}

function isHigher(a: QueuedChunk, b: QueuedChunk): boolean {
  return a.spatial >= b.spatial && a.temporal >= b.temporal && (a.spatial > b.spatial || a.temporal > b.temporal)
}

function isBase(chunk: QueuedChunk): boolean {
  return chunk.spatial === 0 && chunk.temporal === 0
}
