/**
 * Everything a mesh does without a content key: links, subscriptions in both directions, and handing streams on. A relay that is no
 * member of the group is this and no more; a member's mesh (`src/pipeline/mesh/core.ts`) puts publishing and receiving beside it.
 * No timer, socket or clock in here.
 */
import type { LaneChannel, LaneHandlers, MediaLaneRole } from "../../link/lane-port.ts"
import { NodeUplink } from "../../link/uplink.ts"
import { equalBytes } from "../../wire/bytes.ts"
import type { Bytes, PeerKeyId, ReceiverLayerPolicy } from "../../wire/types.ts"
import { Inbound, type Inflow } from "../mesh/hop/inbound.ts"
import type { MeshLink } from "../mesh/hop/link.ts"
import { MeshLinks } from "../mesh/hop/links.ts"
import type { OutStream } from "../mesh/hop/out-stream.ts"
import { PendingRequests } from "../mesh/pending-requests.ts"
import { Steering } from "../mesh/steering.ts"
import { streamKeyOf } from "../mesh/stream-key.ts"
import { SubscribeBudget } from "../mesh/subscribe-budget.ts"
import type {
  MeshAnswer,
  MeshEvent,
  MeshFeeds,
  MeshLinkId,
  MeshOptions,
  MeshRefusal,
  MeshStats,
  MeshSubscribe,
  MeshSubscriber,
} from "../mesh/types.ts"
import { RelayedStreams } from "./relayed-streams.ts"
import { SignsOfLife } from "./signs-of-life.ts"

const MAX_SUBSCRIBERS = 64
const MAX_STREAMS = 256
/** Encoders, layers and the shares of links are looked after this often, ms. */
const STEER_EVERY_MS = 50
/** What a copy of an own stream is taken to need before anything was sent, bit/s. */
const EXPECTED_AUDIO_BPS = 40_000
const EXPECTED_VIDEO_BPS = 500_000
/** A parent that brought a forged chunk has its chunks checked before they are handed on for so long, ms. */
const DOUBT_MS = 10_000

interface RelayIo {
  /** Monotonic milliseconds, fractions welcome. */
  now(): number
  emit(event: MeshEvent): void
}

/** What became of a chunk at this node itself. `unread`: nobody here opens it. */
export type ChunkVerdict = "opened" | "duplicate" | "held" | "forged" | "unread"

/** What a member adds: streams of its own, and the key to read. */
interface MemberSide {
  source(streamKey: string): OutStream | undefined
  sources(): Iterable<OutStream>
  chunk(inflow: Inflow, innerChunk: Bytes): Promise<ChunkVerdict>
  /** Told before the first chunk of a subscription can arrive. */
  subscribed(streamKey: string, subscription: MeshSubscribe): void
}

const NOBODY: MemberSide = {
  source: () => undefined,
  sources: () => [],
  chunk: async () => "unread",
  subscribed: () => {},
}

export class RelayCore {
  readonly inbound: Inbound
  readonly #options: MeshOptions
  readonly #io: RelayIo
  readonly #member: MemberSide
  readonly #links: MeshLinks
  readonly #relayed: RelayedStreams
  readonly #life: SignsOfLife
  readonly #uplink: NodeUplink
  readonly #steering: Steering
  readonly #budget = new SubscribeBudget()
  /** What others asked of us, and what we are about to ask, by stream and peer. */
  readonly #asked = new PendingRequests<{ subNonce: Bytes; policy: ReceiverLayerPolicy }>()
  readonly #asking = new PendingRequests<MeshSubscribe>()
  readonly #doubtUntil = new WeakMap<Inflow, number>()
  #steeredAt = Number.NEGATIVE_INFINITY

  constructor(options: MeshOptions, io: RelayIo, member: MemberSide = NOBODY) {
    this.#options = options
    this.#io = io
    this.#member = member
    this.#uplink = new NodeUplink(options.uplinkBitrate)
    this.#steering = new Steering(this.#uplink)
    this.#life = new SignsOfLife(io)
    const { startRate, ownKeyId } = options
    this.#links = new MeshLinks({
      ownKeyId,
      ...(startRate === undefined ? {} : { startRate }),
      ...io,
      message: (link, laneId, bytes) => void this.inbound.message(link, laneId, bytes),
    })
    this.inbound = new Inbound(
      {
        chunk: (inflow, innerChunk) => this.#chunk(inflow, innerChunk),
        heard: (inflow) => this.#life.heard(inflow),
      },
      io.now,
    )
    this.#relayed = new RelayedStreams(options.relay, io, (streamKey) => this.inbound.of(streamKey), options.uplinkBitrate)
  }

  // ---- links and lanes

  addLane(linkId: MeshLinkId, laneId: number, role: MediaLaneRole, open: (handlers: LaneHandlers) => LaneChannel): void {
    this.#links.addLane(linkId, laneId, role, open)
  }

  removeLane(linkId: MeshLinkId, laneId: number): void {
    this.#links.removeLane(linkId, laneId)
  }

  removeLink(linkId: MeshLinkId): void {
    const link = this.#links.remove(linkId)
    if (link === undefined) return
    this.#life.forget(link)
    for (const stream of this.#outStreams()) stream.fanout.removeLink(link)
    this.inbound.removeLink(link)
    link.close()
  }

  setLinkKey(linkId: MeshLinkId, peer: PeerKeyId, sessionKey: Bytes): void {
    this.#links.setKey(linkId, peer, sessionKey)
  }

  pathChanged(linkId: MeshLinkId): void {
    this.#links.pathChanged(linkId)
  }

  /** What all links together may carry from now on, bit/s; undefined: what they can. */
  limitUplink(bitrate: number | undefined): void {
    this.#uplink.limitTo(bitrate ?? Number.POSITIVE_INFINITY)
    this.#relayed.limitUplink(bitrate)
  }

  // ---- what others take from us

  async addSubscriber(subscriber: MeshSubscriber): Promise<MeshAnswer> {
    const { streamId, peer, subNonce, policy, link: named } = subscriber
    const key = streamKeyOf(streamId)
    const link = this.#links.for(peer, named)
    const refused = this.#refusal(key, subscriber, link)
    if (refused !== undefined || link === undefined) return refused ?? refuse("SessionClosed")
    if (!this.#budget.take(peer, this.#io.now())) return refuse("CapacityExceeded")
    const sealProfile = this.#member.source(key)?.facts.sealProfile ?? this.#relayed.profileOf(key)
    const request = { subNonce, policy }
    this.#asked.begin(key, peer, request)
    const failed = (error: unknown) => this.#outStream(key)?.sealFailed(error, peer)
    const sealer = await this.#links.transit
      .sealer({ link: link.id, peer, streamId, subNonce, sealProfile }, failed)
      .catch((error: unknown) => {
        this.#asked.end(key, peer, request)
        throw error
      })
    const wanted = this.#asked.end(key, peer, request)
    if (typeof sealer === "string") return refuse(sealer)
    if (!wanted) return refuse("SubscriberNotFound")
    const late = link.closed ? refuse("SessionClosed") : this.#refusal(key, subscriber, link)
    if (late !== undefined) return late
    const stream = this.#member.source(key) ?? this.#relayed.open(subscriber)
    const range = subscriber.symbolRange === undefined ? {} : { symbolRange: subscriber.symbolRange }
    const asksAgain = stream.fanout.get(peer) !== undefined
    stream.subscribe({ peer, link, sealer, subNonce, policy: request.policy, ...range })
    this.#relayed.subscribed(key, peer, asksAgain)
    // First how much, then the keyframe: one of the old size might not get through.
    if (stream.facts.kind === "video") {
      this.#steer(this.#io.now())
      stream.wantKeyframe()
    }
    return { ok: true }
  }

  /** With `subNonce` only that subscription is meant; an older or newer one of the peer stays as it is. */
  setSubscriberPolicy(streamId: Bytes, peer: PeerKeyId, policy: ReceiverLayerPolicy, subNonce?: Bytes): MeshAnswer {
    const key = streamKeyOf(streamId)
    const pending = this.#asked.get(key, peer)
    if (pending !== undefined && names(subNonce, pending)) {
      pending.policy = policy
      return { ok: true }
    }
    const stream = this.#outStream(key)
    const changed = names(subNonce, stream?.fanout.get(peer)) && stream?.setPolicy(peer, policy) === true
    return changed ? { ok: true } : refuse("SubscriberNotFound")
  }

  /** `subNonce` as for {@link setSubscriberPolicy}. */
  removeSubscriber(streamId: Bytes, peer: PeerKeyId, subNonce?: Bytes): MeshAnswer {
    const key = streamKeyOf(streamId)
    const stream = this.#outStream(key)
    const pending = names(subNonce, this.#asked.get(key, peer))
    if (pending) this.#asked.cancel(key, peer)
    // Taking back the request that was to replace a subscription ends both.
    const meant = pending || names(subNonce, stream?.fanout.get(peer))
    const removed = meant && stream?.unsubscribe(peer) === true
    return pending || removed ? { ok: true } : refuse("SubscriberNotFound")
  }

  /** A subscriber asks for a keyframe. */
  requestKeyframe(streamId: Bytes, peer: PeerKeyId): void {
    const stream = this.#outStream(streamKeyOf(streamId))
    if (stream?.fanout.get(peer) !== undefined) stream.wantKeyframe()
  }

  // ---- what we take from others

  async subscribeStream(subscription: MeshSubscribe): Promise<MeshAnswer> {
    const { streamId, from, subNonce, sealProfile } = subscription
    const key = streamKeyOf(streamId)
    const link = this.#links.for(from, subscription.link)
    if (link === undefined) return refuse("SessionClosed")
    const full = this.inbound.streams >= (this.#options.maxStreams ?? MAX_STREAMS)
    if (full && this.inbound.of(key).length === 0) return refuse("CapacityExceeded")
    this.#asking.begin(key, from, subscription)
    const opener = await this.#links.transit
      .opener({ link: link.id, peer: from, streamId, subNonce, sealProfile })
      .catch((error: unknown) => {
        this.#asking.end(key, from, subscription)
        throw error
      })
    const wanted = this.#asking.end(key, from, subscription)
    if (typeof opener === "string") return refuse(opener)
    if (!wanted) return refuse("SubscriberNotFound")
    if (link.closed) return refuse("SessionClosed")
    this.#relayed.describe(key, sealProfile)
    this.#member.subscribed(key, subscription)
    this.inbound.add(streamId, link, from, opener)
    return { ok: true }
  }

  unsubscribeStream(streamId: Bytes, from?: PeerKeyId): void {
    const key = streamKeyOf(streamId)
    this.#asking.cancel(key, from)
    this.inbound.remove(key, from)
    if (from !== undefined) this.#relayed.parentGone(key, from)
  }

  /** This node or a child of it cannot go on without a keyframe; asked of a parent at most every 300 ms per stream. */
  wantKeyframe(streamKey: string): void {
    this.#relayed.wantKeyframe(streamKey)
  }

  // ---- clock, statistics, end

  /** Call every 5 ms or so. */
  tick(): void {
    const now = this.#io.now()
    this.#relayed.tick(now)
    for (const link of this.#links.all()) link.tick()
    if (now - this.#steeredAt >= STEER_EVERY_MS) this.#steer(now)
    this.#life.tick(now, this.inbound)
  }

  feeds(): MeshFeeds {
    const now = this.#io.now()
    return {
      in: this.inbound.all().map(({ streamId, peer, started, heardAt, chunks, base, upper, bytes }) => {
        return { streamId, from: peer, started, silentMs: now - heardAt, chunks, base, upper, bytes }
      }),
      out: this.#outStreams()
        .filter(({ fanout }) => fanout.size > 0)
        .map(({ facts: { streamId }, fanout }) => ({ streamId, children: fanout.peers() })),
    }
  }

  stats(): Pick<MeshStats, "at" | "links" | "relay"> & { stages: Pick<MeshStats["stages"], "lane" | "outer"> } {
    return {
      at: this.#io.now(),
      links: this.#links.all().map((link) => link.stats()),
      relay: this.#relayed.stats(),
      stages: { lane: this.inbound.laneDrops.snapshot(), outer: this.inbound.outerDrops.snapshot() },
    }
  }

  close(): void {
    this.#relayed.close()
    for (const { id } of this.#links.all()) this.removeLink(id)
  }

  #steer(now: number): void {
    this.#steeredAt = now
    this.#steering.steer(this.#outStreams(), this.#links.all(), now)
  }

  #outStreams(): OutStream[] {
    return [...this.#member.sources(), ...this.#relayed.all()]
  }

  #outStream(streamKey: string): OutStream | undefined {
    return this.#member.source(streamKey) ?? this.#relayed.get(streamKey)
  }

  /** Why this subscription cannot be granted now. */
  #refusal(key: string, subscriber: MeshSubscriber, link: MeshLink | undefined): MeshAnswer | undefined {
    const source = this.#member.source(key)
    if (source === undefined && !this.#relayed.enabled) return refuse("StreamNotFound")
    if (link === undefined) return refuse("SessionClosed")
    const ownMbps = this.#ownBps() / 1e6
    if (source === undefined) return this.#relayed.refusal(key, subscriber.peer, ownMbps)
    if (source.closed) return refuse("StreamNotFound")
    const limit = this.#options.maxSubscribersPerStream ?? MAX_SUBSCRIBERS
    if (source.fanout.get(subscriber.peer) !== undefined) return undefined
    const full = source.fanout.size >= limit || this.#beyondUplink(source)
    return full ? refuse("CapacityExceeded") : undefined
  }

  /** Whether a further copy of an own stream would go beyond the uplink. The first goes out: its encoder follows what the link has. */
  #beyondUplink(source: OutStream): boolean {
    const limit = this.#relayed.uplinkLimit
    if (limit === Number.POSITIVE_INFINITY || source.fanout.size === 0) return false
    return this.#ownBps() + this.#relayed.stats().admittedBitrate + this.#copyBps(source) > limit
  }

  /** All copies of own streams. */
  #ownBps(): number {
    let sum = 0
    for (const source of this.#member.sources()) sum += source.fanout.size * this.#copyBps(source)
    return sum
  }

  /** One copy of a stream: what it takes now, or what it is expected to before anything was sent. */
  #copyBps({ encoded, facts }: OutStream): number {
    const measured = encoded.pathRate(this.#io.now())
    return measured > 0 ? measured : facts.kind === "audio" ? EXPECTED_AUDIO_BPS : (facts.maxBitrate ?? EXPECTED_VIDEO_BPS)
  }

  /**
   * Children get the chunk before this node opens it itself. Where a parent was found to bring forged chunks, the other way round: a
   * forged copy must not take the place of a good one.
   */
  async #chunk(inflow: Inflow, innerChunk: Bytes): Promise<void> {
    const { streamKey, peer } = inflow
    const now = this.#io.now()
    const trusted = now >= (this.#doubtUntil.get(inflow) ?? Number.NEGATIVE_INFINITY)
    if (trusted) this.#relayed.get(streamKey)?.forward(peer, innerChunk)
    const verdict = await this.#member.chunk(inflow, innerChunk)
    if (verdict === "forged") {
      this.#doubtUntil.set(inflow, now + DOUBT_MS)
      this.#relayed.get(streamKey)?.distrust(peer)
    } else if (!trusted && (verdict === "opened" || verdict === "unread")) {
      this.#relayed.get(streamKey)?.forward(peer, innerChunk)
    }
  }
}

/** Whether a message about a subscription means this one; without a nonce it means whichever there is. */
function names(subNonce: Bytes | undefined, subscription: { subNonce: Bytes } | undefined): boolean {
  return subscription !== undefined && (subNonce === undefined || equalBytes(subNonce, subscription.subNonce))
}

export function refuse(error: MeshRefusal): MeshAnswer {
  return { ok: false, error }
}
