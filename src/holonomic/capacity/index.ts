/** What a network of memories holds and survives. */
export * from "./model.ts"
