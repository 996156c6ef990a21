/** What this page promises to carry and what others promise: measures, signs, checks and passes on (D-24, D-40). */
import {
  AdvertisementBook,
  CapacityAdvertiser,
  CapacityEstimator,
  CapacityGossip,
  type LinkSample,
  type ParentCandidate,
} from "../../alm/index.ts"
import { type CapacityKeys, roomCapacityId, signCapacity } from "../../identity/capacity.ts"
import type { IdentitySigner } from "../../identity/index.ts"
import type { SignedRelayCapacity } from "../../wire/capacity.ts"
import { AvError, isAvError } from "../../wire/errors.ts"
import { UNCAPPED } from "../../wire/layers.ts"
import type { Bytes, Milliseconds, PeerKeyId, U64 } from "../../wire/types.ts"

/** Promises come in steps of this size, Mbit/s, about a camera of medium size, or of the smallest picture that there is; not below the second. */
const LAYER_MBPS = 0.5
const LEAST_LAYER_MBPS = 0.05
/**
 * Where nothing was congested for so long, ms, at least one layer is promised: a bad moment of the machine must not keep a relay with a free
 * uplink from everybody for minutes. Whoever cannot carry it shows that within seconds, and refuses further ones.
 */
const CALM_MS = 10_000
/** Promised before anything was delivered, Mbit/s: somebody who never relayed must be asked once. */
const START_MBPS = 4
const MAX_STREAMS = 64
const MAX_SUBSCRIBERS = 16
/** Advertisements whose signatures are being checked; further ones are dropped and come again. */
const MAX_CHECKING = 64
const SWEEP_MS = 5_000

export interface CapacityDeskOptions {
  me: PeerKeyId
  signer: Pick<IdentitySigner, "signHybrid">
  /** 0..1. */
  random(): number
  keysOf(keyId: PeerKeyId): CapacityKeys | undefined
  isStream(streamId: Bytes): boolean
  /** Sends to a neighbour; false when it cannot be reached. */
  send(to: PeerKeyId, signed: SignedRelayCapacity): boolean
  count(error: AvError): void
  /** Whether the room lets this member, or this page, hand streams on. Default: everybody. */
  mayRelay?(keyId: PeerKeyId): boolean
  /** Bitrate of the smallest picture that somebody offers, Mbit/s: who can carry that is worth asking. */
  leastMbps?(): number | undefined
  /** Limits of this page; `relays: false`: it promises nothing. */
  relays: boolean
  maxSubscribers?: number | undefined
  /** Bit/s for all copies together. */
  uplinkBitrate?: number | undefined
}

export class CapacityDesk {
  readonly #options: CapacityDeskOptions
  readonly #estimator: CapacityEstimator
  readonly #advertiser: CapacityAdvertiser
  readonly #gossip = new CapacityGossip()
  readonly #neighbours = new Set<PeerKeyId>()
  #book: AdvertisementBook | undefined
  #roomId: Bytes | undefined
  #layerMbps = LAYER_MBPS
  #limitMbps: number
  #congestedAt = Number.NEGATIVE_INFINITY
  #calm = true
  #checking = 0
  #signing = false
  #sweptAt = 0

  constructor(options: CapacityDeskOptions) {
    const { uplinkBitrate, random } = options
    this.#options = options
    this.#limitMbps = (uplinkBitrate ?? Number.POSITIVE_INFINITY) / 1e6
    this.#estimator = new CapacityEstimator({
      layerMbps: LAYER_MBPS,
      startMbps: START_MBPS,
      ...(uplinkBitrate === undefined ? {} : { limitMbps: uplinkBitrate / 1e6 }),
    })
    this.#advertiser = new CapacityAdvertiser(random)
  }

  /** What is promised now, Mbit/s. */
  get promisedMbps(): number {
    if (!this.#options.relays || !this.#mayRelay(this.#options.me)) return 0
    return Math.max(this.#estimator.uplinkMbps, this.#calm && this.#limitMbps >= this.#layerMbps ? this.#layerMbps : 0)
  }

  /** What the person allows from now on, bit/s; undefined: what the links carry. */
  limitUplink(bitrate: number | undefined, now: Milliseconds): void {
    const { uplinkBitrate: own = Number.POSITIVE_INFINITY } = this.#options
    this.#limitMbps = Math.min(own, bitrate ?? Number.POSITIVE_INFINITY) / 1e6
    this.#estimator.configure({ limitMbps: this.#limitMbps }, now)
  }

  /** Last promise of a member, Mbit/s. */
  claimedMbps(keyId: PeerKeyId, now: Milliseconds): number | undefined {
    return this.list(now).find(({ advertiserKeyId }) => advertiserKeyId === keyId)?.capacity.uplinkMbps
  }

  /** The room is in this epoch. Another room begins with an empty book. */
  entered(roomId: Bytes, epoch: U64, now: Milliseconds): void {
    if (this.#roomId === undefined || !sameBytes(this.#roomId, roomId)) {
      this.#roomId = roomId
      const { keysOf, isStream } = this.#options
      this.#book = new AdvertisementBook({ roomCapacityId: roomCapacityId(roomId), directory: { keysOf }, isStream })
    }
    for (const signed of this.#book?.enterEpoch(epoch, now) ?? []) this.#gossip.push(signed)
    this.#advertiser.enterEpoch(epoch, now)
  }

  /** Who is linked to this page now. A new neighbour is told everything that is known. */
  neighbours(now: Milliseconds, keyIds: readonly PeerKeyId[]): void {
    for (const keyId of this.#neighbours) {
      if (keyIds.includes(keyId)) continue
      this.#neighbours.delete(keyId)
      this.#gossip.closeLink(keyId)
      this.#book?.forgetNeighbour(keyId)
    }
    for (const keyId of keyIds) {
      if (this.#neighbours.has(keyId)) continue
      this.#neighbours.add(keyId)
      this.#gossip.openLink(keyId, now, this.list(now))
    }
  }

  forget(keyId: PeerKeyId): void {
    this.#book?.forgetAdvertiser(keyId)
  }

  /** `av.capacity` of a neighbour. */
  async offer(from: PeerKeyId, signed: SignedRelayCapacity, now: Milliseconds): Promise<void> {
    const book = this.#book
    if (book === undefined || signed.advertiserKeyId === this.#options.me) return
    this.#gossip.had(from, signed)
    if (this.#checking >= MAX_CHECKING) return this.#options.count(new AvError("LimitExceeded", { what: "advertisements" }))
    this.#checking++
    try {
      const verdict = await book.offer(signed, from, now)
      if (verdict.kind === "admitted") this.#gossip.push(verdict.signed, from)
      else if (verdict.kind === "refused") this.#options.count(new AvError(verdict.code))
    } finally {
      this.#checking--
    }
  }

  /** What the links of this page delivered in the last second. */
  sample(links: readonly LinkSample[], now: Milliseconds): void {
    this.#estimator.sample(links, now)
    if (links.some(({ congested }) => congested)) this.#congestedAt = now
    this.#calm = now - this.#congestedAt >= CALM_MS
  }

  /** Signs and sends what is due. @param needed whether relays are of any use in this room */
  tick(now: Milliseconds, needed: boolean): void {
    const { maxSubscribers = MAX_SUBSCRIBERS, relays, send } = this.#options
    this.#followSize(now)
    const uplinkMbps = this.promisedMbps
    const promises = relays && needed && uplinkMbps > 0 && maxSubscribers > 0
    const limits = { maxStreams: MAX_STREAMS, maxSubscribersPerStream: Math.min(0xffff, maxSubscribers) }
    this.#advertiser.setPromise(
      promises ? { uplinkMbps, ...limits, maxLayerSupported: UNCAPPED, subStreamCommitments: [] } : undefined,
    )
    const due = this.#signing || this.#roomId === undefined ? undefined : this.#advertiser.due(now)
    if (due !== undefined && this.#roomId !== undefined) void this.#sign(due.capacity, due.epoch, this.#roomId)
    for (const { to, signed } of this.#gossip.take(now)) send(to, signed)
    if (now - this.#sweptAt < SWEEP_MS) return
    this.#sweptAt = now
    this.#book?.sweep(now)
  }

  candidates(streamId: Bytes, now: Milliseconds): ParentCandidate[] {
    const all = this.#book?.candidates(streamId, now) ?? []
    const { me } = this.#options
    return all.filter(({ signedCapacity: { advertiserKeyId: id } }) => id !== me && this.#mayRelay(id))
  }

  #followSize(now: Milliseconds): void {
    const layerMbps = Math.max(LEAST_LAYER_MBPS, Math.min(LAYER_MBPS, this.#options.leastMbps?.() ?? LAYER_MBPS))
    if (layerMbps === this.#layerMbps) return
    this.#layerMbps = layerMbps
    this.#estimator.configure({ layerMbps }, now)
  }

  #mayRelay(keyId: PeerKeyId): boolean {
    return this.#options.mayRelay?.(keyId) ?? true
  }

  list(now: Milliseconds): SignedRelayCapacity[] {
    return this.#book?.list(now) ?? []
  }

  async #sign(capacity: SignedRelayCapacity["capacity"], epoch: U64, roomId: Bytes): Promise<void> {
    const { me, signer, count } = this.#options
    this.#signing = true
    try {
      const signed = await signCapacity(capacity, roomCapacityId(roomId), epoch, me, signer)
      this.#book?.own(signed)
      this.#gossip.push(signed)
    } catch (error) {
      count(isAvError(error) ? error : new AvError("SignerError", {}, { cause: error }))
    } finally {
      this.#signing = false
    }
  }
}

function sameBytes(a: Bytes, b: Bytes): boolean {
  return a.length === b.length && a.every((value, index) => value === b[index])
}
