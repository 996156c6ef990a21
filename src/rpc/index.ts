/** Remote procedure calls between nodes: four shapes, flow control, deadlines, routing by service name. */

export type { RpcHeader } from "../wire/rpc-header.ts"
export type { RpcClock } from "./clock.ts"
export type { HedgeOptions } from "./hedge.ts"
export type { RpcSession } from "./link.ts"
export type { ServiceMetrics } from "./metrics.ts"
export { type RpcInlet, RpcNode } from "./node.ts"
export type { RetryPolicy } from "./retry.ts"
export type { RoutingPolicy, RpcCandidates } from "./routing.ts"
export { RPC_STATUS, RpcAppError, RpcError, type RpcFailure, RpcProtocolError } from "./status.ts"
export type { RpcSink } from "./stream.ts"
export { jsonCodec, type RpcCodec, type StandardSchema } from "./typed.ts"
export type * from "./types.ts"
