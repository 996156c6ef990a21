/** Storage of a room's memory. */
export * from "./memory.ts"
export * from "./storage.ts"
