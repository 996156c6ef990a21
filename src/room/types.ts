/** The public shapes of the SDK: options, events and statistics. Everything an application needs to know by type. */

import type { VideoCodecName } from "../media/video-codecs.ts"
import type { AvError, ErrorCode } from "../wire/errors.ts"
import type { ReceiverLayerPolicy } from "../wire/types.ts"
import type { FileOffer, RoomFiles } from "./files/types.ts"
import type { HostSettings, OwnRights, RoomHost, WaitingPerson } from "./host/types.ts"
import type { ReconnectBudget } from "./link-care.ts"
import type { RoomMemory } from "./memory/types.ts"
import type { Recording, RecordOptions } from "./record/types.ts"
import type { ChannelOptions, ControlStats, RoomCapabilities, RoomChannel, RoomRpc, RoomTokens } from "./rpc/types.ts"
import type { Simulation } from "./simulate.ts"

export type { ReconnectBudget, Simulation }

/** Where the workers of the library are loaded from; only needed under a strict Content-Security-Policy. */
export interface WorkerUrls {
  mesh?: string | URL
  keys?: string | URL
  publish?: string | URL
  receive?: string | URL
  /** Started when the room has a memory. */
  memory?: string | URL
  /** The AudioWorklet module. */
  audio?: string | URL
}

/** What a page waits for while it joins: the server, an answer of the members, or a host that lets it in. */
export type JoinStep = "server" | "members" | "admission"

export interface JoinOptions {
  /** Shown to the other members; at most 64 characters. Travels encrypted inside the group, never to the server. */
  name?: string
  /** Ends the attempt to join, or leaves the room when it fires later. */
  signal?: AbortSignal
  /** `false`: use an identity that lives only in this page. Default: the stored identity of this browser. */
  persistentIdentity?: boolean
  /** Told what the page is waiting for, so that a person is not left with a spinner. */
  onProgress?: (step: JoinStep) => void
  /** The application's own ICE servers, beside those the rendezvous server hands out. Default none: nobody is called. */
  iceServers?: RTCIceServer[]
  /** Required for a room without an invitation secret; without it such a URL is refused with `InvitationInvalid`. */
  open?: boolean
  workers?: WorkerUrls
  /** Video codecs this page says it can show; the others send nothing else to it. Default: what the browser says it can decode. */
  videoCodecs?: readonly VideoCodecName[]
  /** Number of video lanes per link, 1..8. Default 2. */
  videoLanes?: number
  /**
   * Smaller defaults for cameras sent and received: `auto` (default) follows the browser's data saver and a battery that is nearly
   * empty; `true` and `false` decide for it. What `publish` and `setPolicy` are told always wins.
   */
  saving?: "auto" | boolean
  /** `true`: never transfer data channels to the worker; the page forwards buffers. For tests and old browsers. */
  forwardMedia?: boolean
  /** Whether this page hands streams of others on. Default: yes, within the limits that {@link RelayOptions} names. */
  relay?: RelayOptions
  /** Most that this page sends in all, its own pictures and what it hands on; bit/s. Default: what the links carry. */
  uplinkBitrate?: number
  /** How long a broken connection is tried, and how often. Missing members have their defaults. */
  reconnect?: Partial<ReconnectBudget>
  /**
   * At most so many members of the ring are linked in a room that is larger. For tests of large rooms with few pages.
   * @internal
   */
  maxNeighbours?: number
}

/** How much a page does for others. Without it large rooms cannot be: every stream would have to leave its publisher once per viewer. */
export interface RelayOptions {
  /** `false`: nothing is handed on. Default true. */
  enabled?: boolean
  /**
   * Subscriptions of others to streams that are not ours, in all, and to each stream of ours: whoever comes later takes it from somebody
   * else. Default 32, for our own streams 64.
   */
  maxSubscribers?: number
  /** For all copies that leave this page, those of its own streams included, bit/s. Default: what the links carry. */
  uplinkBitrate?: number
}

/** The person asked the browser to save data; the battery is nearly empty and no charger is there; or nothing is saved. */
export type SavingReason = "none" | "data" | "battery"

/** `reconnecting`: nobody can be reached at the moment, and it is being tried. `offline`: this machine says it has no network. */
export type RoomState = "joining" | "connected" | "reconnecting" | "offline" | "left"
/**
 * `connecting`: not reached yet. `direct`: a link of our own. `routed`: only messages get through, no sound or picture.
 * `reconnecting`: the link broke and is being repaired. `lost`: the room has not heard of them for seconds.
 */
export type ConnectionState = "connecting" | "direct" | "routed" | "reconnecting" | "lost"
export type TrackKind = "audio" | "video"
export type TrackSource = "camera" | "microphone" | "screen" | "other"

/**
 * How a picture is sent. `layers`: in up to three sizes, each encoded only while somebody wants it. `single`: in one size.
 * `descriptions`: as two streams of every second picture each; either alone plays on at half the frame rate.
 */
export type PublishMode = "layers" | "single" | "descriptions"

export interface PublishOptions {
  source?: TrackSource
  /** Video only. Default `layers`, for screens `single`. */
  mode?: PublishMode
  /**
   * What the picture shows: `motion` keeps the frame rate when bits or time run short, `detail` and `text` keep the pixels. Default:
   * the `contentHint` of the track, else `text` for screens and `motion` for everything else.
   */
  contentHint?: "motion" | "detail" | "text"
  /** Codecs that may be used. Default: AV1, VP9, VP8, H.264, the first that is fast enough here and that the others can show. */
  codecs?: readonly VideoCodecName[]
  /** Upper bound for the encoder, in bits per second. Defaults: video 700 000, screen 1 500 000, audio 32 000. */
  maxBitrate?: number
  /** Frames per second for video. Default: what the track says, at most 30; for `detail` and `text` at most 15. */
  frameRate?: number
  signal?: AbortSignal
}

/** One local track in the room. */
export interface Publication {
  readonly id: string
  readonly kind: TrackKind
  readonly source: TrackSource
  readonly track: MediaStreamTrack | undefined
  readonly muted: boolean
  mute(): Promise<void>
  unmute(): Promise<void>
  /** Puts another device or stream behind the same publication; the others keep their subscription. */
  replaceTrack(track: MediaStreamTrack): Promise<void>
  unpublish(): Promise<void>
}

/**
 * Why a picture is received as it is. `best`: nothing holds it back. `policy`, `pinned`, `size`, `hidden`: the application asked for
 * it. `network`: the path from the publisher does not carry more now; it is tried again.
 */
export type LayerReason = "best" | "policy" | "pinned" | "size" | "hidden" | "network"

/** What this page receives of a video track. */
export interface LayerInfo {
  /** Number of the rung, 0 the smallest; undefined while nothing is received. */
  spatial: number | undefined
  /** How many sizes the publisher offers. */
  spatialLayers: number
  /** Size in pixels, as the publisher announced it. */
  width: number
  height: number
  /** WebCodecs string. */
  codec: string
  /** Numbers of the descriptions received, where there are several. */
  descriptions?: readonly number[]
  reason: LayerReason
}

/** One remote track that this page receives. */
export interface Subscription {
  readonly id: string
  readonly kind: TrackKind
  readonly source: TrackSource
  readonly participant: Participant
  /** A real MediaStreamTrack; attach it to an element or feed it to Web Audio. */
  readonly track: MediaStreamTrack
  readonly muted: boolean
  /** What is received now and why; undefined for sound and before the first picture. */
  readonly layer: LayerInfo | undefined
  /** Upper bounds: `maxSpatial` for the size, `maxTemporal` for the frame rate (0 halves it), `maxQuality` for repair symbols. */
  setPolicy(policy: ReceiverLayerPolicy): void
  /** Takes exactly this rung (or the next smaller one that exists), whatever the path says; `undefined` lets go of it. */
  pinLayer(spatial: number | undefined): void
  /**
   * How large the picture is shown, in pixels of the screen: the smallest rung that fills it is received, and nothing at all for
   * `"hidden"`. `undefined` (the start) asks for the largest.
   */
  setDisplaySize(size: { width: number; height: number } | "hidden" | undefined): void
  /** Which of several descriptions to receive, by number; `undefined` (the start): all. Does nothing for other streams. */
  setDescriptions(numbers: readonly number[] | undefined): void
  /** How loud this sound is here: 1 as it came, 0 silent, at most 2. Does nothing for video. */
  setVolume(volume: number): void
}

export interface Participant {
  /** The peer's key id: commits to its keys. */
  readonly id: string
  readonly name: string
  readonly isLocal: boolean
  readonly connection: ConnectionState
  readonly speaking: boolean
  /** Audio level 0..1 of the last moment. */
  readonly audioLevel: number
  readonly subscriptions: readonly Subscription[]
  /**
   * How well this participant is seen and heard here; of the local one, how well the others can be served. The worst of its
   * streams; undefined while there is none to judge.
   */
  readonly quality: Quality | undefined
  /** How loud this participant is here, 0..2; 1 unless changed. */
  readonly volume: number
  /** Sets the volume of everything this participant sends now and later. */
  setVolume(volume: number): void
}

export interface ChatMessage {
  id: string
  from: Participant
  text: string
  /** Unix milliseconds at which this page received or sent it. */
  at: number
}

/** Why the room ended for this page. */
export type LeaveReason = "left" | "removed" | "aborted" | "failed"

/** Events of a {@link Room}; each carries one plain object. */
export type RoomEvents = {
  state: { state: RoomState; detail: string }
  participantJoined: { participant: Participant }
  participantLeft: { participant: Participant; reason: "left" | "gone" | "removed" }
  participantUpdated: { participant: Participant }
  /** A participant is reached in another way, or not at all; `reason` is a word for logs: `silence`, `ice-failed`, `goaway` … */
  connection: { participant: Participant; connection: ConnectionState; reason: string }
  /** A remote track is ready to be attached. */
  track: { participant: Participant; subscription: Subscription; track: MediaStreamTrack }
  trackEnded: { participant: Participant; subscription: Subscription }
  muted: { participant: Participant; subscription: Subscription; muted: boolean }
  /** A video track is received in another size, codec or set of descriptions than before, or for another reason. */
  layer: { participant: Participant; subscription: Subscription; layer: LayerInfo }
  speaking: { participant: Participant; speaking: boolean }
  /** The quality of a participant reached another level, or has another reason. Also for the local one. */
  qualityChanged: { participant: Participant; quality: Quality }
  /** The person here talks while this publication is muted; told once per stretch of talking. Nothing of it is sent. */
  speakingWhileMuted: { publication: Publication }
  message: ChatMessage
  data: { from: Participant; topic: string; bytes: Uint8Array }
  /** The group moved to a new key. */
  epoch: { epoch: bigint; members: number }
  /** The rendezvous server was lost or found again; the call goes on either way. */
  server: { connected: boolean; reason: string }
  /** The browser blocked sound; call `room.startAudio()` from a click. */
  audioBlocked: Record<string, never>
  /** Sound runs (again) after `audioBlocked`. */
  audioStarted: Record<string, never>
  /** Sharing was stopped in the browser's own bar: these publications (picture, and sound if there was any) have ended. */
  shareEnded: { publications: readonly Publication[] }
  /** The device behind a publication went away; the publication waits for `replaceTrack`. Not for screens: see `shareEnded`. */
  deviceLost: { publication: Publication }
  /** Something that did not end the call, with a sentence for a person in `message`. */
  warning: { error: AvError; message: string }
  /** Who waits at the door is another list now; see `room.host.waiting`. */
  waiting: { waiting: readonly WaitingPerson[] }
  /** What the others share is another list now; see `room.files.offers`. */
  filesOffered: { offers: readonly FileOffer[] }
  /** A host changed how the room is run. */
  settings: { settings: HostSettings }
  /** What this page may do changed. */
  rights: OwnRights
  /** A host asked this page to be silent: its sound is muted now. `by` is missing when the host is not known here. */
  muteAsked: { by?: Participant }
  /** The link to the room is another one; the one before ends after a minute. A page keeps it for its own reload. */
  invitation: { invitation: string }
  /** Items of the room's memory came, went, or are kept by others than before; or one (`id`) was revoked. */
  memory: { reason: "changed" | "revoked"; id?: string }
  left: { reason: LeaveReason; error?: AvError }
}

/** Whom to blame: the way between the browsers, a machine that is too slow, or the camera or page that gives too little. */
export type QualityReason = "network" | "cpu" | "source" | "none"
/** `lost`: nothing has come for seconds. */
export type QualityLevel = "good" | "fair" | "poor" | "lost"

/** A score as people give it to a call, smoothed: it falls at once and rises slowly. */
export interface Quality {
  /** 5 excellent, 4 good, 3 fair, 2 poor, 1 bad, 0 nothing comes. One decimal. */
  score: number
  /** The score in words that do not flicker. */
  level: QualityLevel
  /** What costs most; `none` while nothing is worth a word. */
  reason: QualityReason
}

export type FreezeCause = "network" | "cpu" | "source" | "hidden"

/** Times at which a picture stood still: more than 200 ms, and more than three times its usual interval. Pauses by mute do not count. */
export interface FreezeStats {
  count: number
  totalMs: number
  /** How many of them for which reason; `hidden`: while nobody could see this page. */
  causes: Record<FreezeCause, number>
}

export interface LaneStats {
  id: number
  role: "control" | "audio" | "video"
  state: string
  /** `suspect` and `dead` lanes carry nothing new; `careful`: just back. Media lanes only. */
  use?: "ok" | "careful" | "suspect" | "dead"
  /** From creation to open. */
  openMs?: number
  /** `transferred`: the channel lives in the mesh worker; `forwarded`: the page passes buffers through; `page`: control. */
  path: "transferred" | "forwarded" | "page"
  sentMessages: number
  sentBytes: number
  receivedMessages: number
  receivedBytes: number
  /** Messages the peer's sequence numbers say were sent and never arrived. */
  lostMessages: number
  /** Share of our messages that the peer's reports miss, 0..1; absent before the first report. */
  reportedLoss?: number
  bufferedAmount: number
  /** Most that was buffered since the last call of `stats()`. */
  maxBufferedAmount?: number
  /** Delay over the shortest one of the last minute, as the peer saw it last; ms. */
  minDelayMs?: number
  /** Messages dropped because the lane was above its gate. */
  gateRefusals: number
}

/**
 * What a direct link sends and how well the path takes it (link-lanes 12). Figures of the sending direction, except `nackSent`
 * and `rtxUseful`.
 */
export interface LinkFlowStats {
  /** What the link may send over its video lanes, repair included; bit/s. */
  rate: number
  /** `compete`: another transfer keeps the path full, so the delay can not be kept low. */
  mode: "startup" | "steady" | "compete"
  /** Queueing delay on the path, ms. */
  queueMs: number
  /** How often the shortest delay of a lane changed. */
  baseChanges: number
  /** Share of messages lost, fading over 3 s; and the mean run of losses in the order of sending. */
  lossPct: number
  lossRun: number
  /** Bit/s that arrived at the peer. */
  delivered: number
  /** Messages sent on video lanes. */
  sent: number
  /** Share of messages given up because they would have come too late. */
  shedPct: number
  /** Numbers this page asked for again. */
  nackSent: number
  /** Messages sent again. */
  rtxSent: number
  /** Messages that came again before their frame was complete, as far as this page can tell. */
  rtxUseful: number
  /** Repair symbols in relation to other messages. */
  repairPct: number
  /** How long the lanes, and not the path, were the limit. */
  laneLimitedMs: number
  /** Video lanes. */
  lanesOpen: number
  lanesWanted: number
  laneDeaths: number
}

export interface LinkStats extends Partial<LinkFlowStats> {
  peer: string
  kind: "direct" | "routed"
  /** `direct` or through a TURN server; undefined while unknown. */
  path?: "host" | "srflx" | "prflx" | "relay"
  /** Round trip in ms: of the reports where media flows, else what ICE measured. */
  rttMs?: number
  lanes: LaneStats[]
  /** What was refused on this link, by error name. */
  drops: Record<string, number>
}

export interface SendStreamStats {
  publication: string
  streamId: string
  kind: TrackKind
  codec: string
  subscribers: string[]
  /** Number of the rung (D-37), 0 the smallest; and of the description, where there are several. Video only. */
  spatial?: number
  description?: number
  /** Whether it is encoded now: somebody wants it. */
  active: boolean
  frames: number
  keyframes: number
  encodedBytes: number
  chunks: number
  bitrate: number
  width?: number
  height?: number
  frameRate?: number
  encodeMs?: number
  /** What the links allow the encoder to make, bit/s; absent before the first video subscriber. */
  targetBitrate?: number
  /** Video only: what the encoder is configured with now. */
  settings?: { frameRate: number; bitrate: number; contentHint: string }
  droppedFrames: number
  /** Absent while nobody receives it, while it is muted, and in its first seconds. */
  quality?: Quality
}

export interface ReceiveStreamStats {
  subscription: string
  participant: string
  streamId: string
  kind: TrackKind
  codec: string
  from: string
  chunks: number
  duplicates: number
  frames: number
  /** Frames completed with the help of repair symbols. */
  repairedFrames: number
  /** Frames given up because too many symbols were missing. */
  lostFrames: number
  /** Frames complete so long after capture, relative to the fastest frame of the last minute; `frames` is the whole. */
  within100: number
  within150: number
  within250: number
  /**
   * Frames by the time from capture to completion here, in steps of 10 ms up to 500 and the rest. Includes the difference of the two
   * clocks: true for two pages on one machine.
   */
  transit: readonly number[]
  /** Frames received but not fed to the decoder because a reference was missing. */
  skippedFrames: number
  decodedFrames: number
  renderedFrames: number
  keyframeRequests: number
  decoderErrors: number
  bitrate: number
  /** Capture to arrival minus the fastest frame of the last minute, plus buffering; clocks are not compared. */
  jitterMs: number
  /** Who feeds the stream, see {@link ParentStats}. */
  parents: ParentStats[]
  /** Current target of the jitter buffer. */
  bufferMs: number
  /** Longest gap between two rendered frames (video) or concealed samples in ms (audio) since the start. */
  longestGapMs: number
  /** Absent while it is muted, and in its first seconds. */
  quality?: Quality
  /** Video only. */
  freezes?: FreezeStats
  /** Video only: time to decode one picture, the slow ones counting most; ms. */
  decodeMs?: number
  /** Audio only: milliseconds made up or silent where sound was due. */
  concealedMs?: number
  /** Audio only: lost packets whose sound came back from a copy in the next one. */
  recoveredFrames?: number
  /** Video only, with sound beside it: picture shown minus sound heard, ms of capture time. */
  avOffsetMs?: number
  /** Pictures shown a second. */
  frameRate?: number
  /** `spatial`: number of the rung, 0 the smallest. */
  layer?: { spatial: number; temporal: number }
  /** Video only: why this rung. */
  layerReason?: LayerReason
  /** Number of the description, where there are several. */
  description?: number
  width?: number
  height?: number
}

export interface RoomStats {
  at: number
  room: {
    name: string
    roomId: string
    epoch: bigint
    members: number
    code: string
    serverConnected: boolean
    committer: string
  }
  links: LinkStats[]
  send: SendStreamStats[]
  receive: ReceiveStreamStats[]
  /** Per stage: how many items were dropped there, by error name. */
  stages: Record<"control" | "room" | "group" | "seal" | "fountain" | "media", Record<string, number>>
  /** Who sends to whom, as far as this page knows. */
  edges: { from: string; to: string; stream: string }[]
  relay: RelayStats
  /** Announcements, calls and channels. */
  control: ControlStats
}

/** A member that a stream is taken from. */
export interface ParentStats {
  /** Key id. */
  peer: string
  /**
   * `primary` sends everything. `backup` sends sound whole and of pictures the base layer, so that they play on when the other goes.
   * `asked` has not answered yet; `going` is left as soon as another one delivers.
   */
  role: "primary" | "backup" | "asked" | "going"
  /** With `going`: what is held against it. */
  leaving?: "silent" | "leaving" | "ineligible" | "demoted" | "improved"
  /** What came from it in the last second, bit/s; 0 where the publisher alone is asked. */
  bitrate: number
  /** Of what every parent should have brought, the share that came from this one, 0..1; missing while there is too little to compare. */
  share?: number
  /** What it promised to carry for the whole room, bit/s; missing where it promised nothing. */
  claimedBitrate?: number
}

/** What happened to the parents of all streams that are taken now. */
export interface ParentCounts {
  /** Requests that went out. */
  asked: number
  refused: number
  timeouts: number
  /** Parents that fell silent or whose link broke, and were replaced. */
  healed: number
  /** Parents that were left for better ones. */
  switched: number
  /** Parents that were replaced because they delivered less than others. */
  demoted: number
  /** Times without any parent that was heard. */
  dry: number
}

/** A stream of somebody else that this page hands on. */
export interface RelayedStreamStats {
  streamId: string
  /** Id of the subscription where this page shows the stream as well. */
  subscription?: string
  /** Key ids of those it comes from. */
  from: string[]
  /** What comes in, bit/s. */
  bitrate: number
  chunks: number
  /** Chunks that another parent had brought. */
  duplicates: number
  /** Who gets it, what was handed to their links, and which layers they have room for. */
  children: { peer: string; chunks: number; bytes: number; fits: "all" | "base" | "less" }[]
}

export interface RelayStats {
  enabled: boolean
  /** Subscriptions granted, and what they are taken to need; bit/s. */
  subscribers: number
  admittedBitrate: number
  /** What all copies together may take, bit/s; missing without a limit. */
  uplinkLimit?: number
  /** What this page promises the room to carry, its own streams included, bit/s; 0 with handing on switched off. */
  promisedBitrate: number
  /** What happened to the parents of streams that this page takes. */
  parents: ParentCounts
  /** Requests refused, by the name of the limit. */
  refused: Record<string, number>
  streams: RelayedStreamStats[]
}

/** A live room. Made by `joinRoom`. */
export interface Room extends AsyncDisposable {
  readonly name: string
  readonly open: boolean
  /** Link to hand to somebody else, with the secret in its fragment. Changes when a member is removed: see the event `invitation`. */
  readonly invitation: string
  readonly state: RoomState
  readonly epoch: bigint
  /** Eight characters to compare aloud: equal codes mean the same group and nobody in between. */
  readonly code: string
  readonly local: Participant
  /** Everybody else, by id. */
  readonly participants: ReadonlyMap<string, Participant>
  readonly publications: readonly Publication[]
  /** Why defaults are smaller than usual now, see {@link JoinOptions.saving}. */
  readonly saving: SavingReason
  /** Whether this page may give orders: it founded the room, the invitation names it as root, or the root gave it the right. */
  readonly isHost: boolean
  /** Settings of the room, the door, silence, rights. */
  readonly host: RoomHost
  /** Files and folders of the members. */
  readonly files: RoomFiles
  /** Whether the others take what this page publishes; see `HostSettings.publish`. */
  readonly mayPublish: boolean
  on<K extends keyof RoomEvents>(event: K, handler: (value: RoomEvents[K]) => void): () => void
  publish(media: MediaStream | MediaStreamTrack, options?: PublishOptions): Promise<Publication[]>
  unpublish(publication: Publication): Promise<void>
  setName(name: string): Promise<void>
  /** Calls between members. */
  readonly rpc: RoomRpc
  /** What this page offers and whom it admits, and what the others said about that. */
  readonly capabilities: RoomCapabilities
  /** Signed rights on channels. */
  readonly tokens: RoomTokens
  /** Files and recordings that stay with the members, also when their publisher has left. */
  readonly memory: RoomMemory
  /**
   * Records what this page receives and publishes, as one file with everybody in it. The others are not told: an application that
   * records must tell them. @throws AvError `MediaUnsupported`
   */
  record(options?: RecordOptions): Promise<Recording>
  /** Messages for those who subscribe, under rules of their own; the same object each time. With options the rules are replaced. */
  channel(name: string, options?: ChannelOptions): RoomChannel
  /**
   * Changes {@link JoinOptions.uplinkBitrate} during the call: encoders and links go down to it within a second. Sound always goes
   * out. `undefined`: what the links carry.
   */
  setUplinkLimit(bitrate: number | undefined): Promise<void>
  sendMessage(text: string): Promise<ChatMessage>
  sendData(topic: string, bytes: Uint8Array): Promise<void>
  /** The same as `room.host.remove`: removes a participant. Rejects with `NotAllowed` for anybody but a host. */
  remove(participant: Participant | string): Promise<void>
  stats(): Promise<RoomStats>
  /**
   * Everything a bug report needs, as text to copy: figures, states and what happened lately. No names, no room name, no keys, no
   * content; ids are shortened.
   */
  diagnostics(): Promise<string>
  /** Call from a click after `audioBlocked`. */
  startAudio(): Promise<void>
  /**
   * Makes something fail, for tests: `kill-parent` ends a link without a word, `drop-rendezvous` cuts the server's socket,
   * `change-network` gives every link new addresses as after a move to another network, `lose-lane` closes a video lane, `sleep`
   * lets the page stand still for 5 s, `full-rejoin` forgets the group and joins again. Throws `UsageError` for anything else, and
   * when there is nothing that could fail.
   */
  simulate(kind: Simulation): void
  /** Idempotent; resolves when everything is closed. */
  leave(): Promise<void>
}

export interface Invitation {
  /** Room URL for {@link joinRoom}. */
  url: string
  /** The fragment alone, without `#`. */
  fragment: string
}

export type { AvError, ErrorCode, VideoCodecName }
