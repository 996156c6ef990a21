/** What a member tells a newcomer about its group, also sent when the group moves (room 2, RM-11). */
import { bytesField, intField, keyIdField, listOf, nodeIdField, u64Field } from "./json-field.ts"
import { type Decoded, required } from "./json-shape.ts"
import { admissionField } from "./room-settings.ts"

/** Largest room, members. */
export const MAX_ROOM_SIZE = 10_000

/** Members of `room.move`, and of `room.head` without its proof. */
export const headShape = {
  instance: required("instance", bytesField(16)),
  root: required("root", bytesField(32)),
  epoch: required("epoch", u64Field),
  size: required("size", intField(1, MAX_ROOM_SIZE)),
  committer: required("committer", keyIdField),
  committerNode: required("committer_node", nodeIdField),
  admission: required("admission", admissionField),
  /** Nodes worth a link. */
  peers: required("peers", listOf(nodeIdField, 8)),
}
export type RoomHead = Decoded<typeof headShape>
