/** How a media lane reaches the mesh worker: as a transferred RTCDataChannel, or forwarded over a MessagePort. */
import type { Bytes } from "../wire/types.ts"

export type MediaLaneRole = "audio" | "video"
/** The id of the audio lane; those above it carry video (link-lanes LL-1). */
export const AUDIO_LANE = 1
/** `transferred`: the channel lives in the worker. `forwarded`: the page passes every message through. */
export type LanePath = "transferred" | "forwarded"
export type LaneState = "connecting" | "open" | "closed"

/**
 * One end of a media lane on its way to the worker. Post it at once, inside the call that delivers it, with
 * {@link laneTransferables} as the transfer list: a browser lets a data channel go only in the task that created it.
 */
export type LaneSource = { path: "transferred"; channel: RTCDataChannel } | { path: "forwarded"; port: MessagePort }

/** The transfer list of a {@link LaneSource}. */
export function laneTransferables(source: LaneSource): Transferable[] {
  return [source.path === "transferred" ? source.channel : source.port]
}

export interface LaneHandlers {
  /** One message from the peer, unchecked. The bytes belong to the receiver. */
  onMessage(bytes: Bytes): void
  onState?(state: LaneState): void
  /** `bufferedAmount` fell to the low mark; a waiting sender may go on. */
  onLow?(): void
}

/** A media lane as the worker sees it, whichever way it came. */
export interface LaneChannel {
  readonly path: LanePath
  readonly state: LaneState
  /** Bytes accepted by `send` and not yet handed to the network, including those on their way to the page. */
  readonly bufferedAmount: number
  /** Sends one message; the buffer stays the caller's. `false`: the lane is not open or refused it, and nothing was queued. */
  send(bytes: Bytes): boolean
  /** Idempotent; `onState("closed")` follows once. */
  close(): void
}

/** Half of the send gate of link-lanes LL-10: where `onLow` fires. */
export const LANE_LOW_MARK = 4_600

/**
 * Messages on the port of a forwarded lane. An `ArrayBuffer` is one lane message in either direction. From the page:
 * a state change, or how many bytes it took so far and how many of them still wait in the channel.
 */
export type ForwardedNote = { state: LaneState } | { taken: number; buffered: number }

/** Opens the worker's end. Call it in the task in which the source arrived, or early messages are lost. */
export function openLaneChannel(source: LaneSource, handlers: LaneHandlers): LaneChannel {
  return source.path === "transferred" ? new TransferredLane(source.channel, handlers) : new ForwardedLane(source.port, handlers)
}

class TransferredLane implements LaneChannel {
  readonly path = "transferred"
  readonly #channel: RTCDataChannel
  readonly #handlers: LaneHandlers
  #state: LaneState

  constructor(channel: RTCDataChannel, handlers: LaneHandlers) {
    this.#channel = channel
    this.#handlers = handlers
    this.#state = channel.readyState === "open" ? "open" : "connecting"
    channel.binaryType = "arraybuffer"
    channel.bufferedAmountLowThreshold = LANE_LOW_MARK
    channel.onopen = () => this.#enter("open")
    channel.onclose = () => this.#enter("closed")
    channel.onbufferedamountlow = () => handlers.onLow?.()
    channel.onmessage = (event: MessageEvent<unknown>) => {
      if (event.data instanceof ArrayBuffer) handlers.onMessage(new Uint8Array(event.data))
    }
    if (this.#state === "open") queueMicrotask(() => this.#state === "open" && handlers.onState?.("open"))
  }

  get state(): LaneState {
    return this.#state
  }

  get bufferedAmount(): number {
    return this.#channel.bufferedAmount
  }

  send(bytes: Bytes): boolean {
    if (this.#state !== "open" || this.#channel.readyState !== "open") return false
    try {
      this.#channel.send(bytes as Uint8Array<ArrayBuffer>)
      return true
    } catch {
      return false
    }
  }

  close(): void {
    this.#channel.close()
    this.#enter("closed")
  }

  #enter(state: LaneState): void {
    if (this.#state === "closed" || this.#state === state) return
    this.#state = state
    this.#handlers.onState?.(state)
  }
}

class ForwardedLane implements LaneChannel {
  readonly path = "forwarded"
  readonly #port: MessagePort
  readonly #handlers: LaneHandlers
  #state: LaneState = "connecting"
  #posted = 0
  #taken = 0
  #buffered = 0

  constructor(port: MessagePort, handlers: LaneHandlers) {
    this.#port = port
    this.#handlers = handlers
    port.onmessage = (event: MessageEvent<ArrayBuffer | ForwardedNote>) => this.#receive(event.data)
  }

  get state(): LaneState {
    return this.#state
  }

  get bufferedAmount(): number {
    return this.#posted - this.#taken + this.#buffered
  }

  send(bytes: Bytes): boolean {
    if (this.#state !== "open") return false
    const own = bytes.slice().buffer
    this.#posted += bytes.length
    this.#port.postMessage(own, [own])
    return true
  }

  close(): void {
    if (this.#state === "closed") return
    this.#port.postMessage({ state: "closed" } satisfies ForwardedNote)
    this.#enter("closed")
  }

  #receive(data: ArrayBuffer | ForwardedNote): void {
    if (data instanceof ArrayBuffer) this.#handlers.onMessage(new Uint8Array(data))
    else if ("state" in data) this.#enter(data.state)
    else {
      const before = this.bufferedAmount
      this.#taken = data.taken
      this.#buffered = data.buffered
      if (before > LANE_LOW_MARK && this.bufferedAmount <= LANE_LOW_MARK) this.#handlers.onLow?.()
    }
  }

  #enter(state: LaneState): void {
    if (this.#state === "closed" || this.#state === state) return
    this.#state = state
    if (state === "closed") this.#port.close()
    this.#handlers.onState?.(state)
  }
}
