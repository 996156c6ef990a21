/** Wholeness witnesses: roots over claims, their signatures, and what two of them say about each other. */
export * from "./compare.ts"
export * from "./equivocation.ts"
export * from "./merkle.ts"
export * from "./namespaces.ts"
export * from "./verify.ts"
export * from "./witness.ts"
