/** Who is let in on the word of others. */
export * from "./bootstrap.ts"
export * from "./claim-codec.ts"
export * from "./linked.ts"
export * from "./verified.ts"
