/** Striped mode (D-29): two parents that both deliver share the symbols of each frame; in every other case each sends all. */
import type { Milliseconds } from "../wire/types.ts"
import type { ParentAction } from "./parent-actions.ts"
import type { ParentSet } from "./parent-set.ts"
import { isProven, type ParentSlot } from "./parent-slot.ts"
import { sameRange, stripeRanges } from "./stripe.ts"
import type { SymbolRange } from "./types.ts"

export class ParentRanges {
  /** Usual size of a frame, and the loss of the worse path (0..1). */
  symbols = { nSource: 1, kRepair: 0, loss: 0 }
  readonly #set: ParentSet

  constructor(set: ParentSet) {
    this.#set = set
  }

  assign(now: Milliseconds, out: ParentAction[]): void {
    const { live } = this.#set
    const delivers = (slot: ParentSlot) => isProven(slot) && !this.#set.isMissed(slot, now) && now >= slot.suspectUntil
    const sharing = live.length === 2 && live.every(delivers)
    const { nSource, kRepair, loss } = this.symbols
    const [front, back] = stripeRanges(nSource, kRepair, loss)
    // Who had the front keeps it.
    const [first] = [...live].sort((a, b) => (a.range?.[0] ?? 1) - (b.range?.[0] ?? 1))
    for (const slot of live) setRange(slot, sharing ? (slot === first ? front : back) : undefined, out)
  }
}

function setRange(slot: ParentSlot, range: SymbolRange | undefined, out: ParentAction[]): void {
  if (sameRange(slot.range, range)) return
  slot.range = range
  out.push({ kind: "setRange", parent: slot.keyId, range })
}
