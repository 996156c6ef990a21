/** What a room tells an application. */
import type { AvError } from "../../wire/errors.ts"
import type { FileOffer } from "../files/types.ts"
import type { HostSettings, OwnRights, WaitingPerson } from "../host/types.ts"
import type { ConnectionState, LayerInfo, Participant, Publication, Quality, Subscription } from "./media.ts"

/** `reconnecting`: nobody can be reached at the moment, and it is being tried. `offline`: this machine says it has no network. */
export type RoomState = "joining" | "connected" | "reconnecting" | "offline" | "left"

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
