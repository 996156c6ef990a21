/** Passing admitted advertisements on: once to every room link but the one it came from, at the pace a neighbour accepts (D-40). */
import { toHex } from "../wire/bytes.ts"
import type { SignedRelayCapacity } from "../wire/capacity.ts"
import type { Milliseconds, PeerKeyId } from "../wire/types.ts"

/** Sent per link and second; the other side checks no more. */
const PER_LINK = 50
/** At once after a quiet time. */
const BURST = 10
/** Waiting per link; one per relay and stream, so that this is more than a room has relays. */
const MAX_WAITING = 4_096
const SECOND_MS = 1_000

interface Link {
  /** Newest per relay and stream, oldest request first. */
  readonly waiting: Map<string, SignedRelayCapacity>
  left: number
  at: Milliseconds
}

export class CapacityGossip {
  readonly #links = new Map<PeerKeyId, Link>()

  /** @param known what a new neighbour is told: the newest of each relay */
  openLink(neighbour: PeerKeyId, now: Milliseconds, known: readonly SignedRelayCapacity[] = []): void {
    if (this.#links.has(neighbour)) return
    const told = known.filter(({ advertiserKeyId }) => advertiserKeyId !== neighbour).slice(0, MAX_WAITING)
    const waiting = new Map(told.map((signed) => [keyOf(signed), signed]))
    this.#links.set(neighbour, { waiting, left: BURST, at: now })
  }

  closeLink(neighbour: PeerKeyId): void {
    this.#links.delete(neighbour)
  }

  /** `from`: the neighbour it came from; undefined for this peer's own. */
  push(signed: SignedRelayCapacity, from?: PeerKeyId): void {
    const key = keyOf(signed)
    for (const [neighbour, { waiting }] of this.#links) {
      // Its own advertisement is nothing new to the advertiser.
      if (neighbour === from || neighbour === signed.advertiserKeyId) continue
      if (waiting.size < MAX_WAITING || waiting.has(key)) waiting.set(key, signed)
    }
  }

  /** This neighbour has it, for it sent it: where all are linked to all most copies need not be sent. */
  had(neighbour: PeerKeyId, signed: SignedRelayCapacity): void {
    const waiting = this.#links.get(neighbour)?.waiting
    const key = keyOf(signed)
    const measuredAt = waiting?.get(key)?.capacity.measuredAtUnixMs
    if (measuredAt !== undefined && measuredAt <= signed.capacity.measuredAtUnixMs) waiting?.delete(key)
  }

  /** What to send now. Call again soon while something is {@link waiting}. */
  take(now: Milliseconds): { to: PeerKeyId; signed: SignedRelayCapacity }[] {
    const out: { to: PeerKeyId; signed: SignedRelayCapacity }[] = []
    for (const [to, link] of this.#links) {
      link.left = Math.min(BURST, link.left + ((now - link.at) * PER_LINK) / SECOND_MS)
      link.at = now
      for (const [key, signed] of link.waiting) {
        if (link.left < 1) break
        link.left -= 1
        link.waiting.delete(key)
        out.push({ to, signed })
      }
    }
    return out
  }

  get waiting(): number {
    let count = 0
    for (const { waiting } of this.#links.values()) count += waiting.size
    return count
  }
}

function keyOf({ streamId, advertiserKeyId }: SignedRelayCapacity): string {
  return `${toHex(streamId)}/${advertiserKeyId}`
}
