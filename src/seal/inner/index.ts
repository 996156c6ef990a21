/** The end-to-end layer: content keys, sealing by the publisher, opening by receivers. Relays never load it. */
export * from "./associated-data.ts"
export * from "./content-keys.ts"
export * from "./dedup.ts"
export * from "./epoch-keys.ts"
export * from "./inner-nonce.ts"
export * from "./inner-opener.ts"
export * from "./seal-inner.ts"
export * from "./stream-sealer.ts"
