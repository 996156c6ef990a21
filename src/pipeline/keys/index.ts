/** Keys worker: types and the page's side. The service itself is only reached through the worker. */
export { remoteGroup, remoteSigner } from "./client.ts"
export type * from "./types.ts"
