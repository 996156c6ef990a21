/** The four shapes of a call and the flags that announce them (control-plane 4.1, 4.4). */
import { RPC_FLAGS } from "../wire/rpc-frame.ts"

export type RpcShape = "unary" | "server-stream" | "client-stream" | "duplex"

/** True when the caller sends a stream of items. */
export function uploads(shape: RpcShape): boolean {
  return shape === "client-stream" || shape === "duplex"
}

/** True when the callee answers with a stream of items. */
export function downloads(shape: RpcShape): boolean {
  return shape === "server-stream" || shape === "duplex"
}

export function shapeOfFlags(flags: number): RpcShape {
  const up = (flags & RPC_FLAGS.clientStreaming) !== 0
  const down = (flags & RPC_FLAGS.streamingResponse) !== 0
  if (up) return down ? "duplex" : "client-stream"
  return down ? "server-stream" : "unary"
}

export function flagsOfShape(shape: RpcShape): number {
  return (uploads(shape) ? RPC_FLAGS.clientStreaming : 0) | (downloads(shape) ? RPC_FLAGS.streamingResponse : 0)
}
