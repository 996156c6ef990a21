/** Headers of calls: a few named byte strings beside the body (control-plane 4.2). */
import { isWellFormedText, utf8Decode, utf8Encode } from "./bytes.ts"
import { AvError, isAvError } from "./errors.ts"
import type { Bytes } from "./types.ts"

/** Most headers of one frame. */
export const MAX_RPC_HEADERS = 32
/** Longest header value, bytes. */
export const MAX_RPC_HEADER_VALUE = 4_096

export interface RpcHeader {
  /** 1..64 lower-case token characters, unique within a frame. */
  name: string
  value: Bytes
}

/** Headers as an application writes them: names of any case, text or bytes. */
export type RpcHeaders = Readonly<Record<string, string | Bytes>>

/** True for the token characters of RFC 9110, lower case only. */
export function isRpcHeaderName(name: string): boolean {
  return name.length <= 64 && /^[a-z0-9!#$%&'*+\-.^_`|~]+$/.test(name)
}

/** @throws AvError `UsageError` for a name or value no frame can carry, or two names that differ in case only. */
export function toRpcHeaders(headers: RpcHeaders): RpcHeader[] {
  const out: RpcHeader[] = []
  for (const [given, value] of Object.entries(headers)) {
    const name = given.replace(/[A-Z]/g, (letter) => letter.toLowerCase())
    const bytes = typeof value === "string" ? utf8Encode(value) : value
    const valid = isRpcHeaderName(name) && bytes.length <= MAX_RPC_HEADER_VALUE && !out.some((known) => known.name === name)
    if (!valid || (typeof value === "string" && !isWellFormedText(value))) {
      throw new AvError("UsageError", { why: "header", name: given.slice(0, 64) })
    }
    out.push({ name, value: bytes })
  }
  if (out.length > MAX_RPC_HEADERS) throw new AvError("UsageError", { why: "headers", count: out.length })
  return out
}

/** The value of a header as text; undefined when it is missing or no text. */
export function rpcHeaderText(headers: readonly RpcHeader[], name: string): string | undefined {
  const header = headers.find((candidate) => candidate.name === name)
  if (header === undefined) return undefined
  try {
    return utf8Decode(header.value)
  } catch (error) {
    if (isAvError(error)) return undefined
    throw error
  }
}
