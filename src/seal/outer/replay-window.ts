/** Which sequence numbers were seen lately: the replay window of a hop and of a stream (av-mesh 4.1). */
import { AvError } from "../../wire/errors.ts"
import type { U64 } from "../../wire/types.ts"

export type ReplayOutcome = "Fresh" | "Duplicate" | "StaleBelowWindow"

/** Width for links without lanes. */
const REPLAY_WIDTH = 1_024
/** Width where several lanes reorder (D-41), and for deduplication behind the inner open (D-28). */
export const REPLAY_WIDTH_LANES = 4_096

/** Largest position kept as a plain number; beyond it the window moves its origin. */
const MAX_POSITION = BigInt(Number.MAX_SAFE_INTEGER)

/**
 * `check` before opening, `commit` only after the message proved authentic (D-7): a forged number must never move the window.
 * Positions are plain numbers relative to an origin, so the usual case needs no big integers.
 */
export class ReplayWindow {
  readonly #width: number
  /** One bit per position, addressed by position modulo width. */
  readonly #seen: Uint32Array
  /** Always a multiple of the width, so that moving it leaves every bit in place. */
  #origin = 0n
  /** Highest committed position relative to the origin; -1 before the first. */
  #highest = -1

  /** `width` must be a multiple of 64 and at least 64 (`ReplayWindowWidth`). */
  constructor(width: number = REPLAY_WIDTH) {
    if (!Number.isInteger(width) || width < 64 || width % 64 !== 0) throw new AvError("ReplayWindowWidth", { width })
    this.#width = width
    this.#seen = new Uint32Array(width / 32)
  }

  /** What a message with this number would be; changes nothing. */
  check(sequence: U64 | number): ReplayOutcome {
    if (this.#highest < 0) return "Fresh"
    const position = this.#position(sequence)
    if (position > this.#highest) return "Fresh"
    if (this.#highest - position >= this.#width) return "StaleBelowWindow"
    return this.#isMarked(position) ? "Duplicate" : "Fresh"
  }

  /** Marks a number as seen. A number below the window is ignored. */
  commit(sequence: U64 | number): void {
    const wide = typeof sequence === "bigint" ? sequence : BigInt(sequence)
    if (wide - this.#origin > MAX_POSITION) this.#rebase(wide)
    const position = this.#position(sequence)
    if (position > this.#highest) this.#advance(position)
    else if (this.#highest - position >= this.#width) return
    this.#mark(position)
  }

  /** Check and, when fresh, commit: for callers that have nothing to authenticate in between. */
  admit(sequence: U64 | number): ReplayOutcome {
    const outcome = this.check(sequence)
    if (outcome === "Fresh") this.commit(sequence)
    return outcome
  }

  /** May lose precision far outside the window, where only the comparison with the highest matters. */
  #position(sequence: U64 | number): number {
    if (this.#origin === 0n) return Number(sequence)
    return Number(BigInt(sequence) - this.#origin)
  }

  #advance(position: number): void {
    if (this.#highest < 0 || position - this.#highest >= this.#width) this.#seen.fill(0)
    else for (let p = this.#highest + 1; p < position; p++) this.#clear(p)
    this.#highest = position
  }

  /** Moves the origin close below `sequence`; what is still inside the window keeps its marks. */
  #rebase(sequence: U64): void {
    const width = BigInt(this.#width)
    const origin = (sequence / width - 1n) * width
    const highest = BigInt(this.#highest) + this.#origin - origin
    const inside = this.#highest >= 0 && highest >= 0n
    this.#origin = origin
    // Otherwise everything seen so far lies at least a width below the number that is committed next.
    this.#highest = inside ? Number(highest) : -1
  }

  #slot(position: number): number {
    return position % this.#width
  }

  #isMarked(position: number): boolean {
    const slot = this.#slot(position)
    return ((this.#seen[slot >>> 5] as number) & (1 << (slot & 31))) !== 0
  }

  #mark(position: number): void {
    const slot = this.#slot(position)
    this.#seen[slot >>> 5] = (this.#seen[slot >>> 5] as number) | (1 << (slot & 31))
  }

  #clear(position: number): void {
    const slot = this.#slot(position)
    this.#seen[slot >>> 5] = (this.#seen[slot >>> 5] as number) & ~(1 << (slot & 31))
  }
}
