/** Several tabs of one origin over one storage. */
export * from "./writer.ts"
