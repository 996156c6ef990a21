/** What the capability layer counts (control-plane 3.5). Labels are bounded: strangers must not grow this. */

/** Later labels share {@link OVERFLOW_LABEL}. */
const MAX_LABELS = 4_096
const OVERFLOW_LABEL = "__overflow__"

/** A counter with one label. */
class LabelledCounter {
  readonly #counts = new Map<string, number>()

  add(label: string): void {
    const key = this.#counts.has(label) || this.#counts.size < MAX_LABELS ? label : OVERFLOW_LABEL
    this.#counts.set(key, (this.#counts.get(key) ?? 0) + 1)
  }

  get(label: string): number {
    return this.#counts.get(label) ?? 0
  }

  get total(): number {
    let sum = 0
    for (const count of this.#counts.values()) sum += count
    return sum
  }

  toJSON(): Record<string, number> {
    return Object.fromEntries(this.#counts)
  }
}

/** One per node; every part that refuses something is given it. */
export class CapabilityCounters {
  /** Calls that no offering node would have admitted (`capability_denied_caller_side`). */
  deniedCallerSide = 0
  /** Announcements whose tags named several subnets (`subnet_parse_collapsed_multi_tag`). */
  subnetCollapsed = 0
  /** Dropped announcements and floor records, by reason (`announcements_rejected_total`). */
  readonly rejected = new LabelledCounter()
  /** Certificates that failed their own checks inside an otherwise good announcement. */
  certsIgnored = 0
  /** Announcements not passed on because a neighbour's queue was full. */
  forwardsDropped = 0
}
