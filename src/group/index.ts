/** Group keys: one MLS group per room (av-mesh 6) behind plain values. Rooms use {@link RoomGroup}; the engine stays inside. */

export { AvSession, type AvSessionOptions, type EpochRekeyArtifacts, type RosterDelta } from "./av-session.ts"
export { MlsEngine, membersOf, type OpenedContent, ROOT_SECRET_LABEL } from "./engine.ts"
export { EpochDek } from "./epoch-dek.ts"
export type { OwnKeyPackage } from "./key-package.ts"
export { type KexPubkeys, type Member, memberOf } from "./member.ts"
export { readMessageHead } from "./message-head.ts"
export { MlsSession, type MlsSessionOptions, type RosterOp, type StagedBatch } from "./mls-session.ts"
export { type BoundLeaf, keyIdOf, verifyKeyPackageRecord, verifyLeafBinding } from "./records.ts"
export { type GroupIdentity, MAX_APPLICATION_BYTES, MlsRoomGroup, type RoomGroupOptions } from "./room-group.ts"
export { CIPHERSUITE_ID } from "./suite.ts"
export * from "./types.ts"
