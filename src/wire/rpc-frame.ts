/** Frames of remote procedure calls: the payload of control frames of type 0x20 (control-plane 4.2). */
import { plainBytes, utf8Decode } from "./bytes.ts"
import { AvError } from "./errors.ts"
import { isRpcHeaderName, MAX_RPC_HEADER_VALUE, MAX_RPC_HEADERS, type RpcHeader } from "./rpc-header.ts"
import { isServiceName, MAX_SERVICE_NAME } from "./service-name.ts"
import type { Bytes, U64 } from "./types.ts"

/** Every frame begins with this many bytes. */
const RPC_HEAD = 16
/** Largest body of a REQUEST and of the RESPONSE to a unary or client-streaming call, bytes. */
export const MAX_RPC_BODY = 4_194_304
/** Largest item of a stream, bytes. */
export const MAX_RPC_ITEM = 65_536
/** Largest number of credits: of one grant, of an initial window, and outstanding on a stream. */
export const MAX_RPC_CREDIT = 65_535

const RPC_KINDS = {
  request: 0x10,
  response: 0x11,
  cancel: 0x12,
  "deadline-exceeded": 0x13,
  grant: 0x14,
  chunk: 0x15,
  "request-grant": 0x16,
} as const
export type RpcKind = keyof typeof RPC_KINDS

/** Bits of `flags`. Unknown bits are kept as received and mean nothing. */
export const RPC_FLAGS = {
  streamingResponse: 1 << 1,
  propagateTrace: 1 << 2,
  clientStreaming: 1 << 4,
  requestEnd: 1 << 5,
  responseContinue: 1 << 8,
  responseEnd: 1 << 9,
} as const

interface Head {
  flags: number
  seq: number
  /** Never zero. */
  callId: U64
}
export interface RpcRequest extends Head {
  kind: "request"
  service: string
  /** What is left of the caller's time, milliseconds; 0 when it sets no limit. */
  timeoutMs: number
  /** Items the caller takes before its first grant; 0 leaves it to the default. */
  responseWindow: number
  headers: RpcHeader[]
  body: Bytes
}
export interface RpcResponse extends Head {
  kind: "response"
  status: number
  headers: RpcHeader[]
  body: Bytes
}
export interface RpcChunk extends Head {
  kind: "chunk"
  body: Bytes
}
export interface RpcGrant extends Head {
  kind: "grant" | "request-grant"
  /** 1..65 535 */
  credits: number
}
export interface RpcSignal extends Head {
  kind: "cancel" | "deadline-exceeded"
}
export type RpcFrame = RpcRequest | RpcResponse | RpcChunk | RpcGrant | RpcSignal

const KIND_BY_NUMBER = /* @__PURE__ */ new Map<number, RpcKind>(
  Object.entries(RPC_KINDS).map(([name, number]) => [number, name as RpcKind]),
)

/** The head of a frame, also of one whose rest does not decode; undefined when even that is broken. */
export function readRpcHead(bytes: Bytes): (Head & { kind: RpcKind }) | undefined {
  if (bytes.length < RPC_HEAD) return undefined
  const view = new DataView(bytes.buffer, bytes.byteOffset, RPC_HEAD)
  const kind = KIND_BY_NUMBER.get(view.getUint8(0))
  const callId = view.getBigUint64(8, true)
  if (kind === undefined || view.getUint8(1) !== 0 || callId === 0n) return undefined
  return { kind, flags: view.getUint16(2, true), seq: view.getUint32(4, true), callId }
}

/**
 * Reads one frame. Bodies and header values are views of `bytes`, not copies.
 * @throws AvError `Truncated`, `TooLarge`, `InvalidUtf8` (each with the field it met) or `Malformed`.
 */
export function decodeRpc(bytes: Bytes): RpcFrame {
  if (bytes.length < RPC_HEAD) throw new AvError("Truncated", { field: "header" })
  const head = readRpcHead(bytes)
  if (head === undefined) throw malformed("header")
  const reader = new FrameReader(bytes)
  const frame = readBody(head, reader)
  reader.end()
  return frame
}

function readBody(head: Head & { kind: RpcKind }, reader: FrameReader): RpcFrame {
  const { kind, flags, seq, callId } = head
  switch (kind) {
    case "request": {
      const service = reader.service()
      const timeoutMs = reader.u32("timeout_ms")
      const responseWindow = reader.u32("response_window")
      if (responseWindow > MAX_RPC_CREDIT) throw malformed("response_window")
      const headers = reader.headers()
      return { kind, flags, seq, callId, service, timeoutMs, responseWindow, headers, body: reader.body(MAX_RPC_BODY) }
    }
    case "response": {
      const status = reader.u16("status")
      const headers = reader.headers()
      return { kind, flags, seq, callId, status, headers, body: reader.body(responseLimit(flags)) }
    }
    case "chunk":
      return { kind, flags, seq, callId, body: reader.body(MAX_RPC_ITEM) }
    case "grant":
    case "request-grant": {
      const credits = reader.u32("credits")
      if (credits < 1 || credits > MAX_RPC_CREDIT) throw malformed("credits")
      return { kind, flags, seq, callId, credits }
    }
    default:
      return { kind, flags, seq, callId }
  }
}

/** The exact length of {@link encodeRpc}'s result, bytes. */
export function rpcLength(frame: RpcFrame): number {
  switch (frame.kind) {
    case "request":
      return RPC_HEAD + 1 + frame.service.length + 8 + headersLength(frame.headers) + 4 + frame.body.length
    case "response":
      return RPC_HEAD + 2 + headersLength(frame.headers) + 4 + frame.body.length
    case "chunk":
      return RPC_HEAD + 4 + frame.body.length
    case "grant":
    case "request-grant":
      return RPC_HEAD + 4
    default:
      return RPC_HEAD
  }
}

/** The frame as a byte string of its own. */
export function encodeRpc(frame: RpcFrame): Bytes {
  const out = new Uint8Array(rpcLength(frame))
  encodeRpcInto(frame, out, 0)
  return out
}

/**
 * Writes the frame at `offset` of `buffer` without allocating and returns the offset after it. Nothing is written when it is refused.
 * @throws AvError `UsageError` for values the frame cannot carry or a buffer that is too small, `TooLarge` for a body.
 */
export function encodeRpcInto(frame: RpcFrame, buffer: Bytes, offset: number): number {
  checkFrame(frame)
  const end = offset + rpcLength(frame)
  if (end > buffer.length) throw new AvError("UsageError", { why: "buffer", need: end, got: buffer.length })
  const view = new DataView(buffer.buffer, buffer.byteOffset, buffer.byteLength)
  view.setUint8(offset, RPC_KINDS[frame.kind])
  view.setUint8(offset + 1, 0)
  view.setUint16(offset + 2, frame.flags, true)
  view.setUint32(offset + 4, frame.seq, true)
  view.setBigUint64(offset + 8, frame.callId, true)
  let at = offset + RPC_HEAD
  switch (frame.kind) {
    case "request":
      view.setUint8(at, frame.service.length)
      at = putAscii(buffer, at + 1, frame.service)
      view.setUint32(at, frame.timeoutMs, true)
      view.setUint32(at + 4, frame.responseWindow, true)
      at = putHeaders(view, buffer, at + 8, frame.headers)
      return putBody(view, buffer, at, frame.body)
    case "response":
      view.setUint16(at, frame.status, true)
      at = putHeaders(view, buffer, at + 2, frame.headers)
      return putBody(view, buffer, at, frame.body)
    case "chunk":
      return putBody(view, buffer, at, frame.body)
    case "grant":
    case "request-grant":
      view.setUint32(at, frame.credits, true)
      return at + 4
    default:
      return at
  }
}

/** A RESPONSE that belongs to a stream carries an item, any other a whole answer. */
function responseLimit(flags: number): number {
  return (flags & (RPC_FLAGS.responseContinue | RPC_FLAGS.responseEnd)) === 0 ? MAX_RPC_BODY : MAX_RPC_ITEM
}

function headersLength(headers: readonly RpcHeader[]): number {
  let length = 1
  for (const { name, value } of headers) length += 3 + name.length + value.length
  return length
}

function putAscii(buffer: Bytes, at: number, text: string): number {
  for (let i = 0; i < text.length; i++) buffer[at + i] = text.charCodeAt(i)
  return at + text.length
}

function putBody(view: DataView, buffer: Bytes, at: number, body: Bytes): number {
  view.setUint32(at, body.length, true)
  buffer.set(body, at + 4)
  return at + 4 + body.length
}

function putHeaders(view: DataView, buffer: Bytes, at: number, headers: readonly RpcHeader[]): number {
  let next = at + 1
  view.setUint8(at, headers.length)
  for (const { name, value } of headers) {
    view.setUint8(next, name.length)
    next = putAscii(buffer, next + 1, name)
    view.setUint16(next, value.length, true)
    buffer.set(value, next + 2)
    next += 2 + value.length
  }
  return next
}

function checkFrame(frame: RpcFrame): void {
  require(inRange(frame.flags, 0, 0xffff), "flags")
  require(inRange(frame.seq, 0, 0xffffffff), "seq")
  require(frame.callId > 0n && frame.callId <= 0xffffffffffffffffn, "call_id")
  if (frame.kind === "request") {
    require(isServiceName(frame.service), "service")
    require(inRange(frame.timeoutMs, 0, 0xffffffff), "timeout_ms")
    require(inRange(frame.responseWindow, 0, MAX_RPC_CREDIT), "response_window")
    checkHeaders(frame.headers)
    checkBody(frame.body, MAX_RPC_BODY)
  } else if (frame.kind === "response") {
    require(inRange(frame.status, 0, 0xffff), "status")
    checkHeaders(frame.headers)
    checkBody(frame.body, responseLimit(frame.flags))
  } else if (frame.kind === "chunk") {
    checkBody(frame.body, MAX_RPC_ITEM)
  } else if (frame.kind === "grant" || frame.kind === "request-grant") {
    require(inRange(frame.credits, 1, MAX_RPC_CREDIT), "credits")
  }
}

function checkHeaders(headers: readonly RpcHeader[]): void {
  require(headers.length <= MAX_RPC_HEADERS, "headers")
  for (const [i, { name, value }] of headers.entries()) {
    require(isRpcHeaderName(name), "header name")
    require(value.length <= MAX_RPC_HEADER_VALUE, "header value")
    for (let k = 0; k < i; k++) require(headers[k]?.name !== name, "header twice")
  }
}

function checkBody(body: Bytes, limit: number): void {
  if (body.length > limit) throw new AvError("TooLarge", { field: "body", actual: body.length, limit })
}

function inRange(value: number, least: number, most: number): boolean {
  return Number.isInteger(value) && value >= least && value <= most
}

function require(holds: boolean, what: string): void {
  if (!holds) throw new AvError("UsageError", { why: `rpc frame: ${what}` })
}

function malformed(why: string): AvError {
  return new AvError("Malformed", { why: `rpc frame: ${why}` })
}

/** Reads the part after the head and names the field where the bytes end. */
class FrameReader {
  readonly #bytes: Bytes
  readonly #view: DataView
  #at = RPC_HEAD

  constructor(bytes: Bytes) {
    this.#bytes = plainBytes(bytes)
    this.#view = new DataView(bytes.buffer, bytes.byteOffset, bytes.byteLength)
  }

  u16(field: string): number {
    return this.#view.getUint16(this.#take(2, field), true)
  }

  u32(field: string): number {
    return this.#view.getUint32(this.#take(4, field), true)
  }

  service(): string {
    const length = this.#u8("service")
    if (length < 1 || length > MAX_SERVICE_NAME) throw malformed("service length")
    const service = this.#text(length, "service")
    if (!isServiceName(service)) throw malformed("service name")
    return service
  }

  headers(): RpcHeader[] {
    const count = this.#u8("headers")
    if (count > MAX_RPC_HEADERS) throw tooLarge("headers", count, MAX_RPC_HEADERS)
    const headers: RpcHeader[] = []
    for (let i = 0; i < count; i++) {
      const length = this.#u8("header name")
      if (length < 1 || length > 64) throw malformed("header name length")
      const name = this.#text(length, "header name")
      if (!isRpcHeaderName(name) || headers.some((known) => known.name === name)) throw malformed("header name")
      const size = this.u16("header value")
      if (size > MAX_RPC_HEADER_VALUE) throw tooLarge("header value", size, MAX_RPC_HEADER_VALUE)
      headers.push({ name, value: this.#slice(size, "header value") })
    }
    return headers
  }

  body(limit: number): Bytes {
    const length = this.u32("body_len")
    if (length > limit) throw tooLarge("body", length, limit)
    return this.#slice(length, "body")
  }

  end(): void {
    if (this.#at !== this.#bytes.length) throw malformed("trailing bytes")
  }

  #u8(field: string): number {
    return this.#view.getUint8(this.#take(1, field))
  }

  #text(length: number, field: string): string {
    const bytes = this.#slice(length, field)
    try {
      return utf8Decode(bytes)
    } catch (cause) {
      throw new AvError("InvalidUtf8", { field }, { cause })
    }
  }

  #slice(length: number, field: string): Bytes {
    const at = this.#take(length, field)
    return this.#bytes.subarray(at, at + length)
  }

  #take(length: number, field: string): number {
    const at = this.#at
    if (this.#bytes.length - at < length) throw new AvError("Truncated", { field, need: length, got: this.#bytes.length - at })
    this.#at = at + length
    return at
  }
}

function tooLarge(field: string, actual: number, limit: number): AvError {
  return new AvError("TooLarge", { field, actual, limit })
}
