/** The face of the mesh worker: what the main thread asks of it, what it tells, and the shapes of its statistics. */

import type { LanePath, LaneSource, LaneState, MediaLaneRole } from "../../link/lane-port.ts"
import type { LaneUse } from "../../link/lane-watch.ts"
import type { RateMode } from "../../link/rate-controller.ts"
import type { ErrorCode } from "../../wire/errors.ts"
import type { Bytes, PeerKeyId, ReceiverLayerPolicy, SealProfile, U64 } from "../../wire/types.ts"

/** Local id of a link (`PeerLink.id`). Lanes come before the peer is proven, so they can not be named by its key id. */
export type MeshLinkId = string

/** One media lane of a link, handed over as soon as its channel exists. What `LaneSink.add` of the link gets. */
export interface MeshLane {
  link: MeshLinkId
  /** 1 audio, 2..255 video; never reused during the life of a link (LL-18). */
  laneId: number
  role: MediaLaneRole
  source: LaneSource
}

/** What the mesh needs to know about a stream: a part of its descriptor (av-mesh 9.4). */
export interface MeshStream {
  /** 32 bytes; its hex form (`streamKeyOf`) names the stream in every message between the workers. */
  streamId: Bytes
  sealProfile: SealProfile
  kind: "audio" | "video"
  /** Codec id of the encoded media (av-mesh 5.1): `CODEC_AV1_SVC`, `CODEC_OPUS`, … */
  codecId: number
  /** `true`: frames travel as RaptorQ objects (D-31). Audio and streams without fountain travel as plain chunks. */
  fountain: boolean
}

export interface MeshPublish extends MeshStream {
  /** Most that the encoder will ever make, bit/s: links are not driven beyond what their streams need. Default: not known. */
  maxBitrate?: number
  /** Name of the port given to {@link MeshApi.connectPublisher}; frames of this stream come from there. Default `"publish"`. */
  port?: string
  /** The encoder rests already; the first subscriber wakes it. Default false. */
  idle?: boolean
  /**
   * Bit/s of encoded media below which a smaller rung of the track looks better (D-37); absent for the smallest. The encoder is
   * not slowed below it for the sake of a slow subscriber; without it, not below 200 000.
   */
  floor?: number
}

export interface MeshSubscribe extends MeshStream {
  /** The neighbour that sends the stream to us. */
  from: PeerKeyId
  /** 16 bytes, chosen by us for this subscription (D-5). */
  subNonce: Bytes
  /** Link that carries the request. Default: the newest link to `from`. */
  link?: MeshLinkId
  /** Name of the port given to {@link MeshApi.connectReceiver}; frames of this stream go there. Default `"receive"`. */
  port?: string
  /** `false`: the stream is only handed on to others (see {@link MeshApi.deliverStream}). Default true. */
  deliver?: boolean
}

export interface MeshSubscriber {
  streamId: Bytes
  /** The neighbour that asked with `av.subscribe`. */
  peer: PeerKeyId
  /** 16 bytes out of its request. */
  subNonce: Bytes
  /** Link the request came on. Default: the newest link to `peer`. */
  link?: MeshLinkId
  policy: ReceiverLayerPolicy
  /** Of each fountain object only the symbols `[from, to)` (D-29). */
  symbolRange?: readonly [from: number, to: number]
  /** Where a relay may get the stream, nearest first (D-45). */
  via?: readonly PeerKeyId[]
}

/** Refusals of a subscription; goes into `av.refused` as `error`. */
export type MeshRefusal = Extract<
  ErrorCode,
  "StreamNotFound" | "CapacityExceeded" | "TransitKeyReuse" | "LinkIdInvalid" | "SessionClosed" | "SubscriberNotFound"
>
/** `limit`: with `CapacityExceeded` of a relay the promise that would be broken, in the words of its advertisement. */
export type MeshAnswer = { ok: true } | { ok: false; error: MeshRefusal; limit?: string }

/** Message of the keys worker on the port of {@link MeshApi.setKeysPort}. The root secret never passes the main thread. */
export type MeshKeysMessage =
  | {
      type: "epoch"
      epoch: U64
      /** 32 bytes (av-mesh 6.2); the mesh worker keeps it and the keys worker should forget it. */
      rootSecret: Bytes
      /** Number of members, self included; divides the chunk budget of a shared key (D-3.4). */
      members: number
      /** `true` for a founder and after a commit that removed somebody: seal with it at once (D-38). A joiner waits for `setSealEpoch`. */
      sealNow: boolean
    }
  /** Forget every content key: the member left or was removed. */
  | { type: "erase" }

/** What a subscriber's link has room for: every temporal layer, the base layer alone, or less than that. */
export type LayersThatFit = "all" | "base" | "less"

/** What the mesh worker tells the main thread, on the port of {@link MeshApi.setEventPort}. */
export type MeshEvent =
  /** A decoder lost its way: send `av.keyframe` for the stream to this parent. At most every 300 ms per stream (RM-19). */
  | { type: "keyframe-wanted"; streamId: Bytes; from: PeerKeyId }
  /** Authentic media of an epoch we have no key for arrived (RM-17). At most once per second and epoch. */
  | { type: "unknown-epoch"; epoch: U64; from: PeerKeyId }
  /** Authentic media arrived on this link; at most once per second and link. */
  | { type: "heard"; peer: PeerKeyId }
  /** `active: false`: nobody has been subscribed for 5 s and the encoder was told to rest. */
  | { type: "stream-active"; streamId: Bytes; active: boolean }
  /** First authentic chunk of a subscription. */
  | { type: "stream-started"; streamId: Bytes; from: PeerKeyId }
  /** A subscribed stream brought nothing, not even a keep-alive, for `silentMs`. Sent at 1.5 s, then each further 2 s. */
  | { type: "stream-silent"; streamId: Bytes; from: PeerKeyId; silentMs: number }
  | { type: "lane"; link: MeshLinkId; laneId: number; state: LaneState }
  /** The link needs one video lane more, or one less (LL-15). */
  | { type: "lanes-wanted"; link: MeshLinkId; action: "add" }
  | { type: "lanes-wanted"; link: MeshLinkId; action: "remove"; laneId: number }
  /** A lane is dead: close it and open another in its place (LL-16). */
  | { type: "lanes-wanted"; link: MeshLinkId; action: "replace"; laneId: number }
  /**
   * Every video lane of the link is in trouble while its audio lane lives: ask for an ICE restart (LL-16). Only base layers are
   * sent until a lane is back. Told at once, and again every 5 s while it lasts.
   */
  | { type: "lanes-suspect"; link: MeshLinkId }
  /** Media goes out on this link and no report came back for `silentMs`, whatever ICE says. Sent at 1.5 s, then each further 2 s. */
  | { type: "path-silent"; link: MeshLinkId; silentMs: number }
  /** The link to this subscriber has long had too little for the stream: a smaller rung would look better there (D-37). */
  | { type: "rung-too-large"; streamId: Bytes; peer: PeerKeyId; subNonce: Bytes }
  /**
   * What neighbours want of a stream that is not ours, between them: subscribe to it, or change the policy. Without `policy` nobody
   * wants it any more. `via`: where a neighbour says it can be had. At most every 250 ms per stream.
   */
  | { type: "relay-demand"; streamId: Bytes; policy: ReceiverLayerPolicy | undefined; via: PeerKeyId[] }
  /** Nobody brought the stream for 5 s: these subscriptions ended, answer `av.refused` with `StreamNotFound` (D-45). */
  | { type: "no-upstream"; streamId: Bytes; children: { peer: PeerKeyId; subNonce: Bytes }[] }
  /** A content key or a link counter ran out (`DekExhausted`, `LinkSeqExhausted`): rotate the epoch or subscribe again. */
  | { type: "exhausted"; streamId: Bytes; error: ErrorCode; peer?: PeerKeyId }

export interface MeshLaneStats {
  id: number
  role: MediaLaneRole
  state: LaneState
  /** Whether it is used: `suspect` lanes carry nothing new (link-lanes LL-16). */
  use: LaneUse
  path: LanePath
  sentMessages: number
  sentBytes: number
  receivedMessages: number
  receivedBytes: number
  /** Messages the peer's lane numbers say were sent and never arrived. */
  lostMessages: number
  /** Share of our own messages the peer's last reports missed, 0..1; undefined before the first report. */
  reportedLoss?: number
  /** Delay over the shortest one of the last minute, as the peer's last report had it; ms. */
  minDelayMs?: number
  bufferedAmount: number
  /** Most that was buffered since the last call. */
  maxBufferedAmount: number
  /** How often this lane was passed over because it was above its gate. */
  gateRefusals: number
}

export interface MeshLinkStats {
  link: MeshLinkId
  /** Undefined until {@link MeshApi.setLinkKey}. */
  peer?: PeerKeyId
  lanes: MeshLaneStats[]
  /** What the link may send over its video lanes, repair included; bit/s. */
  rate: number
  /** `compete`: somebody else keeps the queue of the path full, and the delay is not ours to choose. */
  mode: RateMode
  /** Round trip with what waits in queues; undefined before the first report. */
  rttMs?: number
  /** Queueing delay of the path, smoothed. */
  queueMs: number
  baseChanges: number
  /** Loss of what we send on the video lanes, fading over 3 s, and the mean run of losses. */
  lossPct: number
  lossRun: number
  /** Bit/s that arrived at the peer in the last second. */
  delivered: number
  /** Messages sent on video lanes. */
  sent: number
  /** Share of messages dropped out of the queue. */
  shedPct: number
  /** Numbers we asked for again; messages sent again; and of those sent to us, how many came before their frame was complete. */
  nackSent: number
  rtxSent: number
  rtxUseful: number
  /** Repair symbols to other messages. */
  repairPct: number
  laneLimitedMs: number
  lanesOpen: number
  lanesWanted: number
  laneDeaths: number
  /** Messages waiting in the short send queue. */
  queued: number
  /** Messages dropped out of the queue because they were stale or belonged to a stale frame. */
  shed: number
  /** What was refused on this link, by error name. */
  drops: Record<string, number>
}

export interface MeshSendStats {
  streamId: Bytes
  kind: "audio" | "video"
  subscribers: PeerKeyId[]
  frames: number
  keyframes: number
  encodedBytes: number
  chunks: number
  /** Frames dropped before sealing because too many were in work. */
  droppedFrames: number
  /** What the encoder was told to make, bit/s; undefined before the first video subscriber. */
  targetBitrate?: number
  /** Video: subscribers whose links have no room for every layer, and what fits. */
  short?: { peer: PeerKeyId; fits: LayersThatFit }[]
  active: boolean
}

export interface MeshReceiveStats {
  streamId: Bytes
  kind: "audio" | "video"
  from: PeerKeyId[]
  chunks: number
  receivedBytes: number
  duplicates: number
  /** Complete frames handed to the receive worker. */
  frames: number
  keyframes: number
  /** Frames that repair symbols saved: source symbols of them never came. Counted a second or so later. */
  repairedFrames: number
  lostFrames: number
  /** Frames complete this long after their time, in ms, over the fastest frame of the last minute: clocks are not compared. */
  within100: number
  within150: number
  within250: number
  /** See `TRANSIT_STEP_MS`. */
  transit: number[]
  keyframeRequests: number
  /** Sealed chunks waiting for the key of their epoch. */
  held: number
  layer?: { spatial: number; temporal: number }
}

/** A stream of somebody else that is handed on. */
export interface MeshRelayedStream {
  streamId: Bytes
  from: PeerKeyId[]
  /** What comes in, with what lies under the messages; bit/s. */
  bitrate: number
  chunks: number
  /** Bytes of the chunks that came in, copies left out. */
  bytes: number
  /** Chunks that another parent had brought. */
  duplicates: number
  children: { peer: PeerKeyId; chunks: number; bytes: number; fits: LayersThatFit }[]
  /** What could not be sealed, by error name. */
  drops: Record<string, number>
}

export interface MeshRelayStats {
  enabled: boolean
  /** Subscriptions granted, and what they are taken to need; bit/s. */
  subscribers: number
  admittedBitrate: number
  /** What all copies together may take, bit/s; missing without a limit. */
  uplinkLimit?: number
  /** Requests refused, by the name of the limit. */
  refused: Record<string, number>
  streams: MeshRelayedStream[]
}

/** What is needed to choose parents, in one call that costs little. */
export interface MeshFeeds {
  /** Streams as they come in, a line for each parent. */
  in: MeshFeed[]
  /** Who takes a stream from this node, its own streams included. */
  out: { streamId: Bytes; children: PeerKeyId[] }[]
}

interface MeshFeed {
  streamId: Bytes
  from: PeerKeyId
  /** Anything authentic came from it since it was asked. */
  started: boolean
  /** Since the last sign of life, ms. */
  silentMs: number
  /** Since the subscription began: chunks that opened, those of them that every parent sends alike, those of upper temporal layers, and bytes. */
  chunks: number
  base: number
  upper: number
  bytes: number
}

export interface MeshStats {
  /** Monotonic milliseconds of the worker. */
  at: number
  /** Epoch that is sealed with, and the newest one that can be opened; undefined before the first key. */
  sealEpoch?: U64
  epoch?: U64
  links: MeshLinkStats[]
  send: MeshSendStats[]
  receive: MeshReceiveStats[]
  relay: MeshRelayStats
  /** Refused items per stage, by error name. */
  stages: Record<"lane" | "outer" | "hold" | "inner" | "payload" | "fountain" | "send", Record<string, number>>
}

/**
 * The mesh worker as comlink shows it to the main thread. Ports and channels must be in the transfer list:
 * `mesh.addLane(Comlink.transfer(lane, laneTransferables(lane.source)))`. Methods that return nothing never reject for a link
 * or stream that is already gone.
 */
export interface MeshApi {
  /** First call. Resolves when the fountain codec is ready. */
  configure(options: MeshOptions): Promise<void>
  /** {@link MeshEvent} messages come out of this port. */
  setEventPort(port: MessagePort): void
  /** {@link MeshKeysMessage} messages of the keys worker go into this port. */
  setKeysPort(port: MessagePort): void
  /** Port to a publish worker; protocol in `src/media/types.ts`. */
  connectPublisher(port: MessagePort, name?: string): void
  /** Port to a receive worker; protocol in `src/media/types.ts`. */
  connectReceiver(port: MessagePort, name?: string): void
  addLane(lane: MeshLane): void
  removeLane(link: MeshLinkId, laneId: number): void
  /**
   * Closes all lanes of the link, erases its keys and ends its subscriptions in both directions. A received stream stays, for
   * another parent to go on with, until {@link unsubscribeStream}.
   */
  removeLink(link: MeshLinkId): void
  /**
   * The link is ready, or its key was renewed (D-34): `peer` is proven, `sessionKey` has 32 bytes; hand it over by transfer.
   * A second link to the same peer takes over new subscriptions; the old ones stay where they are.
   */
  setLinkKey(link: MeshLinkId, peer: PeerKeyId, sessionKey: Bytes): void
  /** The link runs over another path: its rate starts over (link-lanes LL-12). Calls close together count as one. */
  pathChanged(link: MeshLinkId): void
  /** Changes {@link MeshOptions.uplinkBitrate}; undefined: no limit. Who is served stays served, with less. */
  limitUplink(bitrate: number | undefined): void
  /** Publishers seal with the key of `epoch` from now on (D-38). Without this call they change after 250 ms. */
  setSealEpoch(epoch: U64): void
  /** The compiled fountain codec, so that another worker need not bring it again; undefined before {@link MeshApi.configure}. */
  fountainModule(): WebAssembly.Module | undefined
  publishStream(stream: MeshPublish): MeshAnswer
  unpublishStream(streamId: Bytes): void
  /**
   * Neighbour wants our stream, or one that we hand on; `relay-demand` tells what is needed for that. Answer goes into `av.subscribed` /
   * `av.refused`. Of our own streams the first video frame will be a keyframe.
   */
  addSubscriber(subscriber: MeshSubscriber): Promise<MeshAnswer>
  /** With `subNonce` only the subscription made with it is meant; a late message about an older one is refused. */
  setSubscriberPolicy(streamId: Bytes, peer: PeerKeyId, policy: ReceiverLayerPolicy, subNonce?: Bytes): MeshAnswer
  removeSubscriber(streamId: Bytes, peer: PeerKeyId, subNonce?: Bytes): MeshAnswer
  /** `av.keyframe` came in for a stream of ours or one that we hand on. Ignored from a peer without a subscription. */
  requestKeyframe(streamId: Bytes, peer: PeerKeyId): void
  /** Call before `av.subscribe` goes out. Calling again with a new `subNonce` replaces the key; the old one opens for 2 s. */
  subscribeStream(subscription: MeshSubscribe): Promise<MeshAnswer>
  /** Whether frames of a subscribed stream go to the receive worker; children get it either way. */
  deliverStream(streamId: Bytes, deliver: boolean): void
  /** Without `from`: every parent of the stream. The receive worker is not told; its own stream is removed by the main thread. */
  unsubscribeStream(streamId: Bytes, from?: PeerKeyId): void
  stats(): MeshStats
  feeds(): MeshFeeds
  /** Closes lanes and ports and erases keys. Every later call is refused with `HandleClosedError`. */
  close(): void
}

export interface MeshOptions {
  ownKeyId: PeerKeyId
  /** Highest number of subscribers of one stream. Default 64. */
  maxSubscribersPerStream?: number
  /** Highest number of published and of received streams. Default 256 each. */
  maxStreams?: number
  /** First rate of a link to an unknown peer, bit/s. Default 600 000. */
  startRate?: number
  /** Uplink of this node where it is known or advertised, bit/s: the targets of all links together stay below it. */
  uplinkBitrate?: number
  /** Whether and how much is handed on. Default: nothing. */
  relay?: MeshRelayOptions
}

/** The limits of a relay. */
export interface MeshRelayOptions {
  enabled: boolean
  /** Streams of others. Default 64. */
  maxStreams?: number
  /** Subscriptions to them, in all and per stream. Default 32 and 16. */
  maxSubscribers?: number
  maxSubscribersPerStream?: number
  /** For all copies together, of own streams and of others, bit/s; the first copy of an own stream is always given. Default: no limit. */
  uplinkBitrate?: number
}
