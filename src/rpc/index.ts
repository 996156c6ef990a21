/** Remote procedure calls between nodes: four shapes, flow control, deadlines, routing by service name. */

export type { RpcHeader, RpcHeaders } from "../wire/rpc-header.ts"
export { type BreakerSettings, CircuitBreaker } from "./breaker.ts"
export type { RpcClock } from "./clock.ts"
export { DEFAULT_HEDGE, type HedgeOptions } from "./hedge.ts"
export type { RpcSession } from "./link.ts"
export {
  type Histogram,
  LATENCY_BOUNDS,
  type RpcCounter,
  type RpcEvent,
  type RpcMetrics,
  type ServiceMetrics,
} from "./metrics.ts"
export { type RpcInlet, RpcNode } from "./node.ts"
export { DEFAULT_RETRY, type RetryPolicy } from "./retry.ts"
export { type RoutingPolicy, type RpcCandidates, type RpcDirectory, stickyChoice } from "./routing.ts"
export {
  type DecodedStatus,
  decodeStatus,
  FIRST_APP_STATUS,
  grpcCode,
  RPC_STATUS,
  RpcAppError,
  RpcError,
  type RpcFailure,
  RpcProtocolError,
  type RpcStatusName,
  retryable,
} from "./status.ts"
export type { RpcSink } from "./stream.ts"
export { callTyped, jsonCodec, type RpcCodec, type StandardSchema, serveTyped, type TypedService } from "./typed.ts"
export type * from "./types.ts"
