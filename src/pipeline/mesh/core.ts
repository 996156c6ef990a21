/**
 * The mesh of one room as a member runs it: what needs no content key is done by {@link RelayCore}; beside it are content keys,
 * published and received streams. No timer, socket or clock in here: {@link MeshIo} brings them, `src/pipeline/mesh/host.ts` in a
 * worker, a fake network in tests.
 */
import type { LaneChannel, LaneHandlers, MediaLaneRole } from "../../link/lane-port.ts"
import type { MeshToPublish, MeshToReceive, PublishToMesh } from "../../media/types.ts"
import type { Bytes, PeerKeyId, ReceiverLayerPolicy, U64 } from "../../wire/types.ts"
import { RelayCore, refuse } from "../relay/core.ts"
import { EpochKeys } from "./epoch-keys.ts"
import { PublishedStream } from "./published-stream.ts"
import { ReceivedStream } from "./received-stream.ts"
import { Receiving } from "./receiving.ts"
import { RungFit } from "./rung-fit.ts"
import { streamKeyOf } from "./stream-key.ts"
import type {
  MeshAnswer,
  MeshEvent,
  MeshFeeds,
  MeshKeysMessage,
  MeshLinkId,
  MeshOptions,
  MeshPublish,
  MeshStats,
  MeshSubscribe,
  MeshSubscriber,
} from "./types.ts"

const MAX_STREAMS = 256
/** How often it is looked whether a smaller rung would suit somebody better, ms. */
const RUNG_EVERY_MS = 50

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
  readonly #relay: RelayCore
  readonly #receiving: Receiving
  readonly #published = new Map<string, PublishedStream>()
  /** What streams are subscribed as; for those that begin to be read later. */
  readonly #subscribed = new Map<string, MeshSubscribe>()
  /** What was said about showing a stream after it was last subscribed to. */
  readonly #deliver = new Map<string, boolean>()
  readonly #rungFit = new RungFit()
  #rungAt = Number.NEGATIVE_INFINITY

  constructor(options: MeshOptions, io: MeshIo) {
    this.#options = options
    this.#io = io
    this.#receiving = new Receiving(this.#keys, io)
    this.#relay = new RelayCore(options, io, {
      source: (streamKey) => this.#published.get(streamKey),
      sources: () => this.#published.values(),
      chunk: (inflow, innerChunk) => this.#receiving.chunk(inflow, innerChunk),
      subscribed: (streamKey, subscription) => this.#take(streamKey, subscription),
    })
  }

  // ---- links and lanes, see RelayCore

  addLane(linkId: MeshLinkId, laneId: number, role: MediaLaneRole, open: (handlers: LaneHandlers) => LaneChannel): void {
    this.#relay.addLane(linkId, laneId, role, open)
  }

  removeLane(linkId: MeshLinkId, laneId: number): void {
    this.#relay.removeLane(linkId, laneId)
  }

  removeLink(linkId: MeshLinkId): void {
    this.#relay.removeLink(linkId)
  }

  setLinkKey(linkId: MeshLinkId, peer: PeerKeyId, sessionKey: Bytes): void {
    this.#relay.setLinkKey(linkId, peer, sessionKey)
  }

  pathChanged(linkId: MeshLinkId): void {
    this.#relay.pathChanged(linkId)
  }

  limitUplink(bitrate: number | undefined): void {
    this.#relay.limitUplink(bitrate)
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

  // ---- our streams, and those we hand on

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

  addSubscriber(subscriber: MeshSubscriber): Promise<MeshAnswer> {
    return this.#relay.addSubscriber(subscriber)
  }

  setSubscriberPolicy(streamId: Bytes, peer: PeerKeyId, policy: ReceiverLayerPolicy, subNonce?: Bytes): MeshAnswer {
    return this.#relay.setSubscriberPolicy(streamId, peer, policy, subNonce)
  }

  removeSubscriber(streamId: Bytes, peer: PeerKeyId, subNonce?: Bytes): MeshAnswer {
    return this.#relay.removeSubscriber(streamId, peer, subNonce)
  }

  requestKeyframe(streamId: Bytes, peer: PeerKeyId): void {
    this.#relay.requestKeyframe(streamId, peer)
  }

  // ---- streams of others

  async subscribeStream(subscription: MeshSubscribe): Promise<MeshAnswer> {
    const key = streamKeyOf(subscription.streamId)
    const full = this.#receiving.size >= (this.#options.maxStreams ?? MAX_STREAMS)
    if (full && this.#receiving.get(key) === undefined) return refuse("CapacityExceeded")
    this.#deliver.delete(key)
    return this.#relay.subscribeStream(subscription)
  }

  deliverStream(streamId: Bytes, deliver: boolean): void {
    const key = streamKeyOf(streamId)
    const subscription = this.#subscribed.get(key)
    this.#deliver.set(key, deliver)
    if (subscription !== undefined) this.#take(key, subscription)
  }

  unsubscribeStream(streamId: Bytes, from?: PeerKeyId): void {
    const key = streamKeyOf(streamId)
    this.#relay.unsubscribeStream(streamId, from)
    if (this.#relay.inbound.of(key).length > 0) return
    this.#receiving.remove(key)
    this.#subscribed.delete(key)
    this.#deliver.delete(key)
  }

  /** The receive worker can not go on without a keyframe. */
  needKeyframe(streamKey: string): void {
    if (this.#relay.inbound.of(streamKey).length === 0) return
    if (this.#receiving.get(streamKey)?.keyframeDue() === true) this.#relay.wantKeyframe(streamKey)
  }

  // ---- clock, statistics, end

  /** Call every 5 ms or so. */
  tick(): void {
    const now = this.#io.now()
    this.#keys.tick(now)
    this.#receiving.tick(now)
    for (const streamKey of this.#receiving.tailsLost())
      for (const { link } of this.#relay.inbound.of(streamKey)) link.askForTail()
    for (const stream of this.#published.values()) stream.tick(now)
    this.#relay.tick()
    if (now - this.#rungAt < RUNG_EVERY_MS) return
    this.#rungAt = now
    this.#rungFit.check(this.#published.values(), now, ({ facts: { streamId } }, { peer, subNonce }) =>
      this.#io.emit({ type: "rung-too-large", streamId, peer, subNonce }),
    )
  }

  feeds(): MeshFeeds {
    return this.#relay.feeds()
  }

  stats(): MeshStats {
    const epoch = this.#keys.opening.epoch
    const sealEpoch = this.#keys.sealing.epoch
    const from = (key: string) => this.#relay.inbound.of(key).map((inflow) => inflow.peer)
    const { stages, ...relay } = this.#relay.stats()
    return {
      ...relay,
      ...(sealEpoch === undefined ? {} : { sealEpoch }),
      ...(epoch === undefined ? {} : { epoch }),
      send: [...this.#published.values()].map((stream) => stream.stats()),
      receive: this.#receiving.stats(from),
      stages: { ...stages, ...this.#receiving.drops(), send: this.#sendDrops() },
    }
  }

  close(): void {
    for (const stream of this.#published.values()) stream.close()
    this.#published.clear()
    this.#relay.close()
    this.#receiving.close()
    this.#subscribed.clear()
    this.#deliver.clear()
    this.#keys.erase()
  }

  #take(key: string, subscription: MeshSubscribe): void {
    const deliver = this.#deliver.get(key) ?? subscription.deliver ?? true
    this.#subscribed.set(key, subscription)
    if (!deliver) this.#receiving.remove(key)
    else if (this.#receiving.get(key) === undefined) {
      this.#receiving.add(key, new ReceivedStream(subscription, this.#keys.opening, this.#io))
    }
  }

  #sendDrops(): Record<string, number> {
    const sum: Record<string, number> = {}
    for (const stream of this.#published.values()) {
      for (const [code, count] of Object.entries(stream.drops.snapshot())) sum[code] = (sum[code] ?? 0) + count
    }
    return sum
  }
}
