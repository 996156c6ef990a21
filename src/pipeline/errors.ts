/** Lets {@link AvError} cross a comlink border with its code and details; comlink alone keeps only name and message. */
import { type TransferHandler, transferHandlers } from "comlink"
import { AvError, type ErrorCode, type ErrorDetails, isAvError } from "../wire/errors.ts"

interface Thrown {
  value: unknown
}

/** Form on the wire. Without `code` it is some other error, which nobody outside can act on by name. */
interface SerializedThrow {
  isError: boolean
  value: unknown
  code?: ErrorCode
  details?: ErrorDetails
}

const HANDLER = "throw"
let installed = false

/** Call once in every thread that speaks comlink, before the first call. Idempotent. */
export function installErrorTransfer(): void {
  if (installed) return
  const original = transferHandlers.get(HANDLER) as TransferHandler<Thrown, SerializedThrow> | undefined
  if (original === undefined) throw new AvError("WorkerFailed", { why: "comlink has no handler for errors" })
  installed = true
  const handler: TransferHandler<Thrown, SerializedThrow> = {
    canHandle: (value): value is Thrown => original.canHandle(value),
    serialize(thrown) {
      const [serialized, transfer] = original.serialize(thrown)
      const { value } = thrown
      if (!isAvError(value)) return [serialized, transfer]
      return [{ ...serialized, code: value.code, details: value.details }, transfer]
    },
    deserialize(serialized) {
      const { code, details, value } = serialized
      if (code === undefined) return original.deserialize(serialized)
      throw new AvError(code, details, { message: messageOf(value) })
    },
  }
  transferHandlers.set(HANDLER, handler)
}

function messageOf(value: unknown): string {
  return typeof value === "object" && value !== null && "message" in value ? String(value.message) : ""
}
