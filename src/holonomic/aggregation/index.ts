/** Aggregates: many old items folded into one. */
export * from "./fold.ts"
export * from "./fold-store.ts"
export * from "./gate.ts"
export * from "./mass.ts"
export * from "./meta.ts"
export * from "./multiplicity.ts"
export * from "./record.ts"
