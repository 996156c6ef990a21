/** The callee's half of one call, all four shapes (control-plane 4.4, 4.5, 4.7). Sans-I/O: events in, actions out. */
import { utf8Encode } from "../wire/bytes.ts"
import { MAX_RPC_BODY, MAX_RPC_ITEM, RPC_FLAGS, type RpcFrame, type RpcRequest, type RpcResponse } from "../wire/rpc-frame.ts"
import type { RpcHeader } from "../wire/rpc-header.ts"
import type { Bytes, Milliseconds } from "../wire/types.ts"
import { clampCallMs } from "./clock.ts"
import { DEFAULT_WINDOW, ReceiveWindow, SendCredit, UPLOAD_CREDIT } from "./credit.ts"
import { downloads, type RpcShape, uploads } from "./shape.ts"
import { RPC_STATUS } from "./status.ts"

export type ServerAction =
  | { type: "send"; frame: RpcFrame }
  /** The only answer of a call without a download: goes through the service's queue. */
  | { type: "reply"; frame: RpcResponse }
  | { type: "item"; body: Bytes }
  /** The last item of the upload was given. */
  | { type: "upload-end" }
  | { type: "writable" }
  /** The handler works for nothing from here on. */
  | { type: "abort"; reason: AbortReason }
  /** Exactly once, last. */
  | { type: "finished"; status: number }

export type AbortReason = "cancelled" | "deadline" | "transport" | "denied" | "protocol"

interface ServerCallSettings {
  /** For callers that set no limit, milliseconds. */
  maxCallMs: Milliseconds
  /** Items of an upload that may wait unread. */
  uploadWindow: number
}

/** Diagnostics are cut to this many bytes. */
const MAX_MESSAGE = 1_024

/** Every method gives the actions that follow from it; `finished` comes exactly once. */
export class ServerCall {
  readonly request: RpcRequest
  readonly shape: RpcShape
  readonly startedAt: Milliseconds
  readonly deadlineAt: Milliseconds
  readonly #credit: SendCredit
  readonly #window: ReceiveWindow
  #uploading: boolean
  /** The item inside of the REQUEST took no credit, so reading it gives none back. */
  #freeItem: boolean
  #nextChunk = 1
  #sent = 0
  #running = false
  #over = false

  constructor(request: RpcRequest, shape: RpcShape, settings: ServerCallSettings, now: Milliseconds) {
    this.request = request
    this.shape = shape
    this.startedAt = now
    this.deadlineAt = now + clampCallMs(request.timeoutMs || settings.maxCallMs)
    this.#credit = new SendCredit(request.responseWindow || DEFAULT_WINDOW)
    this.#window = new ReceiveWindow(settings.uploadWindow, UPLOAD_CREDIT)
    this.#uploading = uploads(shape)
    this.#freeItem = this.#uploading && request.body.length > 0
  }

  get over(): boolean {
    return this.#over
  }

  /** True while a non-final item may be sent. */
  get canWrite(): boolean {
    return !this.#over && this.#credit.left > 0
  }

  /** The call was admitted: what the REQUEST brought of the upload, and the room for more. */
  admit(): ServerAction[] {
    if (!this.#uploading) return []
    const { body, flags } = this.request
    const item: ServerAction[] = body.length > 0 ? [{ type: "item", body }] : []
    if ((flags & RPC_FLAGS.requestEnd) !== 0) return [...item, ...this.#uploadEnd()]
    return [...item, ...this.#grant(this.#window.open())]
  }

  /** The handler is about to be called. False when that is pointless. */
  start(): boolean {
    if (this.#over) return false
    this.#running = true
    return true
  }

  /** A frame of this call from its caller. */
  receive(frame: RpcFrame): ServerAction[] {
    if (this.#over) return []
    switch (frame.kind) {
      case "cancel":
        return this.#abort("cancelled", RPC_STATUS.Cancelled, "")
      case "grant":
        if (!downloads(this.shape)) return []
        return this.#credit.add(frame.credits)
          ? [{ type: "writable" }]
          : this.#abort("protocol", RPC_STATUS.Internal, "credit overflow")
      case "chunk": {
        if (!this.#uploading) return this.#abort("protocol", RPC_STATUS.Internal, "chunk after the end")
        if (frame.seq !== this.#nextChunk) return this.#abort("protocol", RPC_STATUS.Internal, "sequence gap")
        this.#nextChunk += 1
        if ((frame.flags & RPC_FLAGS.requestEnd) !== 0) {
          const item: ServerAction[] = frame.body.length > 0 ? [{ type: "item", body: frame.body }] : []
          return [...item, ...this.#uploadEnd()]
        }
        if (!this.#window.receive()) return this.#abort("protocol", RPC_STATUS.Backpressure, "chunk without credit")
        return [{ type: "item", body: frame.body }]
      }
      default:
        return []
    }
  }

  /** The handler took an item of the upload. */
  consumed(): ServerAction[] {
    if (this.#over || !this.#uploading) return []
    if (this.#freeItem) {
      this.#freeItem = false
      return []
    }
    return this.#grant(this.#window.consume())
  }

  /** The handler waits for the next item. */
  idle(): ServerAction[] {
    return this.#over || !this.#uploading ? [] : this.#grant(this.#window.idle())
  }

  /** Sends one item of the download; only while {@link canWrite}. */
  write(body: Bytes): ServerAction[] {
    if (!this.canWrite || !this.#credit.spend()) return []
    return [{ type: "send", frame: this.#response(RPC_STATUS.Ok, [], body, RPC_FLAGS.responseContinue) }]
  }

  /** The handler returned. The body is the answer, or a download's last item when it is not empty. */
  succeed(body: Bytes, headers: RpcHeader[] = []): ServerAction[] {
    if (this.#over) return []
    const streamed = downloads(this.shape)
    const limit = streamed ? MAX_RPC_ITEM : MAX_RPC_BODY
    if (body.length > limit) return this.fail(RPC_STATUS.Internal, `the answer has ${body.length} bytes, allowed are ${limit}`)
    return this.#end(this.#response(RPC_STATUS.Ok, headers, body, streamed ? RPC_FLAGS.responseEnd : 0))
  }

  /** The handler failed, or was never called. */
  fail(status: number, message: string): ServerAction[] {
    return this.#over ? [] : this.#end(this.#response(status, [], diagnostic(message), 0))
  }

  /** The caller's time is up. */
  expire(): ServerAction[] {
    if (this.#over) return []
    if (!this.#running) return this.fail(RPC_STATUS.Timeout, "the time was up before the handler started")
    this.#over = true
    const { callId } = this.request
    return [
      { type: "abort", reason: "deadline" },
      { type: "send", frame: { kind: "deadline-exceeded", flags: 0, seq: 0, callId } },
      { type: "finished", status: RPC_STATUS.Timeout },
    ]
  }

  /** The gate no longer lets the caller pass. */
  revoke(message: string): ServerAction[] {
    return this.#abort("denied", RPC_STATUS.CapabilityDenied, message)
  }

  /** The session is gone. */
  closed(): ServerAction[] {
    if (this.#over) return []
    this.#over = true
    return [
      { type: "abort", reason: "transport" },
      { type: "finished", status: RPC_STATUS.Cancelled },
    ]
  }

  #abort(reason: AbortReason, status: number, message: string): ServerAction[] {
    return this.#over ? [] : [{ type: "abort", reason }, ...this.fail(status, message)]
  }

  #end(frame: RpcResponse): ServerAction[] {
    this.#over = true
    const type = downloads(this.shape) ? "send" : "reply"
    return [
      { type, frame },
      { type: "finished", status: frame.status },
    ]
  }

  #uploadEnd(): ServerAction[] {
    this.#uploading = false
    return [{ type: "upload-end" }]
  }

  #grant(credits: number): ServerAction[] {
    if (credits === 0) return []
    const { callId } = this.request
    return [{ type: "send", frame: { kind: "request-grant", flags: 0, seq: 0, callId, credits } }]
  }

  #response(status: number, headers: RpcHeader[], body: Bytes, flags: number): RpcResponse {
    return { kind: "response", flags, seq: this.#sent++, callId: this.request.callId, status, headers, body }
  }
}

/** The text of a refusal as a body, cut at a whole character. */
export function diagnostic(message: string): Bytes {
  const bytes = utf8Encode(message.slice(0, MAX_MESSAGE))
  if (bytes.length <= MAX_MESSAGE) return bytes
  let end = MAX_MESSAGE
  while (end > 0 && ((bytes[end] ?? 0) & 0xc0) === 0x80) end -= 1
  return bytes.subarray(0, end)
}
