/** Who was asked in vain, and until when it is left alone. */
import type { Milliseconds, PeerKeyId } from "../wire/types.ts"

/** Why an attempt failed; each with its first pause and its longest, ms. */
const PAUSES = {
  /** Full; places become free. */
  capacity: [5_000, 60_000],
  /** Full, though the plan gives this peer a place there: who has it moves within a second or two. */
  planned: [2_000, 5_000],
  /** No answer, no stream, or the link broke. */
  failed: [2_000, 60_000],
  /** Accepted and then said nothing. */
  silent: [5_000, 60_000],
  /** Delivered less than others; a minute at least, however it is spread. */
  demoted: [75_000, 600_000],
  /** Said that it goes. */
  leaving: [30_000, 60_000],
} as const
export type FailureKind = keyof typeof PAUSES

/** Entries kept; the oldest goes first. Larger than anybody ever asks in ten minutes. */
const MAX_ENTRIES = 512
/** Pauses are spread by this share, so that the children of one dead relay do not come back together. */
const JITTER = 0.2

export class CandidateBackoff {
  readonly #random: () => number
  readonly #entries = new Map<PeerKeyId, { until: Milliseconds; failures: number }>()

  /** `random`: 0..1. */
  constructor(random: () => number) {
    this.#random = random
  }

  failed(keyId: PeerKeyId, kind: FailureKind, now: Milliseconds): void {
    const failures = (this.#entries.get(keyId)?.failures ?? 0) + 1
    const [first, longest] = PAUSES[kind]
    const pause = Math.min(longest, first * 2 ** (failures - 1))
    const spread = 1 + JITTER * (2 * this.#random() - 1)
    this.#entries.delete(keyId)
    this.#entries.set(keyId, { until: now + pause * spread, failures })
    const [oldest] = this.#entries.keys()
    if (this.#entries.size > MAX_ENTRIES && oldest !== undefined) this.#entries.delete(oldest)
  }

  /** It served well: the next failure begins with a short pause again. */
  forgive(keyId: PeerKeyId): void {
    this.#entries.delete(keyId)
  }

  /** When it may be asked again; 0 when nothing is held against it. */
  until(keyId: PeerKeyId): Milliseconds {
    return this.#entries.get(keyId)?.until ?? 0
  }
}
