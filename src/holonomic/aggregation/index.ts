/** Aggregates: many old items folded into one. */
export * from "./mass.ts"
export * from "./meta.ts"
