/** The outcome of a call: status numbers, failures, and which of them are worth another try (control-plane 4.3, 4.6, 4.9). */
import { AvError } from "../wire/errors.ts"
import type { NodeId } from "../wire/types.ts"

/** What a RESPONSE can say. 0x0009..0x7FFF are reserved, 0x8000..0xFFFF belong to applications. */
export const RPC_STATUS = {
  Ok: 0x0000,
  NotFound: 0x0001,
  Unauthorized: 0x0002,
  Timeout: 0x0003,
  Backpressure: 0x0004,
  Cancelled: 0x0005,
  Internal: 0x0006,
  UnknownVersion: 0x0007,
  CapabilityDenied: 0x0008,
} as const
type RpcStatusName = keyof typeof RPC_STATUS

/** First of the numbers that applications may give meanings to. */
export const FIRST_APP_STATUS = 0x8000

const GRPC_CODES: Record<RpcStatusName, number> = {
  Ok: 0,
  NotFound: 5,
  Unauthorized: 7,
  Timeout: 4,
  Backpressure: 8,
  Cancelled: 1,
  Internal: 13,
  UnknownVersion: 12,
  CapabilityDenied: 7,
}

type DecodedStatus =
  | { kind: "known"; name: RpcStatusName; value: number }
  | { kind: "reserved"; value: number }
  | { kind: "application"; value: number }

const NAMES = /* @__PURE__ */ new Map<number, RpcStatusName>(
  Object.entries(RPC_STATUS).map(([name, value]) => [value, name as RpcStatusName]),
)

/** Sorts a status number of a frame. A reserved one stays reserved, so that no application can mint it (D20). */
export function decodeStatus(value: number): DecodedStatus {
  const name = NAMES.get(value)
  if (name !== undefined) return { kind: "known", name, value }
  return { kind: value >= FIRST_APP_STATUS ? "application" : "reserved", value }
}

/** The nearest gRPC code, for gateways; undefined for application statuses, 2 (unknown) for reserved ones. */
export function grpcCode(value: number): number | undefined {
  const status = decodeStatus(value)
  if (status.kind === "known") return GRPC_CODES[status.name]
  return status.kind === "reserved" ? 2 : undefined
}

/** Why a call failed. Switch over `kind`; the compiler tells when one is missing. */
export type RpcFailure =
  | { kind: "no-route"; target: NodeId | null; reason: string }
  | { kind: "timeout"; elapsedMs: number }
  | { kind: "transport"; message: string }
  | { kind: "server-error"; status: number; message: string }
  | { kind: "codec"; direction: "encode" | "decode"; message: string }
  | { kind: "capability-denied"; target: NodeId; capability: string }
  | { kind: "cancelled" }

/** What a failed call rejects with. `name` and `code` are `RpcError`; the facts are in `failure`. */
export class RpcError extends AvError {
  readonly failure: RpcFailure

  constructor(failure: RpcFailure, options: { cause?: unknown } = {}) {
    super("RpcError", { ...failure }, { message: sentence(failure), ...options })
    this.failure = failure
  }

  get kind(): RpcFailure["kind"] {
    return this.failure.kind
  }
}

/** Thrown by a handler to answer with a status of the application's own, 0x8000..0xFFFF. */
export class RpcAppError extends Error {
  readonly status: number

  constructor(status: number, message: string) {
    super(message)
    this.name = "RpcAppError"
    this.status = status
  }
}

/** Thrown inside of this folder, to answer with a status that applications cannot choose. */
export class RpcProtocolError extends Error {
  readonly status: number

  constructor(status: number, message: string) {
    super(message)
    this.name = "RpcProtocolError"
    this.status = status
  }
}

/** True where another attempt may go better. Says nothing about whether the handler may be run twice. */
export function retryable(failure: RpcFailure): boolean {
  switch (failure.kind) {
    case "timeout":
    case "transport":
      return true
    case "server-error":
      return [RPC_STATUS.Internal, RPC_STATUS.Backpressure, RPC_STATUS.Timeout].some((status) => status === failure.status)
    case "no-route":
    case "codec":
    case "capability-denied":
    case "cancelled":
      return false
  }
}

/** The failure a RESPONSE with `status` (not Ok) stands for. */
export function failureOfStatus(status: number, message: string, target: NodeId, service: string): RpcFailure {
  if (status === RPC_STATUS.CapabilityDenied) return { kind: "capability-denied", target, capability: service }
  if (status === RPC_STATUS.Cancelled) return { kind: "cancelled" }
  return { kind: "server-error", status, message }
}

function sentence(failure: RpcFailure): string {
  switch (failure.kind) {
    case "no-route":
      return `No route${failure.target === null ? "" : ` to ${failure.target}`}: ${failure.reason}`
    case "timeout":
      return `No answer within ${Math.round(failure.elapsedMs)} ms`
    case "transport":
      return `The connection failed: ${failure.message}`
    case "server-error": {
      const status = decodeStatus(failure.status)
      const name = status.kind === "known" ? status.name : `0x${failure.status.toString(16).padStart(4, "0")}`
      return `The service answered ${name}${failure.message === "" ? "" : `: ${failure.message}`}`
    }
    case "codec":
      return `Could not ${failure.direction} the message: ${failure.message}`
    case "capability-denied":
      return `${failure.target} does not let this node call ${failure.capability}`
    case "cancelled":
      return "The call was cancelled"
  }
}
