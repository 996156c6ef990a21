/** What a room may know of its group: members, epoch, tip and the code to compare. */
import { epochTip, formatRoomCode, ROOM_CODE_BYTES, ROOM_CODE_LABEL } from "../crypto/room-keys.ts"
import type { Bytes, PeerKeyId } from "../wire/types.ts"
import { type MlsEngine, membersOf } from "./engine.ts"
import type { LeafDirectory } from "./leaf-directory.ts"
import type { GroupState } from "./state.ts"
import type { GroupView } from "./types.ts"

export async function viewOf(
  state: GroupState,
  roomId: Bytes,
  ownKeyId: PeerKeyId,
  directory: LeafDirectory,
  engine: MlsEngine,
): Promise<GroupView> {
  return {
    roomId: roomId.slice(),
    epoch: state.context.epoch,
    ownKeyId,
    ownLeaf: state.privatePath.leafIndex,
    members: membersOf(state).map((member) => ({ ...member, verified: directory.isVerified(member.keyId, member.leafKey) })),
    tip: epochTip(state.keySchedule.epochAuthenticator),
    roomCode: formatRoomCode(await engine.exporter(state, ROOM_CODE_LABEL, roomId, ROOM_CODE_BYTES)),
  }
}
