/** When a log is made safe from a loss of power without being asked (control-plane 8.2). Sans-I/O. */
import { AvError } from "../../wire/errors.ts"
import type { Milliseconds } from "../../wire/types.ts"

/**
 * `never`: only on request. `everyN`: after so many records. `intervalMs`: so long after a record, or earlier when `maxBytes` were
 * written; a zero turns that bound off, two zeros mean never.
 */
export type Durability = "never" | { everyN: number } | { intervalMs: Milliseconds; maxBytes?: number }

/** Counts towards the next sync. */
export class SyncPolicy {
  readonly #everyN: number | undefined
  readonly #intervalMs: Milliseconds
  readonly #maxBytes: number
  #records = 0
  #bytes = 0

  constructor(durability: Durability) {
    const { everyN, intervalMs = 0, maxBytes = 0 } = shapeOf(durability)
    for (const value of [everyN ?? 0, intervalMs, maxBytes]) {
      if (!(value >= 0)) throw new AvError("UsageError", { why: "durability" })
    }
    this.#everyN = everyN === undefined ? undefined : Math.max(1, everyN)
    this.#intervalMs = intervalMs
    this.#maxBytes = maxBytes
  }

  /** Records were handed to the system. True when a sync is due; at most once per batch. */
  appended(records: number, bytes: number): boolean {
    this.#records += records
    this.#bytes += bytes
    const due = this.#everyN !== undefined ? this.#records >= this.#everyN : this.#maxBytes > 0 && this.#bytes >= this.#maxBytes
    if (due) this.syncing()
    return due
  }

  /** How long unsynced records may stay so; undefined where no timer is wanted. */
  get timerMs(): Milliseconds | undefined {
    return this.#everyN === undefined && this.#intervalMs > 0 && this.#records > 0 ? this.#intervalMs : undefined
  }

  /** A sync was asked for: what comes from here on counts towards the next. */
  syncing(): void {
    this.#records = 0
    this.#bytes = 0
  }
}

function shapeOf(durability: Durability): { everyN?: number; intervalMs?: Milliseconds; maxBytes?: number } {
  return durability === "never" ? {} : durability
}
