/** Items of a room's memory: what files and recordings are called and how they are cut. */
export * from "./item.ts"
