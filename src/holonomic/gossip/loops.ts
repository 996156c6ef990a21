/**
 * Which of the regular works is due. Slots of the wall clock decide, never a count of ticks: a tab that is woken once a minute, or a
 * laptop opened after a week, does each once and goes on.
 */
import type { Milliseconds } from "../../wire/types.ts"
import { CUT_DELAY_MS, WITNESS_EPOCH_MS } from "./witness-cut.ts"

export const LOOP_CADENCE_MS = {
  /** Holding claims. */
  publisher: 60_000,
  /** Retention plans. */
  converger: 30_000,
  /** Own witness. */
  witness: WITNESS_EPOCH_MS,
  /** Ageing. */
  decay: 60_000,
  /** Room in the storage. */
  headroom: 30_000,
} as const
export type LoopName = keyof typeof LOOP_CADENCE_MS
const NAMES = Object.keys(LOOP_CADENCE_MS) as LoopName[]

/** Loops whose moment everybody shares; the others are spread, so that a room does not do everything in the same second. */
const SHARED: Partial<Record<LoopName, Milliseconds>> = { witness: CUT_DELAY_MS }

export class LoopClock {
  readonly #offsets: Record<LoopName, Milliseconds>
  readonly #done = new Map<LoopName, number>()

  /** @param spread 0..1, of this peer */
  constructor(spread: number) {
    const offset = (name: LoopName) => SHARED[name] ?? Math.floor(spread * LOOP_CADENCE_MS[name])
    this.#offsets = Object.fromEntries(NAMES.map((name) => [name, offset(name)])) as Record<LoopName, Milliseconds>
  }

  /** The loops to run now, each once however long ago the last run is. A clock that was set back makes nothing due. */
  due(nowUnixMs: Milliseconds): LoopName[] {
    return NAMES.filter((name) => {
      const slot = this.#slot(name, nowUnixMs)
      const done = this.#done.get(name)
      if (done !== undefined && slot <= done) return false
      this.#done.set(name, slot)
      return true
    })
  }

  /** When something is due next. */
  nextMs(nowUnixMs: Milliseconds): Milliseconds {
    return Math.min(
      ...NAMES.map((name) => {
        const done = this.#done.get(name)
        return done === undefined ? nowUnixMs : (done + 1) * LOOP_CADENCE_MS[name] + this.#offsets[name]
      }),
    )
  }

  #slot(name: LoopName, nowUnixMs: Milliseconds): number {
    return Math.floor((nowUnixMs - this.#offsets[name]) / LOOP_CADENCE_MS[name])
  }
}
