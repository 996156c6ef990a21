/** AV1 decoded in a worker of its own, where the browser does not do it. */
export { Av1Client, type Av1Port } from "./client.ts"
export { Av1Service } from "./service.ts"
export type { ToAv1Worker } from "./types.ts"
