/** Which advertisements count (av-mesh D-24, D-40). */
import { type CapacityKeys, verifyCapacity } from "../identity/capacity.ts"
import { equalBytes } from "../wire/bytes.ts"
import { checkCapacity, isStale, type SignedRelayCapacity } from "../wire/capacity.ts"
import { AvError } from "../wire/errors.ts"
import type { Bytes, Milliseconds, PeerKeyId, U64 } from "../wire/types.ts"
import type { ParentCandidate } from "./types.ts"

/** An epoch that is over counts for this long: in a rush of joins several pass within a second. */
export const EPOCH_GRACE_MS = 10_000
/** Epochs remembered; more changes than this within the grace time forget the oldest. */
const MAX_EPOCHS = 64

/** Epochs of the room that are or were current in the last 10 s. */
export class RecentEpochs {
  #current: U64 | undefined
  readonly #ended = new Map<U64, Milliseconds>()

  get current(): U64 | undefined {
    return this.#current
  }

  /** The room is in `epoch` now. It may also be lower than the last, when a fork was resolved. */
  enter(epoch: U64, now: Milliseconds): void {
    if (epoch === this.#current) return
    if (this.#current !== undefined) {
      this.#ended.delete(this.#current)
      this.#ended.set(this.#current, now)
      const [oldest] = this.#ended.keys()
      if (this.#ended.size > MAX_EPOCHS && oldest !== undefined) this.#ended.delete(oldest)
    }
    this.#current = epoch
    this.#ended.delete(epoch)
  }

  isRecent(epoch: U64, now: Milliseconds): boolean {
    if (epoch === this.#current) return true
    const ended = this.#ended.get(epoch)
    return ended !== undefined && now - ended <= EPOCH_GRACE_MS
  }
}

/** Resolves an advertiser to its keys; undefined for who is unknown. */
export interface CapacityDirectory {
  keysOf(keyId: PeerKeyId): CapacityKeys | undefined
}

export interface AdmissionContext {
  directory: CapacityDirectory
  /** Stream ids that count: the room's own (D-40) and those of its streams. */
  streamIds: readonly Bytes[]
  isEpochRecent(epoch: U64): boolean
  nowUnixMs: U64
  /** `measured_at` of what is already admitted of this advertiser and stream. */
  newest?: U64 | undefined
  /** Checks both signatures; replaced only in simulations, where thousands of signatures a second are not the subject. */
  verify?: (signed: SignedRelayCapacity, keys: CapacityKeys) => Promise<void>
}

/**
 * All steps of D-24 in their order. The candidate has nothing but the capacity yet: reachability and round trip are the caller's.
 * @throws AvError `AdvertiserUnknown`, `BindingMismatch`, `CapacityInvalid`, `PqcPubkeyMissing`, `SignatureInvalid`, `Stale`, `Rollback`
 */
export async function admitAdvertisement(signed: SignedRelayCapacity, context: AdmissionContext): Promise<ParentCandidate> {
  const keys = context.directory.keysOf(signed.advertiserKeyId)
  if (keys === undefined) throw new AvError("AdvertiserUnknown", { keyId: signed.advertiserKeyId })
  const bound = context.streamIds.some((streamId) => equalBytes(streamId, signed.streamId))
  if (!bound || !context.isEpochRecent(signed.epoch)) throw new AvError("BindingMismatch", { epoch: signed.epoch })
  checkCapacity(signed.capacity)
  await (context.verify ?? verifyCapacity)(signed, keys)
  if (isStale(signed.capacity.measuredAtUnixMs, context.nowUnixMs)) throw new AvError("Stale")
  if (context.newest !== undefined && signed.capacity.measuredAtUnixMs < context.newest) throw new AvError("Rollback")
  return { signedCapacity: signed }
}
