/** The receive worker for the main thread: types only, the code runs in `workers/receive.ts`. */
export type * from "./types.ts"
