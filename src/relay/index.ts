/** Relaying without a content key: who gets a chunk, what came before, what was promised, and the relay itself. */
export * from "./duplicates.ts"
export * from "./limits.ts"
export * from "./relay-node.ts"
export * from "./roster.ts"
export * from "./symbol-index.ts"
