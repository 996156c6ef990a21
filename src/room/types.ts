/** The public shapes of the SDK: the room itself, and by subject everything that belongs to it. */
import type { RoomFiles } from "./files/types.ts"
import type { RoomHost } from "./host/types.ts"
import type { RoomMemory } from "./memory/types.ts"
import type { DirectStats } from "./nat/direct-attempts.ts"
import type { NatStats } from "./nat/types.ts"
import type { Recording, RecordOptions } from "./record/types.ts"
import type { ChannelOptions, RoomCapabilities, RoomChannel, RoomRpc, RoomTokens } from "./rpc/types.ts"
import type { Simulation } from "./simulate.ts"
import type { ChatMessage, RoomEvents, RoomState } from "./types/events.ts"
import type { Participant, Publication } from "./types/media.ts"
import type { PublishOptions, SavingReason } from "./types/options.ts"
import type { RoomStats } from "./types/stats.ts"

export type { VideoCodecName } from "../media/video-codecs.ts"
export type { AvError, ErrorCode } from "../wire/errors.ts"
export type { ReconnectBudget } from "./link-care.ts"
export type * from "./types/events.ts"
export type * from "./types/media.ts"
export type * from "./types/options.ts"
export type * from "./types/stats.ts"
export type { DirectStats, NatStats, Simulation }

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
  /** Why defaults are smaller than usual now, see `JoinOptions.saving`. */
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
   * Changes `JoinOptions.uplinkBitrate` during the call: encoders and links go down to it within a second. Sound always goes
   * out. `undefined`: what the links carry.
   */
  setUplinkLimit(bitrate: number | undefined): Promise<void>
  sendMessage(text: string): Promise<ChatMessage>
  sendData(topic: string, bytes: Uint8Array): Promise<void>
  /** The same as `room.host.remove`: removes a participant. Rejects with `NotAllowed` for anybody but a host. */
  remove(participant: Participant | string): Promise<void>
  stats(): Promise<RoomStats>
  /**
   * Looks now at what NAT this page is behind; otherwise it is looked at when the room is entered, after every change of network, and
   * every five minutes (in Node every minute). Looks are at least ten seconds apart, and one that sees too little changes nothing.
   * Needs two STUN servers on different hosts, from the rendezvous server or `JoinOptions.iceServers`; else resolves at once.
   */
  reclassifyNat(): Promise<NatStats>
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
