/** Deterministic topologies: everybody computes the same tree from the same facts. */
export * from "./digest.ts"
export * from "./quantise.ts"
export { computeAlmTopology, computeAlmTopologyVerified, TOPOLOGY_VERSION } from "./reference.ts"
export { RoomPlan, SETTLE_MS, type TreeOfReceiver } from "./room-plan.ts"
export * from "./room-snapshot.ts"
export { RoomTree, type RoomTreeOptions } from "./room-tree.ts"
export { computeSourceRootedTopology, ROOTED_TOPOLOGY_VERSION } from "./rooted.ts"
export * from "./types.ts"
