/** One stream of somebody else as this node takes it: from one or several parents, to show it, to hand it on, or both. */
import { mergePolicies } from "../membership/index.ts"
import type { Bytes, PeerKeyId, ReceiverLayerPolicy } from "../wire/types.ts"
import type { RemoteStream } from "./descriptors.ts"
import { type RequestHost, StreamRequest } from "./stream-request.ts"

/** Parents that were replaced go when another one delivers, or this time after it accepted at the latest; ms. */
const OVERLAP_MS = 5_000

/** A relay that brings nothing for this time, not even a keep-alive, is given up for the publisher; ms. */
const SILENT_MS = 1_500

/** A parent as it is to be asked. */
export interface ParentWish {
  peer: PeerKeyId
  /** Symbols `[from, to)` of each fountain object (D-29); without it all. */
  symbolRange?: readonly [from: number, to: number]
}

/** Whoever chooses the parents of a stream and replaces them; without one there is the publisher alone. */
export interface UpstreamDriver {
  /** A parent accepted. */
  subscribed(peer: PeerKeyId): void
  /** A parent does not send it (any more); the request is ended already. */
  refused(peer: PeerKeyId, error: string): void
  /** The link to a parent is gone; the request is ended already. */
  lost(peer: PeerKeyId): void
  leaving(peer: PeerKeyId, inMs: number): void
  /** Something authentic came from a parent for the first time. */
  heard(peer: PeerKeyId): void
  policyChanged(policy: ReceiverLayerPolicy): void
}

export class Upstream {
  /** A track of this page holds on to it, shown or not. */
  claimed = false
  readonly stream: RemoteStream
  readonly publisher: PeerKeyId
  readonly #host: RequestHost
  readonly #requests = new Map<PeerKeyId, StreamRequest>()
  /** Parents that were replaced and serve until another one does. */
  readonly #leaving = new Map<PeerKeyId, StreamRequest>()
  #parents: readonly ParentWish[]
  #own: (() => ReceiverLayerPolicy) | undefined
  #demand: ReceiverLayerPolicy | undefined
  #timer: ReturnType<typeof setTimeout> | undefined
  #driver: UpstreamDriver | undefined
  /** Somebody named the parents: nobody else chooses. */
  #fixed = false
  /** Parents that are asked for the base layer only: another one sends the rest. */
  #baseOnly: ReadonlySet<PeerKeyId> = new Set()
  readonly #onUsed: (upstream: Upstream) => void

  /** @param onUsed told before parents are asked for the first time, and again while nobody drives them */
  constructor(stream: RemoteStream, publisher: PeerKeyId, host: RequestHost, onUsed: (upstream: Upstream) => void = () => {}) {
    this.#onUsed = onUsed
    this.stream = stream
    this.publisher = publisher
    this.#host = host
    this.#parents = [{ peer: publisher }]
  }

  /** Whom the stream is asked of, those on their way out left aside. */
  get parents(): readonly ParentWish[] {
    return this.#parents
  }

  /** Parents may be chosen by a driver: somebody takes the stream, and nobody named its parents. */
  get drivable(): boolean {
    return this.used && !this.#fixed
  }

  get driver(): UpstreamDriver | undefined {
    return this.#driver
  }

  /** It is asked for, and nobody has accepted. */
  get isRefused(): boolean {
    return this.used && [...this.#requests.values(), ...this.#leaving.values()].every(({ accepted }) => !accepted)
  }

  /** Those that are asked for it now; with each of them a direct link is needed. */
  get asked(): readonly PeerKeyId[] {
    return [...this.#requests.keys()]
  }

  /** Of what is asked for altogether. */
  get policy(): ReceiverLayerPolicy {
    return this.#policy()
  }

  /** What others want of it through this page. */
  get demanded(): ReceiverLayerPolicy | undefined {
    return this.#demand
  }

  /** Somebody takes the stream: this page, or others through it. */
  get used(): boolean {
    return this.#own !== undefined || this.#demand !== undefined
  }

  /** This page wants to show the stream, with the policy that `policy` gives. */
  start(policy: () => ReceiverLayerPolicy): void {
    const before = this.#own
    this.#own = policy
    if (before !== undefined) return
    if (this.#demand !== undefined) {
      this.#host.meshDeliver(this.stream.streamId, true)
      this.policyChanged()
    }
    this.#changed()
  }

  /** This page shows it no more. @param tell whether the publisher is to hear of it */
  stop(tell: boolean): void {
    if (this.#own === undefined) return
    this.#own = undefined
    if (this.#demand === undefined) this.#end(tell)
    else {
      this.#host.meshDeliver(this.stream.streamId, false)
      this.policyChanged()
    }
  }

  /** What those want between them that this page hands the stream on to; undefined: nobody does. */
  demand(policy: ReceiverLayerPolicy | undefined): void {
    const before = this.#demand
    this.#demand = policy
    if (!this.used) {
      if (before !== undefined) this.#end(true)
    } else if (before === undefined && this.#own === undefined) this.#changed()
    else this.policyChanged()
  }

  /**
   * Takes the stream from exactly these from now on. New ones are asked first; who is no longer among them serves until one that is
   * delivers. An empty list means the publisher.
   */
  setParents(parents: readonly ParentWish[]): void {
    this.#fixed = true
    this.#driver = undefined
    this.#baseOnly = new Set()
    this.#setParents(parents)
  }

  /** Parents are chosen by this driver from now on; what was asked goes on until it decides otherwise. */
  drive(driver: UpstreamDriver): void {
    if (!this.drivable) return
    this.#driver = driver
    this.#dropLeaving()
  }

  /** The publisher alone again: whoever else serves is left when the publisher delivers. */
  undrive(): void {
    if (this.#driver === undefined) return
    this.#driver = undefined
    this.#baseOnly = new Set()
    this.#setParents([])
    if (this.used) this.policyChanged()
  }

  /** For the driver. @returns whether the parent has accepted already */
  ask(peer: PeerKeyId, via: readonly PeerKeyId[]): boolean {
    this.#ask({ peer }, via)
    return this.#requests.get(peer)?.accepted === true
  }

  /** For the driver: this parent is let go of. */
  leave(peer: PeerKeyId): void {
    this.#requests.get(peer)?.stop(true)
    this.#requests.delete(peer)
  }

  /** For the driver: these send the base layer only, all others everything. */
  setBaseOnly(peers: ReadonlySet<PeerKeyId>): void {
    const before = this.#baseOnly
    this.#baseOnly = peers
    for (const [peer, request] of this.#requests) if (before.has(peer) !== peers.has(peer)) request.policyChanged()
  }

  #setParents(parents: readonly ParentWish[]): void {
    this.#parents = parents.length === 0 ? [{ peer: this.publisher }] : [...parents]
    if (this.used) this.#changed()
  }

  /** A parent is about to leave the room: the others must do, or the publisher. */
  parentLeaving(peer: PeerKeyId, inMs = 0): void {
    if (this.#driver !== undefined) this.#driver.leaving(peer, inMs)
    else if (peer !== this.publisher && this.#parents.some((parent) => parent.peer === peer)) {
      this.#setParents(this.#parents.filter((parent) => parent.peer !== peer))
    }
  }

  /** The first chunk of a parent came. */
  started(from: PeerKeyId): void {
    if (this.#driver !== undefined) this.#driver.heard(from)
    else if (this.#requests.has(from)) this.#dropLeaving()
  }

  linkReady(peer: PeerKeyId): void {
    this.#request(peer)?.linkReady()
  }

  linkLost(peer: PeerKeyId): void {
    this.#leaving.get(peer)?.stop(false)
    this.#leaving.delete(peer)
    if (this.#driver !== undefined) {
      if (!this.#requests.has(peer)) return
      this.#requests.get(peer)?.stop(false)
      this.#requests.delete(peer)
      this.#driver.lost(peer)
      return
    }
    this.#requests.get(peer)?.linkLost()
    // Somebody else handed the stream on and is gone: without another parent only the publisher is left.
    if (this.used && peer !== this.publisher && this.#requests.has(peer)) this.parentLeaving(peer)
  }

  /** Asks again, with fresh keys. */
  again(peer?: PeerKeyId): void {
    for (const [parent, request] of this.#requests) if (peer === undefined || parent === peer) request.again()
  }

  /** Nothing came from a parent for `silentMs`. The publisher gets time; of a relay something must always come. */
  silent(peer: PeerKeyId, silentMs: number): void {
    if (this.#driver !== undefined) return
    if (peer !== this.publisher && silentMs >= SILENT_MS && this.#request(peer)?.accepted === true) this.parentLeaving(peer)
    else this.#request(peer)?.silent(silentMs)
  }

  /** `av.subscribed` or `av.refused` of a parent. True when the publisher does not want to send this stream (any more). */
  answered(peer: PeerKeyId, subNonce: Bytes, refused: string | undefined): boolean {
    const request = this.#request(peer)
    const refuses = request?.answered(subNonce, refused) === true
    if (this.#driver !== undefined) return this.#answeredDriven(this.#driver, peer, refuses, refused)
    if (request === undefined || !refuses) return false
    if (peer === this.publisher) return true
    request.stop(false)
    this.#requests.delete(peer)
    this.#leaving.delete(peer)
    this.parentLeaving(peer)
    return false
  }

  /** What a publisher refuses after it accepted is the size; it goes on sending what it has. */
  #answeredDriven(driver: UpstreamDriver, peer: PeerKeyId, refuses: boolean, refused: string | undefined): boolean {
    const request = this.#requests.get(peer)
    if (request?.accepted === true && !refuses) driver.subscribed(peer)
    if (request === undefined || !refuses || refused === undefined) return false
    if (peer === this.publisher && request.accepted && refused === "CapacityExceeded") return true
    request.stop(false)
    this.#requests.delete(peer)
    driver.refused(peer, refused)
    return false
  }

  /** `av.subscribed` of a parent. */
  granted(peer: PeerKeyId, subNonce: Bytes): void {
    const { streamId } = this.stream
    // Taken back or replaced while it was being granted, which the parent may have heard before: it would serve nobody, and count a child.
    if (this.#request(peer)?.is(subNonce) !== true) this.#host.send(peer, { t: "av.unsubscribe", streamId, subNonce })
    else this.answered(peer, subNonce, undefined)
  }

  policyChanged(): void {
    for (const request of this.#requests.values()) request.policyChanged()
    this.#driver?.policyChanged(this.#policy())
  }

  #request(peer: PeerKeyId): StreamRequest | undefined {
    return this.#requests.get(peer) ?? this.#leaving.get(peer)
  }

  #policy(): ReceiverLayerPolicy {
    const own = this.#own?.()
    return mergePolicies([...(own === undefined ? [] : [own]), ...(this.#demand === undefined ? [] : [this.#demand])])
  }

  #policyFor(peer: PeerKeyId): ReceiverLayerPolicy {
    const policy = this.#policy()
    return this.#baseOnly.has(peer) ? { ...policy, maxTemporal: 0 } : policy
  }

  /** Brings the requests in line with the parents. */
  #changed(): void {
    if (this.#driver === undefined && this.drivable) this.#onUsed(this)
    // It has asked for itself.
    if (this.#driver !== undefined) return
    const wanted = new Map(this.#parents.map((parent) => [parent.peer, parent]))
    for (const [peer, request] of this.#requests) {
      if (sameRange(wanted.get(peer), request)) continue
      this.#requests.delete(peer)
      if (!wanted.has(peer)) this.#leaving.set(peer, request)
    }
    for (const parent of wanted.values()) this.#ask(parent)
    if (this.#leaving.size === 0) return
    clearTimeout(this.#timer)
    this.#timer = setTimeout(() => this.#dropReplaced(), OVERLAP_MS)
  }

  /** Whoever took their place has had its time, if anybody has: as long as nobody accepts they go on. */
  #dropReplaced(): void {
    if ([...this.#requests.values()].some(({ accepted }) => accepted)) this.#dropLeaving()
    else if (this.#leaving.size > 0) this.#timer = setTimeout(() => this.#dropReplaced(), OVERLAP_MS)
  }

  #ask({ peer, symbolRange }: ParentWish, via: readonly PeerKeyId[] = peer === this.publisher ? [] : [this.publisher]): void {
    if (this.#requests.has(peer)) return
    const terms = {
      policy: () => this.#policyFor(peer),
      deliver: () => this.#own !== undefined,
      via,
      ...(symbolRange === undefined ? {} : { symbolRange }),
    }
    const request = this.#leaving.get(peer) ?? new StreamRequest(this.stream, peer, terms, this.#host)
    this.#leaving.delete(peer)
    this.#requests.set(peer, request)
    request.start()
  }

  #dropLeaving(): void {
    clearTimeout(this.#timer)
    for (const request of this.#leaving.values()) request.stop(true)
    this.#leaving.clear()
  }

  #end(tell: boolean): void {
    this.#driver = undefined
    this.#baseOnly = new Set()
    this.#dropLeaving()
    for (const [peer, request] of this.#requests) request.stop(tell || peer !== this.publisher)
    this.#requests.clear()
  }
}

function sameRange(wish: ParentWish | undefined, { symbolRange }: StreamRequest): boolean {
  if (wish === undefined) return false
  const [a, b] = [wish.symbolRange, symbolRange]
  return a === b || (a !== undefined && b !== undefined && a[0] === b[0] && a[1] === b[1])
}
