/**
 * The mesh of one room: links, subscriptions, content keys, published and received streams. No timer, socket or clock in
 * here: {@link MeshIo} brings them, `src/pipeline/mesh/host.ts` in a worker, a fake network in tests.
 */
import type { LaneChannel, LaneHandlers, MediaLaneRole } from "../../link/lane-port.ts"
import { LastRates } from "../../link/last-rates.ts"
import { NodeUplink } from "../../link/uplink.ts"
import type { MeshToPublish, MeshToReceive, PublishToMesh } from "../../media/types.ts"
import { equalBytes } from "../../wire/bytes.ts"
import type { Bytes, PeerKeyId, ReceiverLayerPolicy, U64 } from "../../wire/types.ts"
import { EpochKeys } from "./epoch-keys.ts"
import { Inbound, type Inflow } from "./hop/inbound.ts"
import { MeshLink } from "./hop/link.ts"
import { TransitKeys } from "./hop/transit.ts"
import { PendingRequests } from "./pending-requests.ts"
import { PublishedStream } from "./published-stream.ts"
import { ReceivedStream } from "./received-stream.ts"
import { Receiving } from "./receiving.ts"
import { RungFit } from "./rung-fit.ts"
import { Steering } from "./steering.ts"
import { streamKeyOf } from "./stream-key.ts"
import { SubscribeBudget } from "./subscribe-budget.ts"
import type {
  MeshAnswer,
  MeshEvent,
  MeshKeysMessage,
  MeshLinkId,
  MeshOptions,
  MeshPublish,
  MeshRefusal,
  MeshStats,
  MeshSubscribe,
  MeshSubscriber,
} from "./types.ts"

const MAX_SUBSCRIBERS = 64
const MAX_STREAMS = 256
/** A link is told to be alive this often, in ms. */
const HEARD_EVERY_MS = 1_000
/** Silence of a subscription that is worth telling, how often it is told again, and how often that is looked at; ms. */
const SILENT_MS = 1_500
const SILENT_AGAIN_MS = 2_000
const SILENCE_CHECK_MS = 100
/** Encoders are looked after this often, ms. */
const STEER_EVERY_MS = 50

/** What the core needs from its surroundings. */
export interface MeshIo {
  /** Monotonic milliseconds, fractions welcome. */
  now(): number
  /** Unix milliseconds at `now() === 0`. */
  timeOrigin: number
  emit(event: MeshEvent): void
  /** To the publish worker behind the named port. */
  toPublisher(port: string, message: MeshToPublish): void
  /** To the receive worker behind the named port; `frame.data` may be transferred. */
  toReceiver(port: string, message: MeshToReceive): void
}

export class MeshCore {
  readonly #options: MeshOptions
  readonly #io: MeshIo
  readonly #keys = new EpochKeys()
  readonly #links = new Map<MeshLinkId, MeshLink>()
  /** The link that new subscriptions with a peer use: the one whose key came last. */
  readonly #linkOf = new Map<PeerKeyId, MeshLink>()
  readonly #transit: TransitKeys
  readonly #inbound: Inbound
  readonly #receiving: Receiving
  readonly #published = new Map<string, PublishedStream>()
  readonly #budget = new SubscribeBudget()
  /** What others asked of us, and what we are about to ask, by stream and peer. */
  readonly #asked = new PendingRequests<{ subNonce: Bytes; policy: ReceiverLayerPolicy }>()
  readonly #asking = new PendingRequests<MeshSubscribe>()
  readonly #heardAt = new Map<MeshLink, number>()
  readonly #silentToldAt = new WeakMap<Inflow, number>()
  readonly #lastRates = new LastRates()
  readonly #rungFit = new RungFit()
  readonly #steering: Steering
  #steeredAt = Number.NEGATIVE_INFINITY
  #silenceCheckedAt = Number.NEGATIVE_INFINITY

  constructor(options: MeshOptions, io: MeshIo) {
    this.#options = options
    this.#io = io
    this.#steering = new Steering(new NodeUplink(options.uplinkBitrate))
    this.#transit = new TransitKeys(options.ownKeyId)
    this.#receiving = new Receiving(this.#keys, io)
    this.#inbound = new Inbound(
      {
        chunk: (inflow, innerChunk) => this.#receiving.chunk(inflow, innerChunk),
        heard: (inflow) => this.#heard(inflow),
      },
      io.now,
    )
  }

  // ---- links and lanes

  /** `open` makes the channel and is called at once: a transferred channel must get its handlers in the same task. */
  addLane(linkId: MeshLinkId, laneId: number, role: MediaLaneRole, open: (handlers: LaneHandlers) => LaneChannel): void {
    const link = this.#link(linkId)
    const channel = open({
      onMessage: (bytes) => void this.#inbound.message(link, laneId, bytes),
      onState: (state) => {
        this.#io.emit({ type: "lane", link: linkId, laneId, state })
        if (state === "open") link.pump()
      },
      onLow: () => link.pump(),
    })
    link.addLane(laneId, role, channel)
  }

  removeLane(linkId: MeshLinkId, laneId: number): void {
    this.#links.get(linkId)?.removeLane(laneId)
  }

  removeLink(linkId: MeshLinkId): void {
    const link = this.#links.get(linkId)
    if (link === undefined) return
    this.#links.delete(linkId)
    this.#heardAt.delete(link)
    if (link.peer !== undefined) this.#lastRates.remember(link.peer, link.sender.rate, this.#io.now())
    if (link.peer !== undefined && this.#linkOf.get(link.peer) === link) this.#linkOf.delete(link.peer)
    this.#transit.forget(linkId)
    for (const stream of this.#published.values()) stream.fanout.removeLink(link)
    this.#inbound.removeLink(link)
    link.close()
  }

  setLinkKey(linkId: MeshLinkId, peer: PeerKeyId, sessionKey: Bytes): void {
    const link = this.#link(linkId)
    if (link.peer === undefined) link.sender.rate.startAt(this.#lastRates.recall(peer, this.#io.now()))
    link.peer = peer
    this.#linkOf.set(peer, link)
    this.#transit.setSessionKey(linkId, sessionKey)
  }

  pathChanged(linkId: MeshLinkId): void {
    this.#links.get(linkId)?.pathChanged()
  }

  // ---- content keys

  keys(message: MeshKeysMessage): void {
    if (message.type === "erase") {
      this.#keys.erase()
      this.#receiving.erase()
      return
    }
    this.#keys.install(message, this.#io.now())
    this.#receiving.epochInstalled(message.epoch)
  }

  setSealEpoch(epoch: U64): void {
    this.#keys.setSealEpoch(epoch, this.#io.now())
  }

  // ---- our streams

  publishStream(stream: MeshPublish): MeshAnswer {
    const key = streamKeyOf(stream.streamId)
    if (this.#published.has(key)) return { ok: true }
    if (this.#published.size >= (this.#options.maxStreams ?? MAX_STREAMS)) return refuse("CapacityExceeded")
    this.#published.set(key, new PublishedStream(stream, this.#keys, this.#io))
    return { ok: true }
  }

  unpublishStream(streamId: Bytes): void {
    const key = streamKeyOf(streamId)
    this.#published.get(key)?.close()
    this.#published.delete(key)
  }

  /** A frame of the publish worker. */
  publishFrame(message: PublishToMesh): void {
    this.#published.get(message.streamKey)?.publish(message.frameId, message.frame)
  }

  async addSubscriber({ streamId, peer, subNonce, policy, link: named }: MeshSubscriber): Promise<MeshAnswer> {
    const key = streamKeyOf(streamId)
    const stream = this.#published.get(key)
    if (stream === undefined) return refuse("StreamNotFound")
    const link = this.#linkFor(peer, named)
    if (link === undefined) return refuse("SessionClosed")
    const limit = this.#options.maxSubscribersPerStream ?? MAX_SUBSCRIBERS
    if (stream.fanout.get(peer) === undefined && stream.fanout.size >= limit) return refuse("CapacityExceeded")
    if (!this.#budget.take(peer, this.#io.now())) return refuse("CapacityExceeded")
    const { sealProfile } = stream.facts
    const request = { subNonce, policy }
    this.#asked.begin(key, peer, request)
    const sealer = await this.#transit
      .sealer({ link: link.id, peer, streamId, subNonce, sealProfile }, (error) => stream.sealFailed(error, peer))
      .catch((error: unknown) => {
        this.#asked.end(key, peer, request)
        throw error
      })
    const wanted = this.#asked.end(key, peer, request)
    if (typeof sealer === "string") return refuse(sealer)
    if (!wanted) return refuse("SubscriberNotFound")
    if (stream.closed) return refuse("StreamNotFound")
    if (link.closed) return refuse("SessionClosed")
    if (stream.fanout.get(peer) === undefined && stream.fanout.size >= limit) return refuse("CapacityExceeded")
    stream.subscribe({ peer, link, sealer, subNonce, policy: request.policy })
    // First how much, then the keyframe: one of the old size might not get through.
    if (stream.facts.kind === "video") {
      this.#steering.steer(this.#published.values(), this.#links.values(), this.#io.now())
      stream.wantKeyframe()
    }
    return { ok: true }
  }

  /**
   * The link a subscription belongs to. While a link replaces another one, the two sides may disagree about which is the newest;
   * the one that carried the request is the same for both, and so is its key.
   */
  #linkFor(peer: PeerKeyId, named: MeshLinkId | undefined): MeshLink | undefined {
    if (named === undefined) return this.#linkOf.get(peer)
    const link = this.#links.get(named)
    return link?.peer === peer ? link : undefined
  }

  /** With `subNonce` only that subscription is meant; an older or newer one of the peer stays as it is. */
  setSubscriberPolicy(streamId: Bytes, peer: PeerKeyId, policy: ReceiverLayerPolicy, subNonce?: Bytes): MeshAnswer {
    const key = streamKeyOf(streamId)
    const pending = this.#asked.get(key, peer)
    if (pending !== undefined && names(subNonce, pending)) {
      pending.policy = policy
      return { ok: true }
    }
    const stream = this.#published.get(key)
    const changed = names(subNonce, stream?.fanout.get(peer)) && stream?.setPolicy(peer, policy) === true
    return changed ? { ok: true } : refuse("SubscriberNotFound")
  }

  /** `subNonce` as for {@link setSubscriberPolicy}. */
  removeSubscriber(streamId: Bytes, peer: PeerKeyId, subNonce?: Bytes): MeshAnswer {
    const key = streamKeyOf(streamId)
    const stream = this.#published.get(key)
    const pending = names(subNonce, this.#asked.get(key, peer))
    if (pending) this.#asked.cancel(key, peer)
    // Taking back the request that was to replace a subscription ends both.
    const meant = pending || names(subNonce, stream?.fanout.get(peer))
    const removed = meant && stream?.unsubscribe(peer) === true
    return pending || removed ? { ok: true } : refuse("SubscriberNotFound")
  }

  requestKeyframe(streamId: Bytes, peer: PeerKeyId): void {
    const stream = this.#published.get(streamKeyOf(streamId))
    if (stream?.fanout.get(peer) !== undefined) stream.wantKeyframe()
  }

  // ---- streams of others

  async subscribeStream(subscription: MeshSubscribe): Promise<MeshAnswer> {
    const { streamId, from, subNonce } = subscription
    const key = streamKeyOf(streamId)
    const link = this.#linkFor(from, subscription.link)
    if (link === undefined) return refuse("SessionClosed")
    const full = this.#receiving.size >= (this.#options.maxStreams ?? MAX_STREAMS)
    if (full && this.#receiving.get(key) === undefined) return refuse("CapacityExceeded")
    const { sealProfile } = subscription
    this.#asking.begin(key, from, subscription)
    const opener = await this.#transit
      .opener({ link: link.id, peer: from, streamId, subNonce, sealProfile })
      .catch((error: unknown) => {
        this.#asking.end(key, from, subscription)
        throw error
      })
    const wanted = this.#asking.end(key, from, subscription)
    if (typeof opener === "string") return refuse(opener)
    if (!wanted) return refuse("SubscriberNotFound")
    if (link.closed) return refuse("SessionClosed")
    if (this.#receiving.get(key) === undefined) {
      this.#receiving.add(key, new ReceivedStream(subscription, this.#keys.opening, this.#io))
    }
    this.#inbound.add(streamId, link, from, opener)
    return { ok: true }
  }

  unsubscribeStream(streamId: Bytes, from?: PeerKeyId): void {
    const key = streamKeyOf(streamId)
    this.#asking.cancel(key, from)
    this.#inbound.remove(key, from)
    if (this.#inbound.of(key).length === 0) this.#receiving.remove(key)
  }

  /** The receive worker can not go on without a keyframe. */
  needKeyframe(streamKey: string): void {
    const inflow = this.#inbound.of(streamKey).sort((a, b) => b.heardAt - a.heardAt)[0]
    if (inflow === undefined || this.#receiving.get(streamKey)?.keyframeDue() !== true) return
    this.#io.emit({ type: "keyframe-wanted", streamId: inflow.streamId, from: inflow.peer })
  }

  // ---- clock, statistics, end

  /** Call every 5 ms or so. */
  tick(): void {
    const now = this.#io.now()
    this.#keys.tick(now)
    this.#receiving.tick(now)
    for (const streamKey of this.#receiving.tailsLost()) for (const { link } of this.#inbound.of(streamKey)) link.askForTail()
    for (const stream of this.#published.values()) stream.tick(now)
    for (const link of this.#links.values()) link.tick()
    if (now - this.#steeredAt >= STEER_EVERY_MS) {
      this.#steeredAt = now
      this.#steering.steer(this.#published.values(), this.#links.values(), now)
      this.#rungFit.check(this.#published.values(), now, ({ facts: { streamId } }, { peer, subNonce }) =>
        this.#io.emit({ type: "rung-too-large", streamId, peer, subNonce }),
      )
    }
    this.#tellSilence(now)
  }

  stats(): MeshStats {
    const epoch = this.#keys.opening.epoch
    const sealEpoch = this.#keys.sealing.epoch
    const from = (key: string) => this.#inbound.of(key).map((inflow) => inflow.peer)
    return {
      at: this.#io.now(),
      ...(sealEpoch === undefined ? {} : { sealEpoch }),
      ...(epoch === undefined ? {} : { epoch }),
      links: [...this.#links.values()].map((link) => link.stats()),
      send: [...this.#published.values()].map((stream) => stream.stats()),
      receive: this.#receiving.stats(from),
      stages: {
        lane: this.#inbound.laneDrops.snapshot(),
        outer: this.#inbound.outerDrops.snapshot(),
        ...this.#receiving.drops(),
        send: this.#sendDrops(),
      },
    }
  }

  close(): void {
    for (const stream of this.#published.values()) stream.close()
    this.#published.clear()
    for (const id of [...this.#links.keys()]) this.removeLink(id)
    this.#receiving.close()
    this.#keys.erase()
  }

  #sendDrops(): Record<string, number> {
    const sum: Record<string, number> = {}
    for (const stream of this.#published.values()) {
      for (const [code, count] of Object.entries(stream.drops.snapshot())) sum[code] = (sum[code] ?? 0) + count
    }
    return sum
  }

  #link(linkId: MeshLinkId): MeshLink {
    const known = this.#links.get(linkId)
    if (known !== undefined) return known
    const startRate = this.#options.startRate
    const link = new MeshLink(linkId, {
      now: this.#io.now,
      ...(startRate === undefined ? {} : { startRate }),
      mediaLinks: () => this.#links.size,
      wish: (wish) => this.#io.emit({ type: "lanes-wanted", link: linkId, ...wish }),
      alarm: (alarm) => this.#io.emit({ ...alarm, link: linkId }),
    })
    this.#links.set(linkId, link)
    return link
  }

  #heard(inflow: Inflow): void {
    const now = this.#io.now()
    this.#silentToldAt.delete(inflow)
    if (!inflow.started) {
      inflow.started = true
      this.#io.emit({ type: "stream-started", streamId: inflow.streamId, from: inflow.peer })
    }
    if (now - (this.#heardAt.get(inflow.link) ?? Number.NEGATIVE_INFINITY) < HEARD_EVERY_MS) return
    this.#heardAt.set(inflow.link, now)
    this.#io.emit({ type: "heard", peer: inflow.peer })
  }

  #tellSilence(now: number): void {
    if (now - this.#silenceCheckedAt < SILENCE_CHECK_MS) return
    this.#silenceCheckedAt = now
    for (const inflow of this.#inbound.all()) {
      const silentMs = now - inflow.heardAt
      const told = this.#silentToldAt.get(inflow)
      if (silentMs < SILENT_MS || (told !== undefined && now - told < SILENT_AGAIN_MS)) continue
      this.#silentToldAt.set(inflow, now)
      this.#io.emit({ type: "stream-silent", streamId: inflow.streamId, from: inflow.peer, silentMs })
    }
  }
}

/** Whether a message about a subscription means this one; without a nonce it means whichever there is. */
function names(subNonce: Bytes | undefined, subscription: { subNonce: Bytes } | undefined): boolean {
  return subscription !== undefined && (subNonce === undefined || equalBytes(subNonce, subscription.subNonce))
}

function refuse(error: MeshRefusal): MeshAnswer {
  return { ok: false, error }
}
