/** The two reliable channels of the control connection, `ctl` and `rpc` (link-lanes LL-1). The offerer makes them. */
import type { Bytes } from "../wire/types.ts"
import type { FramePipe } from "./frame-outbox.ts"
import type { LaneState } from "./lane-port.ts"

const LOW_MARK = 16 * 1024
const NO_FRAME: Bytes = new Uint8Array()

interface ControlChannelHandlers {
  /** `ctl` is open. */
  onOpen(): void
  onControl(frame: Bytes): void
  onRpc(frame: Bytes): void
  /** A channel has room again. */
  onDrain(): void
  /** `ctl` ended, or the peer opened a channel that has no business here. */
  onClosed(): void
}

export class ControlChannels {
  readonly #handlers: ControlChannelHandlers
  #ctl: RTCDataChannel | undefined
  #rpc: RTCDataChannel | undefined
  #closed = false

  constructor(connection: RTCPeerConnection, role: "offerer" | "answerer", handlers: ControlChannelHandlers) {
    this.#handlers = handlers
    if (role === "offerer") {
      this.#adopt(connection.createDataChannel("ctl", { ordered: true }))
      this.#adopt(connection.createDataChannel("rpc", { ordered: true }))
    }
    // The offerer's channels are the only ones; whatever else the peer opens is a fault.
    connection.ondatachannel = ({ channel }) => {
      if (role === "offerer" || !this.#adopt(channel)) this.#end()
    }
  }

  get state(): LaneState {
    if (this.#closed) return "closed"
    return this.#ctl?.readyState === "open" ? "open" : "connecting"
  }

  readonly control: FramePipe = pipe(() => this.#ctl)
  readonly rpc: FramePipe = pipe(() => this.#rpc)

  close(): void {
    this.#closed = true
    this.#ctl?.close()
    this.#rpc?.close()
  }

  #adopt(channel: RTCDataChannel): boolean {
    const reliable = channel.ordered && channel.maxRetransmits === null && channel.maxPacketLifeTime === null
    const known = channel.label === "ctl" ? this.#ctl === undefined : channel.label === "rpc" && this.#rpc === undefined
    if (!reliable || !known) {
      channel.close()
      return false
    }
    if (channel.label === "ctl") this.#ctl = channel
    else this.#rpc = channel
    this.#wire(channel, channel.label === "ctl")
    return true
  }

  #wire(channel: RTCDataChannel, control: boolean): void {
    const { onOpen, onControl, onRpc, onDrain } = this.#handlers
    channel.binaryType = "arraybuffer"
    channel.bufferedAmountLowThreshold = LOW_MARK
    channel.onbufferedamountlow = onDrain
    channel.onmessage = (event: MessageEvent<unknown>) => {
      // Text is no frame: the decoder refuses it, and one that is too long, before it reads anything, and counts both.
      const frame = event.data instanceof ArrayBuffer ? new Uint8Array(event.data) : NO_FRAME
      if (control) onControl(frame)
      else onRpc(frame)
    }
    if (!control) {
      channel.onopen = onDrain
      return
    }
    channel.onclose = () => this.#end()
    if (channel.readyState === "open") queueMicrotask(onOpen)
    else channel.onopen = onOpen
  }

  #end(): void {
    if (this.#closed) return
    this.#closed = true
    this.#handlers.onClosed()
  }
}

/** While the channel is not open everything waits in the outbox. */
function pipe(channel: () => RTCDataChannel | undefined): FramePipe {
  return {
    get buffered() {
      const current = channel()
      return current?.readyState === "open" ? current.bufferedAmount : Number.POSITIVE_INFINITY
    },
    send: (frame) => channel()?.send(frame as Uint8Array<ArrayBuffer>),
  }
}
