/** The face of the room machine: what goes in (events), what comes out (actions), and what an application gets to hear. */
import type { GroupView, PeerKeys } from "../group/types.ts"
import type { ControlMessage, KnownControlMessage } from "../wire/control-json.ts"
import type { AvError, ErrorCode } from "../wire/errors.ts"
import type { ParticipantState } from "../wire/participant-state.ts"
import type { RoomSettings } from "../wire/room-settings.ts"
import type { Bytes, Milliseconds, NodeId, PeerKeyId, RandomBytes, U64 } from "../wire/types.ts"
import type { RoomOp, RoomOpResult } from "./ops.ts"

/** Local id of a control session, unique in this page (`ControlSession.id`). */
export type SessionId = string

/** Who is at the other end of a session; every field was proven by HELLO_AUTH and `av.keys`. */
export interface RoomPeer {
  nodeId: NodeId
  keyId: PeerKeyId
  /** Ed25519, 32 bytes. */
  entityId: Bytes
  /** ML-DSA-65, 1952 bytes. */
  mlDsaPublicKey: Bytes
}

/** What a peer may do (RM-6, RM-26). */
export type PeerClass = "stranger" | "joiner" | "relay" | "member"

export interface RoomMachineOptions {
  /** Room name (RM-1), lower-cased already. */
  name: string
  /** This peer. */
  self: RoomPeer
  /** `invite_key` of RM-2, 32 bytes. */
  inviteKey: Bytes
  /** `relay_key` of RM-2, when known: lets relays in. */
  relayKey?: Bytes
  /** `h` of the invitation: the root entity. Without it, whoever founds is the root. */
  root?: Bytes
  /** Shown to others; at most 64 code points. */
  displayName?: string
  /** Whether this entity is known to hold a host's token now (RM-18); the root need not be asked about. Default: nobody does. */
  isHost?(entityId: Bytes): boolean
  /** What is added to our own clock in times that others read (D42), ms. */
  writeOffsetMs?(): Milliseconds
  /** At most so many places on the ring are taken (RM-20); for tests of large rooms with few pages. Default: as the rule says. */
  maxNeighbours?: number
  random: RandomBytes
}

/**
 * Everything the machine reacts to. Each is given with `now` (see {@link RoomMachineFace.handle}).
 * Nothing here is trusted beyond what the session layer has proven.
 */
export type RoomEvent =
  /** Once, first. The rendezvous client may still be connecting. */
  | { type: "start" }
  /** The server accepted REGISTER (`true`), or the socket was lost (`false`). */
  | { type: "serverState"; connected: boolean }
  /** ROSTER: who else is registered; comes again after each reconnect. `registered` counts all, `nodes` lists at most 256. */
  | { type: "roster"; nodes: NodeId[]; registered: number }
  | { type: "rosterDelta"; joined: NodeId[]; left: NodeId[] }
  /** A session is ready: HELLO_AUTH, `av.keys` and the first `av.kex` are done. `bind` is LINKBIND (RM-3), 32 bytes. */
  | { type: "sessionOpen"; session: SessionId; kind: "direct" | "routed"; peer: RoomPeer; bind: Bytes }
  | { type: "sessionClosed"; session: SessionId }
  /** Any authentic frame or media of the peer; a few times per second is enough. Only needed for neighbours going silent. */
  | { type: "heard"; session: SessionId }
  /** GOAWAY of the peer (control-plane 0.5 code), before `sessionClosed`. */
  | { type: "goaway"; session: SessionId; code: number }
  /** A `connect` came to nothing (refused, timed out, ICE failed). */
  | { type: "connectFailed"; node: NodeId }
  /** An `openRouted` came to nothing. */
  | { type: "routedFailed"; node: NodeId }
  /** A JSON message of the control channel. `av.subscribe` and its family come back as `deliver` when the peer may send them. */
  | { type: "message"; session: SessionId; message: ControlMessage }
  /** Answer to an `op` action. */
  | RoomOpResult
  /** Media or a control frame showed an epoch newer than ours (RM-17). */
  | { type: "epochSeen"; session: SessionId; epoch: U64 }
  /** `nextWake()` has come. Harmless when early or late. */
  | { type: "tick" }
  | RoomCommand

/** What the application asks for. */
export type RoomCommand =
  /** `id` is 16 bytes drawn by the caller, so that it can show its own message at once. */
  | { type: "chat"; id: Bytes; text: string }
  | { type: "data"; topic: string; bytes: Bytes }
  /** New contents of this member's state; the machine adds version and links, signs, spaces and sends it (RM-19). */
  | { type: "setState"; state: LocalState; urgent?: boolean }
  /** Round trips measured per peer, for `links` of the state (RM-19). */
  | { type: "linkRtt"; rttMs: ReadonlyMap<NodeId, Milliseconds> }
  /** Direct links that streams need (RM-20): `call` are made if they are missing, these and `keep` are not closed. Replaces the last. */
  | { type: "linkUse"; call: readonly PeerKeyId[]; keep: readonly PeerKeyId[] }
  /** Host only; answered by `notice` `NotAllowed` otherwise. */
  | { type: "remove"; keyId: PeerKeyId; keepInvitation?: boolean }
  /** Host only: asks the member to mute itself. */
  | { type: "mute"; keyId: PeerKeyId }
  /** The chain that makes this peer a host, checked by the caller; undefined: it is none any more. */
  | { type: "hostChain"; chain: Bytes | undefined }
  /** Host only: admission, size and bars (RM-18). `invite` replaces the member secret. */
  | { type: "settings"; settings: RoomSettings }
  /** The same for some of the settings; the others stay as they are, or as this peer set them last. */
  | { type: "changeSettings"; change: Partial<RoomSettings> }
  /** Host only: lets a waiting newcomer in, or not (RM-18). */
  | { type: "decide"; keyId: PeerKeyId; admit: boolean }
  /** Forgets the group and comes in again as after a removal by mistake; the members see a reload. For tests. */
  | { type: "rejoin" }
  /** Graceful leave (RM-15); ends with the action `finished`. */
  | { type: "leave" }
  /** The page is going away: only synchronous GOAWAYs come back. */
  | { type: "pageHide" }

/** The part of a participant state that the application sets (RM-19); the machine adds version and links. */
export type LocalState = Omit<ParticipantState, "version" | "links">

/** Where an introduction or a routed frame goes through: the rendezvous server, or a peer that has sessions with both ends. */
export type Via = "server" | SessionId

export type RoomAction =
  /** Make a direct link. Ignore it when one is open or being made to that node. Answer: `sessionOpen` or `connectFailed`. */
  | { type: "connect"; node: NodeId; via: Via }
  /** Open a routed session (control-plane 1.6). Ignore it when one is open or being made. */
  | { type: "openRouted"; node: NodeId; via: Via }
  | { type: "send"; session: SessionId; message: KnownControlMessage }
  /** GOAWAY with this code, then close. */
  | { type: "goaway"; session: SessionId; code: number }
  /** Run it with `runRoomOp` and bring the result back as an event. Ops may be started at once; their order is kept by RoomGroup. */
  | { type: "op"; id: number; op: RoomOp }
  /** A message of the subscription family (or `av.capacity`) that this peer may send: for the media side. */
  | { type: "deliver"; session: SessionId; keyId: PeerKeyId; message: KnownControlMessage }
  /** The class of a session changed: media and `link.lane` may flow from `joiner`/`relay`/`member` on as RM-26 says. */
  | { type: "peerClass"; session: SessionId; keyId: PeerKeyId; peerClass: PeerClass }
  /** The group is in a new epoch: its content key opens chunks from now on. */
  | { type: "epoch"; epoch: U64; view: GroupView }
  /** Seal with the key of this epoch from now on (D-38, D-43 d). */
  | { type: "seal"; epoch: U64 }
  /** UNREGISTER at the server and close the socket. */
  | { type: "unregister" }
  /** GOAWAY `leaving` on the rendezvous socket. */
  | { type: "serverGoaway" }
  /** Register again or reconnect now; the driver keeps its own back-off (RM-21). */
  | { type: "retryServer" }
  | { type: "emit"; event: RoomNotice }
  /** Everything was said; close what is left. The machine does nothing any more. */
  | { type: "finished" }

/** What the application hears. */
export type RoomNotice =
  | { type: "phase"; phase: RoomPhase; detail: string }
  /** A leaf appeared; `verified` follows at the latest before anything of that member is used. */
  | { type: "memberJoined"; keyId: PeerKeyId; nodeId: NodeId | undefined }
  | { type: "memberLeft"; keyId: PeerKeyId; reason: "left" | "gone" | "removed" }
  /** `lost`: silent neighbour or reported (RM-15); `connecting`: no session with it yet. */
  | { type: "connection"; keyId: PeerKeyId; connection: "connecting" | "connected" | "lost" }
  /** The member's leaf was replaced: its old state and streams are void until the next `state`. */
  | { type: "stateGone"; keyId: PeerKeyId }
  /** A newer state of a member, this peer's own included.  */
  | { type: "state"; keyId: PeerKeyId; state: ParticipantState }
  | { type: "chat"; keyId: PeerKeyId; id: Bytes; text: string }
  | { type: "data"; keyId: PeerKeyId; topic: string; bytes: Bytes }
  | { type: "settings"; settings: RoomSettings; version: U64 }
  /** Somebody waits for admission (RM-18). */
  | { type: "asking"; keyId: PeerKeyId; name: string }
  /** A host let a waiting newcomer in, or not. */
  | { type: "decided"; keyId: PeerKeyId; admit: boolean }
  /** The host asks this member to mute itself. */
  | { type: "muteAsked"; by: Bytes }
  | { type: "forkResolved"; epoch: U64 }
  | { type: "server"; connected: boolean }
  /** Something that does not end the call. */
  | { type: "warning"; error: AvError }
  /** The room is over for this peer: {@link RoomErrorCode}. `finished` follows. */
  | { type: "failed"; error: AvError }

export type RoomPhase = "joining" | "waiting" | "connected" | "reconnecting" | "leaving" | "left"

/** Codes that `failed` can carry (room.md 9). */
export type RoomErrorCode = Extract<
  ErrorCode,
  | "InvitationRefused"
  | "RoomFull"
  | "RoomLocked"
  | "AdmissionDeclined"
  | "Barred"
  | "JoinTimeout"
  | "ProtocolVersion"
  | "Removed"
  | "SettingsInvalid"
>

/** The machine as the driver sees it. */
export interface RoomMachineFace {
  /**
   * Feeds one event. `now` is Unix milliseconds of a clock that never runs backwards
   * (`performance.timeOrigin + performance.now()`). Never throws because of what a peer sent.
   */
  handle(event: RoomEvent, now: Milliseconds): RoomAction[]
  /** When `tick` is wanted next, in the clock of `now`; undefined: not before another event. */
  nextWake(): Milliseconds | undefined
  /** Whether this peer may send a frame of that kind now: for ROUTED, RENDEZVOUS, BINARY and media, which do not pass through here. */
  accepts(session: SessionId, frame: string): boolean
  readonly phase: RoomPhase
  /** Undefined until founded or welcomed. */
  readonly roomId: Bytes | undefined
  /** Entity that is host by itself (RM-4). */
  readonly root: Bytes | undefined
  readonly view: GroupView | undefined
  /** Key id of the acting committer, as far as this peer knows. */
  readonly committer: PeerKeyId | undefined
  /** Whether this peer may give orders: it is the root, or was given a host's token (RM-18). */
  readonly isHost: boolean
  /** What was dropped or refused, by name. */
  readonly counters: Readonly<Record<string, number>>
  /** The best open session with a member: direct before routed. */
  sessionOf(keyId: PeerKeyId): SessionId | undefined
  /** Node id of a member, once its keys are known. */
  nodeOf(keyId: PeerKeyId): NodeId | undefined
  /** Whether this peer tries to have a link of its own to that member; everybody else is reached through others. */
  wantsLink(keyId: PeerKeyId): boolean
  /** The session over which a routed frame for `node` goes on (control-plane 1.6); never back to where it came from. */
  routeTo(node: NodeId, from: NodeId): SessionId | undefined
  /** Long-term keys of another member, once they are known. */
  keysOf(keyId: PeerKeyId): PeerKeys | undefined
}
