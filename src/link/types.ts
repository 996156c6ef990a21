/** The public shapes of a link: control sessions, direct links, where media lanes go, and what ends them. */
import type { PinTable } from "../identity/pins.ts"
import type { IdentitySigner } from "../identity/signer.ts"
import type { CandidateEntry } from "../wire/address.ts"
import type { ControlMessage, KnownControlMessage } from "../wire/control-json.ts"
import type { AvError } from "../wire/errors.ts"
import type { Bytes, NodeId, PeerKeyId, RandomBytes } from "../wire/types.ts"
import type { LanePath, LaneSource, LaneState, MediaLaneRole } from "./lane-port.ts"
import type { WebRtc } from "./webrtc.ts"

type LaneRole = "control" | MediaLaneRole

/** Who is at the other end, after HELLO_AUTH and `av.keys`. Every field was proven, none is only claimed. */
export interface AuthenticatedPeer {
  nodeId: NodeId
  entityId: Bytes
  pqHash: Bytes
  keyId: PeerKeyId
  mlDsaPublicKey: Bytes
  /** Peer's wall clock minus ours when HELLO came, in ms. For gauges, never for decisions. */
  clockSkewMs: number
}

/** Why a session or link ended. `goaway` carries the peer's code in {@link ClosedInfo.code}. */
export type CloseReason =
  | "local"
  | "goaway"
  | "handshake-failed"
  | "handshake-timeout"
  | "connect-timeout"
  /** Nothing came any more, and restarts did not help. */
  | "silence"
  | "ice-failed"
  | "channel-closed"
  | "protocol"
  | "overflow"

export interface ClosedInfo {
  reason: CloseReason
  /** GOAWAY code (control-plane 0.5), when the peer sent one or we did. */
  code?: number
  text?: string
  error?: AvError
}

export type SessionEvents = {
  /** A JSON message of another part; `av.keys` and `av.kex` are consumed by the session itself. */
  message: ControlMessage
  /** A BINARY frame other than `link.lane`. */
  binary: { name: string; bytes: Bytes }
  /** A frame of any other known type: ROUTED, ROUTED_HELLO, RENDEZVOUS, ANNOUNCE, RPC … with its payload. */
  frame: { type: number; payload: Bytes }
  /** Something authentic came from the peer; at most every 250 ms. */
  heard: Record<string, never>
  /** A message that broke its rules was dropped. */
  dropped: { error: AvError }
  /** A channel has room again; see {@link ControlSession.buffered}. */
  drained: Record<string, never>
  /** GOAWAY of the peer, just before `closed`. */
  goaway: { code: number; text: string }
  closed: ClosedInfo
}

/** Subscribes; the returned function unsubscribes. */
export type Listen<Events> = <K extends keyof Events>(event: K, listener: (value: Events[K]) => void) => () => void

/** An authenticated control conversation with one peer: frames of control-plane 0.5 in both directions. */
export interface ControlSession {
  /** Local id, unique in this page. Of a direct session: the id of its link. */
  readonly id: string
  readonly kind: "direct" | "routed"
  readonly peer: AuthenticatedPeer
  /** LINKBIND of the session's first `av.kex` (room.md RM-3). */
  readonly bind: Bytes
  readonly closed: boolean
  /**
   * Queues a message. Throws `SessionClosed` after the end and `LimitExceeded` when more than 8 MiB wait (the session is
   * then closed as well: a peer that does not read is gone).
   */
  send(message: KnownControlMessage): void
  /** Round trip of the last PING in ms; undefined before the first. */
  readonly rttMs: number | undefined
  /** Bytes that wait on the channel which frames of this type take; `Infinity` while it is not open. */
  buffered(type: number): number
  /**
   * Queues a frame of any type; fragmented where it is longer than one frame. Frames with the same `order` arrive as they were
   * sent, also when a long one is followed by a short one. Throws as {@link ControlSession.send}.
   */
  sendFrame(type: number, payload: Bytes, order?: bigint): void
  sendBinary(name: string, bytes: Bytes): void
  /** GOAWAY with this code (control-plane 0.5), then the end. Idempotent. */
  close(code?: number, text?: string): void
  readonly on: Listen<SessionEvents>
}

/** A description as it travels through the rendezvous: MSD1 bytes, and key 8 (lane blocks ‖ signature) beside it. */
export interface LinkDescription {
  description: Bytes
  key8?: Bytes
  /** Of one that arrived: the attestation of its sender's addresses that came beside it (control-plane 6.4). */
  attestation?: Bytes
  /** Of one that arrived: a member of the room introduced the two, not the server. */
  byMember?: boolean
}

/** Judges the addresses that a peer names, over one exchange of descriptions and all that follows it (control-plane 6.5). */
export interface CandidateGate {
  /** The candidates in their places; `undefined` stands for those that no packet may be sent to. */
  admit(candidates: readonly CandidateEntry[]): readonly (CandidateEntry | undefined)[]
}

/** What a link asks before it uses an address that somebody else named. */
export interface AddressJudge {
  /** Asked only once the description of `subject` has proven to be its own. A gate that lets nothing through makes this end passive. */
  gateFor(word: { subject: Bytes; attestation?: Bytes; byMember?: boolean }): Promise<CandidateGate>
  /** For our own candidates, before they are signed. */
  ownGate(): CandidateGate
}

export type LinkEvents = {
  /** Handshake and first `av.kex` are done. Media may flow as soon as lanes open. */
  ready: { session: ControlSession; sessionKey: Bytes }
  /** The hourly renewal made a new link session key. New subscriptions use it; the old key is erased by its holder. */
  sessionKey: { sessionKey: Bytes }
  /** A lane opened or went away (the media counters of a lane live in the mesh worker). */
  lane: { laneId: number; role: LaneRole; state: LaneState }
  /** A video lane changed its candidate pair: what was learned about the path is void. Comes once per lane. */
  path: Record<string, never>
  /** Only with `trickle`: send this to the peer as CANDIDATES. */
  candidates: LinkDescription
  /** ICE of the control connection changed: `disconnected` and `failed` are reasons to look, not the end. */
  ice: { state: RTCPeerConnectionState }
  /** The end; everything is released. Fires once, also when the link never became ready. */
  closed: ClosedInfo
}

/** Where new media lanes go; the mesh worker's mailbox. */
export interface LaneSink {
  /**
   * A lane was made. It belongs to link `link` (the local id: the peer is not proven yet, so ignore what comes in until
   * the link is `ready`). MUST post `source` before it returns, see `LaneSource`. A throw makes the link fall back to
   * forwarding for this lane.
   */
  add(lane: { link: string; laneId: number; role: MediaLaneRole; source: LaneSource }): void
  /** The lane is gone for good; its id is never used again on this link. */
  remove(lane: { link: string; laneId: number }): void
}

export interface PeerLinkOptions {
  /** Local id of this link; unique in the page. */
  id: string
  signer: IdentitySigner
  /** Whom we want (offerer) or who was introduced to us (answerer). */
  peerNode: NodeId
  /** Random for an offer; the answerer takes it from the offer. */
  attemptId?: bigint
  laneSink: LaneSink
  addresses: AddressJudge
  iceServers?: RTCIceServer[]
  /** What makes the connections. Default: the browser. */
  webrtc?: WebRtc
  /** Video lanes opened from the start, 1..8 (other values are brought into that range). Default 2. */
  videoLanes?: number
  /** `true`: never transfer channels to the worker. */
  forwardMedia?: boolean
  /** How long to gather candidates before the description goes out, in ms. Default 300. */
  gatherMs?: number
  /** Send what was found later as further descriptions (`candidates` event). Default true. */
  trickle?: boolean
  /** Time for ICE, DTLS and both handshakes together, in ms. Default 20 000. */
  connectTimeoutMs?: number
  /** An answer for which no address of the caller may be used ends after this time when nobody has called, in ms. Default 10 000. */
  passiveMs?: number
  /** Pins on first use (control-plane 1.7): a peer whose entity contradicts an earlier one is refused with `EntityRebind`. */
  pins?: PinTable
  /** Source of random bytes. Default `crypto.getRandomValues`. */
  random?: RandomBytes
  /** Unix time in ms. Default `Date.now`. */
  wallClock?(): number
  signal?: AbortSignal
}

export interface LaneInfo {
  laneId: number
  role: LaneRole
  state: LaneState
  path: LanePath | "page"
  /** From creation to open, in ms; undefined while it is not open. */
  openMs?: number
}

/** What the page knows about a link's transport; the counters per lane come from the mesh worker. */
export interface LinkTransportStats {
  path?: "host" | "srflx" | "prflx" | "relay"
  rttMs?: number
  lanes: LaneInfo[]
  /** Refusals by error name. */
  drops: Record<string, number>
}

/** One direct link: several peer connections under one proof. */
export interface PeerLink {
  readonly id: string
  readonly role: "offerer" | "answerer"
  readonly peerNode: NodeId
  /** Of the newest exchange of descriptions: the first one, or an ICE restart. */
  readonly attemptId: bigint
  /** Set with `ready`. */
  readonly session: ControlSession | undefined
  /** The peer's DTLS certificate as its description named it; it never changes (LL-16). */
  readonly remoteFingerprint: Bytes | undefined
  /**
   * Whoever offered, first or anew: the answer to that offer. Rejects with `DescriptionInvalid` and leaves the attempt
   * pending.
   */
  acceptAnswer(answer: LinkDescription): Promise<void>
  /** Asks the peer for a sign of life; it shows as `heard` of the session. */
  check(): void
  /** Offers new addresses and credentials for every lane of a ready link; keys, channels and session stay (LL-16). */
  restart(): Promise<LinkDescription>
  /**
   * Answers the peer's restart; one of our own that is not answered yet is withdrawn. Rejects with `DescriptionInvalid`, and with
   * `LaneFingerprint` when it comes from another certificate.
   */
  answerRestart(offer: LinkDescription): Promise<LinkDescription>
  /** While the path is in doubt (`true`) no lane is given up because its connection says so. */
  hold(held: boolean): void
  /** For tests of what follows: closes a video lane without telling the peer. False when there is none. */
  loseLane(): boolean
  /** A later description with only new candidates (TRICKLE). */
  addCandidates(more: LinkDescription): Promise<void>
  /** Opens one more video lane (the lower key id offers; on the other side this does nothing). */
  addVideoLane(): void
  /**
   * Lets `link.lane` frames of this peer in and begins to open lanes that are missing. Call it once the peer is a joiner,
   * relay or member (room.md RM-26); frames that came before wait. The lanes of the description are not concerned.
   */
  allowLaneControl(): void
  /** Closes a media lane on both ends; one video lane less is wanted from then on. */
  closeLane(laneId: number): void
  /** Closes a lane that carries nothing any more, and opens another (the lower key id offers). */
  replaceLane(laneId: number): void
  stats(): Promise<LinkTransportStats>
  /** GOAWAY, then release of everything. Idempotent. */
  close(code?: number, text?: string): void
  /** The end without a word: the path is dead, or a test wants it so. Idempotent. */
  abandon(reason: CloseReason): void
  readonly on: Listen<LinkEvents>
}

/** Starts a link: gathers candidates and signs the offer. Rejects with `Aborted` or `LinkFailed`; nothing is left open then. */
export type OfferLink = (options: PeerLinkOptions) => Promise<{ link: PeerLink; offer: LinkDescription }>

/**
 * Answers an offer (INTRODUCE). Rejects with `DescriptionInvalid` when the offer does not parse or verify, is stale, is
 * not for us or not from `options.peerNode`.
 */
export type AnswerLink = (
  options: PeerLinkOptions,
  offer: LinkDescription,
) => Promise<{ link: PeerLink; answer: LinkDescription }>

/** Sends one ROUTED or ROUTED_HELLO payload towards the peer: through the server's socket or a peer's session. */
export type RoutedCarrier = (type: number, payload: Bytes) => void

export type RoutedHubEvents = {
  /** A routed session is ready: proof, `av.keys` and `av.kex` are done. Both for sessions we opened and for others'. */
  session: { session: ControlSession }
  /** A session did not become ready. */
  failed: { peerNode: NodeId; error: AvError }
  /** A routed frame was refused. */
  dropped: { error: AvError }
}

export interface RoutedHubOptions {
  signer: IdentitySigner
  /** Application policy for sessions that others open. Default: everybody. */
  acceptPeer?(nodeId: NodeId): boolean
  pins?: PinTable
  random?: RandomBytes
  wallClock?(): number
}

/** All routed sessions of this page (control-plane 1.6): at most 64, one per peer node. */
export interface RoutedHub {
  /** Opens a session; an open or pending one with that node is kept. The result comes as `session` or `failed`. */
  open(peerNode: NodeId, carrier: RoutedCarrier): void
  /** A ROUTED or ROUTED_HELLO payload addressed to us, and the way back to where it came from. */
  receive(type: number, payload: Bytes, carrier: RoutedCarrier): void
  close(): void
  readonly on: Listen<RoutedHubEvents>
}
