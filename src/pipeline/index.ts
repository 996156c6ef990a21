/** What the pipelines show to the SDK: types of the mesh worker. The implementation is only reached through the worker. */
export { streamKeyOf } from "./mesh/stream-key.ts"
export type * from "./mesh/types.ts"
