/** What is kept of a content: rarity, plans, tiers, room and age. */
export * from "./decay.ts"
export * from "./decay-scheduler.ts"
export * from "./headroom.ts"
export * from "./plan.ts"
export * from "./policy.ts"
export * from "./ranks.ts"
export * from "./rarity.ts"
export * from "./tiers.ts"
