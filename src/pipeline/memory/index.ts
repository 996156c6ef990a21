/** Memory worker: types. The service itself is only reached through the worker. */
export type * from "./types.ts"
