/** The room protocol machine (room.md) and the pure rules it is made of. */
export { RoomMachine } from "./machine.ts"
export { mergePolicies } from "./policy-merge.ts"
export { type ProvenRight, RoomRights, rightChannel } from "./rights.ts"
export { type RoomOpContext, runRoomOp } from "./run-op.ts"
export type * from "./types.ts"
