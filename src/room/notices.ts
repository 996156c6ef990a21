/** What the room machine tells the application: people come and go, they write, the room changes its phase. */
import type { RoomNotice } from "../membership/index.ts"
import type { AvError } from "../wire/errors.ts"
import { toHex } from "../wire/index.ts"
import type { PeerKeyId } from "../wire/types.ts"
import type { Connections } from "./connections.ts"
import type { Emitter } from "./emitter.ts"
import type { FileSharing } from "./files/room-files.ts"
import type { HostTools } from "./host/host-tools.ts"
import type { MediaPlane } from "./media-plane.ts"
import type { ParentDirector } from "./parents/director.ts"
import type { RoomParticipant } from "./participant.ts"
import type { People } from "./people.ts"
import type { RoomEvents } from "./types.ts"

/** The parts of a room that notices reach. */
export interface NoticeHost {
  people: People
  media: MediaPlane
  connections: Connections
  parents: Pick<ParentDirector, "state" | "forget">
  events: Emitter<RoomEvents>
  hostTools: Pick<HostTools, "state" | "forget" | "asking" | "notWaiting" | "settingsChanged" | "muteAsked">
  files: Pick<FileSharing, "takeData">
  phase(phase: string, detail: string): void
  warn(error: AvError): void
  /** The room is over for this page; the end follows. */
  failed(error: AvError): void
}

/** Passes one notice on. */
export function takeNotice(notice: RoomNotice, host: NoticeHost): void {
  switch (notice.type) {
    case "phase":
      host.phase(notice.phase, notice.detail)
      return
    case "memberJoined":
      host.people.joined(notice.keyId)
      host.hostTools.notWaiting(notice.keyId)
      return
    case "memberLeft":
      host.hostTools.forget(notice.keyId)
      host.media.forget(notice.keyId)
      host.people.left(notice.keyId, notice.reason)
      host.connections.forget(notice.keyId)
      host.parents.forget(notice.keyId)
      return
    case "connection":
      host.connections.member(notice.keyId, notice.connection)
      return
    case "stateGone":
      host.hostTools.forget(notice.keyId)
      host.media.forget(notice.keyId)
      return
    case "state":
      host.parents.state(notice.keyId, notice.state.links)
      host.people.update(notice.keyId, (participant) => {
        participant.name = notice.state.name
        host.hostTools.state(notice.keyId, notice.state)
      })
      return
    case "chat":
      said(host, notice.keyId, (from) =>
        host.events.emit("message", { id: toHex(notice.id), from, text: notice.text, at: Date.now() }),
      )
      return
    case "data":
      if (host.files.takeData(notice.keyId, notice.topic, notice.bytes)) return
      said(host, notice.keyId, (from) => host.events.emit("data", { from, topic: notice.topic, bytes: notice.bytes }))
      return
    case "settings":
      host.hostTools.settingsChanged(notice.settings)
      return
    case "asking":
      host.hostTools.asking(notice.keyId, notice.name)
      return
    case "decided":
      host.hostTools.notWaiting(notice.keyId)
      return
    case "muteAsked":
      host.hostTools.muteAsked(notice.by)
      return
    case "warning":
      host.warn(notice.error)
      return
    case "failed":
      host.failed(notice.error)
      return
    default:
      return
  }
}

/** Words of somebody who is not shown are not passed on. */
function said(host: NoticeHost, keyId: PeerKeyId, tell: (from: RoomParticipant) => void): void {
  const from = host.people.remote.get(keyId)
  if (from !== undefined) tell(from)
}
