/** What the hub of a room's links is given, and what it tells. */
import type { PinTable } from "../identity/index.ts"
import type { IdentitySigner } from "../identity/signer.ts"
import type { CloseReason, ControlSession, LaneSink, PeerLink, WebRtc } from "../link/index.ts"
import type { AddressEvidence, RendezvousClient } from "../rendezvous/index.ts"
import type { AvError } from "../wire/errors.ts"
import type { ControlMessage } from "../wire/index.ts"
import type { Bytes, NodeId } from "../wire/types.ts"
import type { DirectAttempts } from "./nat/direct-attempts.ts"
import type { Signal } from "./signalling.ts"
import type { AcceptPeer } from "./types/options.ts"

/** What the hub tells the room. */
interface PeerHubEvents {
  sessionOpen(session: ControlSession): void
  /** `reason`: why; a session of a link that was ended hears of it a moment before. */
  sessionClosed(session: ControlSession, reason: CloseReason): void
  /** A direct link's key: at once with its session, and again when it was renewed. */
  linkKey(link: PeerLink, session: ControlSession, sessionKey: Bytes): void
  linkClosed(link: PeerLink, reason: CloseReason): void
  /** ICE of the link's control connection is in another state. */
  linkIce(link: PeerLink, state: RTCPeerConnectionState): void
  /** The link runs over another path now. */
  pathChanged(link: PeerLink): void
  message(session: ControlSession, message: ControlMessage): void
  /** A frame that is neither a message nor on its way to somebody else. */
  frame(session: ControlSession, type: number, payload: Bytes): void
  /** A named BINARY frame that belongs to no lane. */
  binary?(session: ControlSession, name: string, bytes: Bytes): void
  heard(session: ControlSession): void
  goaway(session: ControlSession, code: number): void
  connectFailed(node: NodeId): void
  routedFailed(node: NodeId): void
  dropped(error: AvError): void
}

export interface PeerHubOptions {
  signer: IdentitySigner
  pins: PinTable
  laneSink: LaneSink
  rendezvous: RendezvousClient
  /** What speaks for the addresses that others name. */
  evidence: Pick<AddressEvidence, "gateFor" | "ownGate" | "vouches" | "onRefused">
  /** Calls of peers whose address nobody trusted has seen are refused instead of answered passively. Default false. */
  requireAttestation?: boolean
  /** The application's word on a caller that proved its identity (control-plane 6.6). Default: everybody is answered. */
  acceptPeer?: AcceptPeer
  videoLanes: number
  forwardMedia: boolean
  /** Default: the browser's. */
  webrtc?: WebRtc
  iceServers(): RTCIceServer[]
  /** Counts attempts, and says which are not worth making. Default: all are. */
  attempts?: Pick<DirectAttempts, "isWorthIt" | "answered" | "succeeded" | "closed">
  /** Unix milliseconds as the others count them: descriptions are compared with their clocks. */
  wallClock(): number
  /** Whether a peer may send a frame of that kind now (room.md RM-6). */
  accepts(session: string, frame: "ROUTED" | "RENDEZVOUS"): boolean
  /** Whether a member of the room is behind a session. */
  isMember(session: string): boolean
  /** Over which session a routed frame for `node` goes on that came from the neighbour `from`; undefined: no way is known. */
  routeTo(node: NodeId, from: NodeId): string | undefined
  events: PeerHubEvents
}

/** What the hub around them does for links. */
export interface LinkHost {
  /** The ways to a node that are open now, best first; not those over its own link. */
  ways(node: NodeId): Signal[]
  directSession(node: NodeId): ControlSession | undefined
  /** Who stands behind a way. */
  introducerOf(signal: Signal): "server" | NodeId
  /** The session of a link that is ready. */
  adopt(session: ControlSession): void
}
