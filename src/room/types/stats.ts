/** What `room.stats()` counts: links, lanes, streams, and what is handed on. */
import type { ParentCounts } from "../../alm/index.ts"
import type { DirectStats } from "../nat/direct-attempts.ts"
import type { NatStats } from "../nat/types.ts"
import type { ControlStats } from "../rpc/types.ts"
import type { LayerReason, Quality, TrackKind } from "./media.ts"

export type { ParentCounts }
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
  /** What NAT this page is behind, as far as STUN servers can tell. */
  nat: NatStats
  direct: DirectStats
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
