/** What a room computes alike everywhere without asking: topologies, claims, witnesses and memory. */
export * from "./aggregation/index.ts"
export * from "./checks.ts"
export * from "./claims/index.ts"
export * from "./separators.ts"
export * from "./topology/index.ts"
export * from "./witness/index.ts"
