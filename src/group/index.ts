/** Group keys: one MLS group per room (av-mesh 6) behind plain values. Rooms use {@link RoomGroup}; the engine stays inside. */

export { MlsEngine } from "./engine.ts"
export type { ShelvedPackage } from "./package-shelf.ts"
export { verifyKeyPackageRecord, verifyLeafBinding } from "./records.ts"
export { MlsRoomGroup } from "./room-group.ts"
export * from "./types.ts"
