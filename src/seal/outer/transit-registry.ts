/** Every transit key this process ever sealed with, so that none is used twice (av-mesh D-5.3, D-5.4). */
import { sha256Sync } from "../../crypto/index.ts"
import { concatBytes, toHex } from "../../wire/bytes.ts"
import { AvError } from "../../wire/errors.ts"
import type { Bytes } from "../../wire/types.ts"

/** `link_seq` ends here; a new subscription with a new nonce is needed. */
export const MAX_LINK_SEQ = 2 ** 32
/** A subscriber that asks for a new key all the time must not fill the memory (each entry is about 150 bytes). */
const MAX_ENTRIES = 262_144
/** One subscriber may not use up the table of all: above this it alone gets no more keys. */
export const MAX_ENTRIES_PER_LINK = 32_768

/** The counter of one installed key. */
export interface LinkSequence {
  /** The next value `take` will give. */
  readonly next: number
  /** Hands out a `link_seq` that was never used under this key. `LinkSeqExhausted` at 2^32. */
  take(): number
}

/** Kept for the life of the process: forgetting an entry would allow a key to start again at zero. */
export class TransitKeyRegistry {
  readonly #installed = new Set<string>()
  readonly #perLink = new Map<string, number>()

  /**
   * Registers a key for sending. The pair is known already: `TransitKeyReuse`. The table, or the share of this link id (the receiver)
   * in it, is full: `LimitExceeded`.
   */
  install(transitKey: Bytes, linkId: Bytes): LinkSequence {
    const id = toHex(sha256Sync(concatBytes(transitKey, linkId)))
    if (this.#installed.has(id)) throw new AvError("TransitKeyReuse")
    if (this.#installed.size >= MAX_ENTRIES) throw new AvError("LimitExceeded", { what: "transit keys", max: MAX_ENTRIES })
    const link = toHex(linkId)
    const used = this.#perLink.get(link) ?? 0
    if (used >= MAX_ENTRIES_PER_LINK) throw new AvError("LimitExceeded", { what: "transit keys", max: MAX_ENTRIES_PER_LINK })
    this.#installed.add(id)
    this.#perLink.set(link, used + 1)
    return new LinkCounter()
  }
}

/** Counts up and never back. */
export class LinkCounter implements LinkSequence {
  #next: number

  constructor(next = 0) {
    this.#next = next
  }

  get next(): number {
    return this.#next
  }

  take(): number {
    if (this.#next >= MAX_LINK_SEQ) throw new AvError("LinkSeqExhausted", { max: MAX_LINK_SEQ })
    return this.#next++
  }
}
