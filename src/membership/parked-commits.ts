/** Commits that add leaves nobody has vouched for yet: they wait while the evidence is asked for (D-43 d). */
import type { Milliseconds, PeerKeyId } from "../wire/types.ts"
import type { Flooded } from "./carrier.ts"
import { earliest, type RoomCore } from "./core.ts"
import type { SessionId } from "./types.ts"

/** A commit waits this long for the leaves it adds. */
const LEAF_WAIT_MS = 10_000
const LEAF_RETRY_MS = 1_500
const MAX_PARKED = 16

interface Parked {
  item: Flooded
  need: readonly PeerKeyId[]
  since: Milliseconds
  asked: Milliseconds
}

export class ParkedCommits {
  readonly #core: RoomCore
  /** Asks for evidence of these leaves on the session that brought the commit. */
  readonly #needLeaves: (keyIds: readonly PeerKeyId[], session: SessionId) => void
  #parked: Parked[] = []

  constructor(core: RoomCore, needLeaves: (keyIds: readonly PeerKeyId[], session: SessionId) => void) {
    this.#core = core
    this.#needLeaves = needLeaves
  }

  park(item: Flooded, need: readonly PeerKeyId[]): void {
    const { now } = this.#core
    if (this.#parked.length >= MAX_PARKED) {
      this.#core.count("commit-parked-dropped")
      return
    }
    this.#parked.push({ item, need, since: now, asked: now })
    this.#needLeaves(need, item.from)
  }

  /** Everything that waits, to be tried again or forgotten. */
  takeAll(): Flooded[] {
    const parked = this.#parked
    this.#parked = []
    return parked.map(({ item }) => item)
  }

  tick(): void {
    const { now } = this.#core
    const parked = this.#parked
    this.#parked = []
    for (const entry of parked) {
      if (now - entry.since >= LEAF_WAIT_MS) {
        this.#core.count("LeafIdentityUnverified")
        continue
      }
      if (now - entry.asked >= LEAF_RETRY_MS) {
        entry.asked = now
        this.#needLeaves(entry.need, entry.item.from)
      }
      this.#parked.push(entry)
    }
  }

  wake(): Milliseconds | undefined {
    let time: Milliseconds | undefined
    for (const { asked, since } of this.#parked) time = earliest(time, asked + LEAF_RETRY_MS, since + LEAF_WAIT_MS)
    return time
  }
}
