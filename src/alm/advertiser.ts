/** When this peer signs its capacity again (D-24, D-40): at most once a second, for a new epoch, for other values, or after 20 s. */
import { checkCapacity, MAX_FUTURE_MS, type RelayCapacity, STALE_AFTER_MS } from "../wire/capacity.ts"
import type { Milliseconds, U64 } from "../wire/types.ts"

const MIN_INTERVAL_MS = 1_000
const MAX_AGE_MS = 20_000
/** A new epoch reaches all relays together; they spread their signatures over this time. */
const EPOCH_SPREAD_MS = 500

/** What is promised; the measuring time is added when it is signed. */
export type CapacityPromise = Omit<RelayCapacity, "measuredAtUnixMs">

/** Sign this and flood it. */
interface AdvertisementDue {
  capacity: RelayCapacity
  epoch: U64
}

export class CapacityAdvertiser {
  readonly #random: () => number
  #promise: CapacityPromise | undefined
  #epoch: U64 | undefined
  #epochDue: Milliseconds = Number.NEGATIVE_INFINITY
  #last: (AdvertisementDue & { at: Milliseconds }) | undefined

  /** `random`: 0..1. */
  constructor(random: () => number) {
    this.#random = random
  }

  /** Undefined: no wish to relay. */
  setPromise(promise: CapacityPromise | undefined): void {
    this.#promise = promise === undefined ? undefined : { ...promise, uplinkMbps: Math.fround(promise.uplinkMbps) }
  }

  enterEpoch(epoch: U64, now: Milliseconds): void {
    if (epoch === this.#epoch) return
    this.#epoch = epoch
    this.#epochDue = now + this.#random() * EPOCH_SPREAD_MS
  }

  /**
   * What to sign now (`now` in unix ms); each answer counts as signed. Who has no room says so once, while an earlier promise still counts,
   * and is silent then.
   */
  due(now: Milliseconds): AdvertisementDue | undefined {
    const last = this.#last
    // A clock that was set back makes the last signature old, not new.
    const age = last === undefined || now < last.at ? Number.POSITIVE_INFINITY : now - last.at
    if (this.#epoch === undefined || age < MIN_INTERVAL_MS) return undefined
    const room = this.#promise !== undefined && hasRoom(this.#promise)
    if (!room) {
      const counts = last !== undefined && hasRoom(last.capacity) && age < STALE_AFTER_MS
      return counts ? this.#sign({ ...last.capacity, uplinkMbps: 0, maxSubscribersPerStream: 0 }, now) : undefined
    }
    const promise = this.#promise as CapacityPromise
    const fresh = last !== undefined && age < MAX_AGE_MS && samePromise(last.capacity, promise)
    const bound = last?.epoch === this.#epoch || (last !== undefined && now < this.#epochDue)
    return fresh && bound ? undefined : this.#sign(promise, now)
  }

  #sign(promise: CapacityPromise, now: Milliseconds): AdvertisementDue {
    const previous = this.#last?.capacity.measuredAtUnixMs ?? -1n
    const unixMs = BigInt(Math.trunc(now))
    // Receivers tell advertisements apart by this time: it must rise even when the clock was set back a little. What was further ahead,
    // nobody has admitted.
    const behind = unixMs <= previous && previous - unixMs <= BigInt(MAX_FUTURE_MS)
    const measuredAtUnixMs = behind ? previous + 1n : unixMs
    const capacity = checkCapacity({ ...promise, measuredAtUnixMs })
    const due = { capacity, epoch: this.#epoch as U64 }
    this.#last = { ...due, at: now }
    return due
  }
}

function hasRoom(promise: CapacityPromise): boolean {
  return promise.uplinkMbps > 0 && promise.maxStreams > 0 && promise.maxSubscribersPerStream > 0
}

function samePromise(a: CapacityPromise, b: CapacityPromise): boolean {
  return fingerprint(a) === fingerprint(b)
}

function fingerprint(promise: CapacityPromise): string {
  const { uplinkMbps, maxStreams, maxSubscribersPerStream, maxLayerSupported: layer } = promise
  const commitments = promise.subStreamCommitments.map(
    ({ subStreamPath, uplinkBudgetMbps, maxSubscribers }) => [...subStreamPath].join("") + [uplinkBudgetMbps, maxSubscribers],
  )
  const layers = [layer.maxSpatial, layer.maxTemporal, layer.maxQuality]
  return JSON.stringify([uplinkMbps, maxStreams, maxSubscribersPerStream, layers, commitments])
}
