/** Deterministic topologies: everybody computes the same tree from the same facts. */
export * from "./digest.ts"
export * from "./quantise.ts"
export { computeAlmTopologyVerified } from "./reference.ts"
export { RoomPlan, type TreeOfReceiver } from "./room-plan.ts"
export * from "./room-snapshot.ts"
export { RoomTree, type RoomTreeOptions } from "./room-tree.ts"
export { computeSourceRootedTopology } from "./rooted.ts"
export * from "./types.ts"
