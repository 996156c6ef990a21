/** Several tabs of one origin over one storage. */
export * from "./messages.ts"
export * from "./writer.ts"
