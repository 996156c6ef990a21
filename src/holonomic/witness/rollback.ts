/** The highest epoch seen of each peer: no older statement of it counts again. */
import type { PeerKeyId, U64 } from "../../wire/types.ts"

export class AntiRollbackState {
  readonly #highest = new Map<PeerKeyId, U64>()

  /** True, and recorded, when it is the first epoch of the peer or a later one than all before. */
  acceptIfMonotonic(peerId: PeerKeyId, epochId: U64): boolean {
    if (!this.wouldAccept(peerId, epochId)) return false
    this.#highest.set(peerId, epochId)
    return true
  }

  /** What {@link acceptIfMonotonic} would say, without recording anything. */
  wouldAccept(peerId: PeerKeyId, epochId: U64): boolean {
    const highest = this.#highest.get(peerId)
    return highest === undefined || epochId > highest
  }

  highestSeen(peerId: PeerKeyId): U64 | undefined {
    return this.#highest.get(peerId)
  }
}
