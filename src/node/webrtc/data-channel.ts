/** A data channel of the library with the face of `RTCDataChannel`, as far as links use it. */
import type { Alive } from "./alive.ts"
import type { NativeChannel } from "./library.ts"

interface ChannelEvent {
  data: unknown
}

export class NodeDataChannel {
  readonly label: string
  readonly ordered: boolean
  readonly maxRetransmits: number | null
  readonly maxPacketLifeTime = null
  binaryType = "arraybuffer"
  onopen: (() => void) | null = null
  onclose: (() => void) | null = null
  onbufferedamountlow: (() => void) | null = null
  onmessage: ((event: ChannelEvent) => void) | null = null
  readonly #native: NativeChannel
  readonly #over: () => void
  /** The library has closed it. */
  isOver = false
  #state: RTCDataChannelState
  #lowThreshold = 0

  /** @param init of our own channel; the library does not say how reliable one is that the peer made, so that counts as reliable */
  constructor(native: NativeChannel, alive: Alive, init: RTCDataChannelInit = {}) {
    this.#native = native
    this.#over = alive.begin()
    this.label = native.getLabel()
    this.ordered = init.ordered ?? true
    this.maxRetransmits = init.maxRetransmits ?? null
    this.#state = native.isOpen() ? "open" : "connecting"
    native.onOpen(() => {
      if (this.#state !== "connecting") return
      this.#state = "open"
      this.onopen?.()
    })
    native.onClosed(() => this.end())
    native.onBufferedAmountLow(() => this.onbufferedamountlow?.())
    native.onMessage((message) => {
      // What arrives before anybody listens would be lost in a browser as well.
      if (this.#state !== "closed") this.onmessage?.({ data: typeof message === "string" ? message : own(message) })
    })
  }

  get readyState(): RTCDataChannelState {
    return this.#state
  }

  get bufferedAmount(): number {
    return this.#state === "open" ? this.#native.bufferedAmount() : 0
  }

  get bufferedAmountLowThreshold(): number {
    return this.#lowThreshold
  }

  set bufferedAmountLowThreshold(bytes: number) {
    this.#lowThreshold = bytes
    this.#native.setBufferedAmountLowThreshold(bytes)
  }

  /** @throws DOMException `InvalidStateError` unless it is open, `OperationError` when the library refuses the message */
  send(data: Uint8Array | ArrayBuffer): void {
    // The library knows of an end before it tells of it.
    if (this.#state !== "open" || !this.#native.isOpen()) throw new DOMException("the channel is not open", "InvalidStateError")
    try {
      this.#native.sendMessageBinary(data instanceof Uint8Array ? data : new Uint8Array(data))
    } catch (cause) {
      throw new DOMException(cause instanceof Error ? cause.message : "not sent", "OperationError")
    }
  }

  close(): void {
    if (this.#state === "closed" || this.#state === "closing") return
    this.#state = "closing"
    this.#native.close()
  }

  /** Its connection is being closed: nothing can be sent from now on, whenever the library gets to say so. */
  closing(): void {
    if (this.#state !== "closed") this.#state = "closing"
  }

  /** It is closed for good: the library has said so, or its connection is no more. */
  end(): void {
    this.isOver = true
    this.#over()
    if (this.#state === "closed") return
    this.#state = "closed"
    this.onclose?.()
  }
}

/** Memory of our own: that of the library can not be transferred to another thread. */
function own(message: Uint8Array | ArrayBuffer): ArrayBuffer {
  return message instanceof ArrayBuffer ? message.slice(0) : new Uint8Array(message).buffer
}
