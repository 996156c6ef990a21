/** The peer's `link.lane` messages: held until both ends know that they are members, then carried out one after another (link-lanes LL-5). */
import { AvError } from "../wire/errors.ts"
import { decodeLaneControl } from "../wire/lane-control.ts"
import type { Bytes } from "../wire/types.ts"
import { asAvError } from "./errors.ts"
import type { LaneSet } from "./lane-set.ts"

/** Frames kept until the peer may send them: one offer per lane. */
const MAX_HELD = 9

interface LaneInboxParts {
  lanes: Pick<LaneSet, "allow" | "receive">
  /** Number of candidates in the peer's description, into which lane messages point. */
  listed(): number
  onFault(error: AvError): void
}

export class LaneInbox {
  readonly #parts: LaneInboxParts
  #allowed = false
  readonly #held: Bytes[] = []
  #work: Promise<void> = Promise.resolve()

  constructor(parts: LaneInboxParts) {
    this.#parts = parts
  }

  allow(): void {
    this.#allowed = true
    this.#parts.lanes.allow()
    for (const bytes of this.#held.splice(0)) this.receive(bytes)
  }

  receive(bytes: Bytes): void {
    const { lanes, listed, onFault } = this.#parts
    if (!this.#allowed) {
      // The peer may learn that we are members a moment before we learn it of the peer.
      if (this.#held.length < MAX_HELD) this.#held.push(bytes)
      else onFault(new AvError("LaneLimit", { max: MAX_HELD }))
      return
    }
    this.#work = this.#work.then(async () => {
      try {
        await lanes.receive(decodeLaneControl(bytes, listed()))
      } catch (error) {
        onFault(asAvError(error, "LaneBlockInvalid"))
      }
    })
  }
}
