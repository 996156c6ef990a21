/** The commits this peer knows: the competing ones of each kept state (RM-13, RM-29), and the last ones in order, for others (RM-17). */
import { EPOCH_KEEP_COUNT } from "../group/types.ts"
import { toHex } from "../wire/bytes.ts"
import type { Bytes, Milliseconds, U64 } from "../wire/types.ts"
import { chooseCommit } from "./choice.ts"

const LOG_ENTRIES = 64
const LOG_BYTES = 8 * 1024 * 1024
const LOG_MS = 10 * 60_000
/** Competing commits of one state; each costs a member of the group a signature, so this is generous. */
const MAX_RIVALS = 16

/** A commit that proved authentic. */
export interface KnownCommit {
  epoch: U64
  bytes: Bytes
  hash: Bytes
  authorLeaf: number
  /** Leaf indices it removes. */
  removes: readonly number[]
  /** Bindings of the leaves it adds, as sent beside it. */
  records: readonly Bytes[]
}

interface Logged extends KnownCommit {
  at: Milliseconds
}

export class CommitBook {
  readonly #rivals = new Map<U64, { known: Map<string, KnownCommit>; applied: string }>()
  #log: Logged[] = []

  /** A commit was applied: it leads from its epoch to the next one. What was built on another one of that epoch is forgotten. */
  applied(commit: KnownCommit, now: Milliseconds): void {
    const entry = this.#rivals.get(commit.epoch) ?? { known: new Map<string, KnownCommit>(), applied: "" }
    const hash = toHex(commit.hash)
    entry.known.set(hash, commit)
    entry.applied = hash
    this.#rivals.set(commit.epoch, entry)
    for (const epoch of this.#rivals.keys()) {
      if (epoch > commit.epoch || epoch + BigInt(EPOCH_KEEP_COUNT) <= commit.epoch) this.#rivals.delete(epoch)
    }
    this.#log = this.#log.filter(({ epoch }) => epoch < commit.epoch)
    this.#log.push({ ...commit, at: now })
    this.#trim(now)
  }

  /**
   * Another commit of a state that was left. Returns the one that counts now when it is not the applied one, else undefined.
   * The choice is made over all known ones together.
   */
  rival(commit: KnownCommit): KnownCommit | undefined {
    const entry = this.#rivals.get(commit.epoch)
    if (entry === undefined) return undefined
    const hash = toHex(commit.hash)
    if (!entry.known.has(hash) && entry.known.size >= MAX_RIVALS) return undefined
    entry.known.set(hash, commit)
    const winner = chooseCommit([...entry.known.values()])
    return toHex(winner.hash) === entry.applied ? undefined : winner
  }

  /** The commit that was applied in a kept epoch. */
  appliedIn(epoch: U64): KnownCommit | undefined {
    const entry = this.#rivals.get(epoch)
    return entry?.known.get(entry.applied)
  }

  /** True when it is known already, applied or not. */
  knows(epoch: U64, hash: Bytes): boolean {
    return this.#rivals.get(epoch)?.known.has(toHex(hash)) ?? false
  }

  /** The commits from an epoch on, in order; undefined when they are not kept any more. */
  since(epoch: U64, now: Milliseconds): readonly KnownCommit[] | undefined {
    this.#trim(now)
    const first = this.#log.findIndex((commit) => commit.epoch === epoch)
    return first < 0 ? undefined : this.#log.slice(first)
  }

  clear(): void {
    this.#rivals.clear()
    this.#log = []
  }

  #trim(now: Milliseconds): void {
    let bytes = 0
    let from = this.#log.length
    while (from > 0 && this.#log.length - from < LOG_ENTRIES) {
      const entry = this.#log[from - 1]!
      bytes += entry.bytes.length
      if (bytes > LOG_BYTES || now - entry.at > LOG_MS) break
      from--
    }
    if (from > 0) this.#log = this.#log.slice(from)
  }
}
