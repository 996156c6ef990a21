/** Identities: keys kept in the browser, the session proof between two peers, and pins on first use. */
export * from "./load.ts"
export * from "./pins.ts"
export * from "./session-proof.ts"
export * from "./signer.ts"
export { IDENTITY_KEY, type StoredIdentity } from "./stored.ts"
