/** When a healthy subscription may move to a better parent: margin, dwell, rate limit (D-26.6). */
import type { Milliseconds, PeerKeyId } from "../wire/types.ts"
import { SWITCH_DWELL_MS, SWITCH_INTERVAL_MS, SWITCH_MARGIN } from "./constants.ts"

/** After a longer time without a look nobody knows whether the gain lasted, ms. */
const LONGEST_GAP_MS = 2_000

/** What a parent offers: its round trip and how many layers it serves. */
export interface Offer {
  keyId: PeerKeyId
  rttMs: Milliseconds
  layers: number
}

/** True for at least 20 % less round trip at no fewer layers, or for one more layer. */
function isWorthSwitching(current: Offer, other: Offer): boolean {
  if (other.layers !== current.layers) return other.layers > current.layers
  return other.rttMs <= current.rttMs * (1 - SWITCH_MARGIN)
}

/** Sticks to one challenger while that is worth switching to, so that two equal ones cannot take turns in resetting the clock. */
export class SwitchDamper {
  #challenger: { keyId: PeerKeyId; instead: PeerKeyId; since: Milliseconds } | undefined
  #lastSwitch = Number.NEGATIVE_INFINITY
  #lastLook = Number.NEGATIVE_INFINITY

  /**
   * Looks at the offers, best first, that could replace `current`; says which one to take now, if any. Call it regularly: a gain counts
   * as lasting from one call to the next.
   */
  consider(current: Offer, others: readonly Offer[], now: Milliseconds): PeerKeyId | undefined {
    if (now - this.#lastLook > LONGEST_GAP_MS) this.#challenger = undefined
    this.#lastLook = now
    const worthwhile = others.filter((other) => isWorthSwitching(current, other))
    const held = this.#challenger
    const sticks = held?.instead === current.keyId && worthwhile.some(({ keyId }) => keyId === held.keyId)
    if (!sticks) {
      const first = worthwhile[0]
      this.#challenger = first === undefined ? undefined : { keyId: first.keyId, instead: current.keyId, since: now }
    }
    const challenger = this.#challenger
    if (challenger === undefined || now - challenger.since < SWITCH_DWELL_MS) return undefined
    return this.isResting(now) ? undefined : challenger.keyId
  }

  /** The last switch is less than 30 s ago. */
  isResting(now: Milliseconds): boolean {
    return now - this.#lastSwitch < SWITCH_INTERVAL_MS
  }

  /** A switch was begun: none for the next 30 s. */
  switched(now: Milliseconds): void {
    this.#lastSwitch = now
    this.#challenger = undefined
  }
}
