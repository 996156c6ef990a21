/** Claims: what peers sign about themselves, each other and what they keep. */
export * from "./bodies.ts"
export * from "./digests.ts"
export * from "./holding.ts"
export * from "./signed-claim.ts"
