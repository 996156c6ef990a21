/** The publish worker for the main thread: types only, the code runs in `workers/publish.ts`. */
export type * from "./types.ts"
