/** What parents really deliver against what they promised: the receiver's own check (issue of lying or overloaded relays). */
import type { Milliseconds, PeerKeyId } from "../wire/types.ts"
import type { Delivery } from "./parent-actions.ts"

/** A parent that delivers less than this share of what exists … */
const POOR_SHARE = 0.8
/** … or this much later than the first copy … */
const POOR_LATE_MS = 400
/** … for this long, while another parent does clearly better, is replaced. */
const POOR_FOR_MS = 5_000
const CLEARLY_SHARE = 0.1
/** One at a time: whatever is wrong with both parents is wrong with something else. */
const DEMOTION_INTERVAL_MS = 10_000
/** A measurement older than this says nothing about now. */
const MEASURED_MS = 3_000

interface Record {
  delivery: Delivery
  at: Milliseconds
  poorSince: Milliseconds | undefined
}

export class DeliveryWatch {
  readonly #records = new Map<PeerKeyId, Record>()
  #lastDemotion = Number.NEGATIVE_INFINITY

  measured(parent: PeerKeyId, delivery: Delivery, now: Milliseconds): void {
    const previous = this.#records.get(parent)
    const continuous = previous !== undefined && now - previous.at < MEASURED_MS
    const poorSince = isPoor(delivery) ? ((continuous ? previous.poorSince : undefined) ?? now) : undefined
    this.#records.set(parent, { delivery, at: now, poorSince })
  }

  forget(parent: PeerKeyId): void {
    this.#records.delete(parent)
  }

  /** The parent to demote, if any. `parents` are those in use. A single parent that is poor counts as well: a second opinion is due. */
  poorest(parents: readonly PeerKeyId[], now: Milliseconds): PeerKeyId | undefined {
    if (now - this.#lastDemotion < DEMOTION_INTERVAL_MS) return undefined
    const known = parents.flatMap((keyId) => {
      const record = this.#records.get(keyId)
      return record !== undefined && now - record.at < MEASURED_MS ? [{ keyId, ...record }] : []
    })
    const poor = known.filter(({ poorSince }) => poorSince !== undefined && now - poorSince >= POOR_FOR_MS)
    return poor.find((one) => {
      const others = known.filter(({ keyId }) => keyId !== one.keyId)
      return others.length === 0 || others.some((other) => isClearlyBetter(other.delivery, one.delivery))
    })?.keyId
  }

  demoted(now: Milliseconds): void {
    this.#lastDemotion = now
  }
}

function isPoor({ share, lateMs }: Delivery): boolean {
  return share < POOR_SHARE || lateMs > POOR_LATE_MS
}

function isClearlyBetter(one: Delivery, other: Delivery): boolean {
  if (other.share < POOR_SHARE) return one.share >= other.share + CLEARLY_SHARE
  return one.lateMs <= POOR_LATE_MS
}
