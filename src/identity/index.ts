/** Identities: keys kept in the browser, the session proof between two peers, and pins on first use. */

export * from "./capacity.ts"
export * from "./clock-skew.ts"
export * from "./floor-record.ts"
export * from "./floors.ts"
export * from "./load.ts"
export * from "./lru-map.ts"
export * from "./membership-cert.ts"
export * from "./pins.ts"
export * from "./public-only.ts"
export * from "./session-proof.ts"
export * from "./signer.ts"
export { IDENTITY_KEY, type StoredIdentity } from "./stored.ts"
