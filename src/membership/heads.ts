/** Asking a member about its group, and checking the answer (RM-3, RM-7 steps 4 and 5). */
import { checkInvitationProof, invitationProof, roomId as roomIdOf } from "../crypto/room-keys.ts"
import type { ControlMessageOf } from "../wire/control-json.ts"
import type { RoomHead } from "../wire/room-head.ts"
import type { NodeId, PeerKeyId, U64 } from "../wire/types.ts"
import { ROOM_VERSION } from "./admission.ts"
import type { RoomCore, RoomIdentity } from "./core.ts"
import type { RoomSession } from "./sessions.ts"
import type { SessionId } from "./types.ts"

/** A head whose proof was right. */
export interface ProvenHead {
  room: RoomIdentity
  epoch: U64
  size: number
  committer: PeerKeyId
  committerNode: NodeId
  admission: RoomHead["admission"]
  peers: readonly NodeId[]
  from: SessionId
}

/** Proves the invitation to the peer of a session and asks for its head. */
export function knock(core: RoomCore, session: RoomSession): void {
  session.knockedAt = core.now
  const proof = invitationProof(core.inviteKey, 1, session.bind, core.me, session.peer.keyId)
  core.act({ type: "send", session: session.id, message: { t: "room.knock", role: 1, proof, version: ROOM_VERSION } })
}

/** Checks a head's proof; a wrong one is `PeerNotInvited`: that peer is not asked again. */
export function proveHead(core: RoomCore, session: RoomSession, message: ControlMessageOf<"room.head">): ProvenHead | undefined {
  const { name } = core.options
  const right =
    session.knockedAt !== undefined &&
    checkInvitationProof(message.proof, core.inviteKey, 2, session.bind, session.peer.keyId, core.me)
  if (!right) {
    core.count("PeerNotInvited")
    return undefined
  }
  session.isHolder = true
  return {
    room: { roomId: roomIdOf(name, message.instance, message.root), instance: message.instance, root: message.root },
    epoch: message.epoch,
    size: message.size,
    committer: message.committer,
    admission: message.admission,
    committerNode: message.committerNode,
    peers: message.peers,
    from: session.id,
  }
}
