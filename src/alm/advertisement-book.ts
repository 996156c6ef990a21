/** The advertisements of a room: screening what comes in, keeping the newest, all bounded (D-24, D-40). */
import { toHex } from "../wire/bytes.ts"
import { isStale, type SignedRelayCapacity } from "../wire/capacity.ts"
import { type ErrorCode, isAvError } from "../wire/errors.ts"
import type { Bytes, Milliseconds, PeerKeyId, U64 } from "../wire/types.ts"
import { type AdmissionContext, admitAdvertisement, type CapacityDirectory, RecentEpochs } from "./admission.ts"
import type { ParentCandidate } from "./types.ts"

/** Relays of one room; further ones are refused until somebody's advertisement is stale. */
export const MAX_ADVERTISERS = 2_048
/** Advertisements of one relay: the room's and some for single streams. */
const MAX_PER_ADVERTISER = 64
/** Admitted per advertiser and second; an honest one signs once a second. */
const PER_ADVERTISER = 2
/** Checked per neighbour and second: a check costs milliseconds. */
const PER_NEIGHBOUR = 50
/** A bad signature costs a neighbour as much as this many checks: it should have checked before forwarding. */
const BAD_SIGNATURE_COST = 10
/** Verified advertisements for an epoch that this peer has not reached yet. */
const MAX_PARKED = 256
const MAX_EPOCHS_AHEAD = 64n
const SECOND_MS = 1_000

interface BookOptions {
  /** The id that stands for the whole room (`roomCapacityId`). */
  roomCapacityId: Bytes
  directory: CapacityDirectory
  /** Whether a stream of this id exists; advertisements for others are refused. */
  isStream(streamId: Bytes): boolean
  verify?: AdmissionContext["verify"]
}

/**
 * What became of an advertisement. `admitted`: keep it, and forward it to every room link but the one it came from. `parked`: right, but for
 * an epoch ahead; it comes back from `enterEpoch`. `known`: seen before.
 */
type AdmissionVerdict =
  | { kind: "admitted"; signed: SignedRelayCapacity }
  | { kind: "parked" }
  | { kind: "known" }
  | { kind: "refused"; code: ErrorCode }

interface Advertiser {
  /** By stream id in hex. */
  readonly ads: Map<string, SignedRelayCapacity>
  /** Times of the last admissions. */
  recent: Milliseconds[]
}

export class AdvertisementBook {
  readonly #options: BookOptions
  readonly #room: string
  readonly #epochs = new RecentEpochs()
  readonly #advertisers = new Map<PeerKeyId, Advertiser>()
  readonly #parked = new Map<string, SignedRelayCapacity>()
  /** Checks left per neighbour. Bounded by the sessions: {@link forgetNeighbour}. */
  readonly #budgets = new Map<PeerKeyId, { left: number; at: Milliseconds }>()

  constructor(options: BookOptions) {
    this.#options = options
    this.#room = toHex(options.roomCapacityId)
  }

  get size(): number {
    return this.#advertisers.size
  }

  /** The room moved on. Returns what was parked for this epoch and is admitted now: forward it. */
  enterEpoch(epoch: U64, now: Milliseconds): SignedRelayCapacity[] {
    this.#epochs.enter(epoch, now)
    const admitted: SignedRelayCapacity[] = []
    for (const [key, signed] of this.#parked) {
      if (signed.epoch > epoch) continue
      this.#parked.delete(key)
      if (this.#settle(signed, now).kind === "admitted") admitted.push(signed)
    }
    return admitted
  }

  /** Screening, signatures and admission in one. `from` is the neighbour it came over. */
  async offer(signed: SignedRelayCapacity, from: PeerKeyId, now: Milliseconds): Promise<AdmissionVerdict> {
    const early = this.screen(signed, from, now)
    if (early !== undefined) return early
    // An epoch ahead counts as recent here: whether it is comes out in settle().
    const ahead = signed.epoch
    try {
      await admitAdvertisement(signed, {
        directory: this.#options.directory,
        streamIds: [signed.streamId],
        isEpochRecent: (epoch) => epoch === ahead,
        nowUnixMs: BigInt(Math.trunc(now)),
        ...(this.#options.verify === undefined ? {} : { verify: this.#options.verify }),
      })
    } catch (error) {
      if (!isAvError(error)) throw error
      if (error.code === "SignatureInvalid") this.#spend(from, BAD_SIGNATURE_COST - 1, now)
      return { kind: "refused", code: error.code }
    }
    // Others may have been admitted while the signatures were checked.
    return this.#settle(signed, now)
  }

  /** The cheap checks that come before signatures; undefined: worth checking. */
  screen(signed: SignedRelayCapacity, from: PeerKeyId, now: Milliseconds): AdmissionVerdict | undefined {
    const stream = toHex(signed.streamId)
    const held = this.#advertisers.get(signed.advertiserKeyId)?.ads.get(stream) ?? this.#parked.get(parkKey(signed))
    const measuredAt = signed.capacity.measuredAtUnixMs
    if (held !== undefined && held.capacity.measuredAtUnixMs === measuredAt) return { kind: "known" }
    if (held !== undefined && held.capacity.measuredAtUnixMs > measuredAt) return refused("Rollback")
    if (this.#options.directory.keysOf(signed.advertiserKeyId) === undefined) return refused("AdvertiserUnknown")
    if (stream !== this.#room && !this.#options.isStream(signed.streamId)) return refused("BindingMismatch")
    if (!this.#epochs.isRecent(signed.epoch, now) && !this.#isAhead(signed.epoch)) return refused("BindingMismatch")
    if (isStale(measuredAt, BigInt(Math.trunc(now)))) return refused("Stale")
    return this.#spend(from, 1, now) ? undefined : refused("LimitExceeded")
  }

  /** This peer's own advertisement: it counts in the book as anybody's, and is known when it comes back. */
  own(signed: SignedRelayCapacity): void {
    this.#keep(signed)
  }

  /** Candidates for a stream: of each relay the newer of its advertisement for the room and for the stream. */
  candidates(streamId: Bytes, now: Milliseconds): ParentCandidate[] {
    const stream = toHex(streamId)
    const out: ParentCandidate[] = []
    for (const { ads } of this.#advertisers.values()) {
      const [ofRoom, ofStream] = [ads.get(this.#room), ads.get(stream)]
      const signed = newer(ofRoom, ofStream)
      if (signed === undefined || isStale(signed.capacity.measuredAtUnixMs, BigInt(Math.trunc(now)))) continue
      out.push({ signedCapacity: signed })
    }
    return out
  }

  /** Every advertisement that is not stale, for the snapshot of the tree. */
  list(now: Milliseconds): SignedRelayCapacity[] {
    const unixMs = BigInt(Math.trunc(now))
    const all = [...this.#advertisers.values()].flatMap(({ ads }) => [...ads.values()])
    return all.filter(({ capacity }) => !isStale(capacity.measuredAtUnixMs, unixMs))
  }

  /** A member left or a relay went. */
  forgetAdvertiser(keyId: PeerKeyId): void {
    this.#advertisers.delete(keyId)
  }

  forgetNeighbour(keyId: PeerKeyId): void {
    this.#budgets.delete(keyId)
  }

  /** Drops what is stale. Call it every few seconds. */
  sweep(now: Milliseconds): void {
    const unixMs = BigInt(Math.trunc(now))
    const stale = (signed: SignedRelayCapacity) => isStale(signed.capacity.measuredAtUnixMs, unixMs)
    for (const [keyId, { ads }] of this.#advertisers) {
      for (const [stream, signed] of ads) if (stale(signed)) ads.delete(stream)
      if (ads.size === 0) this.#advertisers.delete(keyId)
    }
    for (const [key, signed] of this.#parked) if (stale(signed)) this.#parked.delete(key)
  }

  /** After the signatures. */
  #settle(signed: SignedRelayCapacity, now: Milliseconds): AdmissionVerdict {
    if (this.#isAhead(signed.epoch)) return this.#park(signed)
    if (!this.#epochs.isRecent(signed.epoch, now)) return refused("BindingMismatch")
    if (isStale(signed.capacity.measuredAtUnixMs, BigInt(Math.trunc(now)))) return refused("Stale")
    const advertiser = this.#advertisers.get(signed.advertiserKeyId)
    const held = advertiser?.ads.get(toHex(signed.streamId))
    if (held !== undefined && held.capacity.measuredAtUnixMs === signed.capacity.measuredAtUnixMs) return { kind: "known" }
    if (held !== undefined && held.capacity.measuredAtUnixMs > signed.capacity.measuredAtUnixMs) return refused("Rollback")
    const recent = (advertiser?.recent ?? []).filter((at) => now - at < SECOND_MS)
    if (recent.length >= PER_ADVERTISER) return refused("LimitExceeded")
    if (advertiser === undefined && this.#advertisers.size >= MAX_ADVERTISERS) {
      this.sweep(now)
      if (this.#advertisers.size >= MAX_ADVERTISERS) return refused("LimitExceeded")
    }
    if (held === undefined && (advertiser?.ads.size ?? 0) >= MAX_PER_ADVERTISER) return refused("LimitExceeded")
    this.#keep(signed).recent = [...recent, now]
    return { kind: "admitted", signed }
  }

  #keep(signed: SignedRelayCapacity): Advertiser {
    const advertiser = this.#advertisers.get(signed.advertiserKeyId) ?? { ads: new Map(), recent: [] }
    this.#advertisers.set(signed.advertiserKeyId, advertiser)
    advertiser.ads.set(toHex(signed.streamId), signed)
    return advertiser
  }

  #park(signed: SignedRelayCapacity): AdmissionVerdict {
    const key = parkKey(signed)
    if (!this.#parked.has(key) && this.#parked.size >= MAX_PARKED) return refused("LimitExceeded")
    this.#parked.set(key, signed)
    return { kind: "parked" }
  }

  #isAhead(epoch: U64): boolean {
    const current = this.#epochs.current
    return current !== undefined && epoch > current && epoch - current <= MAX_EPOCHS_AHEAD
  }

  #spend(from: PeerKeyId, cost: number, now: Milliseconds): boolean {
    const budget = this.#budgets.get(from) ?? { left: PER_NEIGHBOUR, at: now }
    const left = Math.min(PER_NEIGHBOUR, budget.left + ((now - budget.at) * PER_NEIGHBOUR) / SECOND_MS)
    // A penalty may push it below zero, so that it lasts.
    const paid = left >= 1
    this.#budgets.set(from, { left: paid ? left - cost : left, at: now })
    return paid
  }
}

function parkKey(signed: SignedRelayCapacity): string {
  return `${toHex(signed.streamId)}/${signed.advertiserKeyId}`
}

function newer(a: SignedRelayCapacity | undefined, b: SignedRelayCapacity | undefined): SignedRelayCapacity | undefined {
  if (a === undefined || b === undefined) return a ?? b
  return b.capacity.measuredAtUnixMs > a.capacity.measuredAtUnixMs ? b : a
}

function refused(code: ErrorCode): AdmissionVerdict {
  return { kind: "refused", code }
}
