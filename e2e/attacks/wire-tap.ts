/** What a member can do that has rewritten its copy of the library: read and write the bare frames of its sessions. */
import { decodeMembership, type MembershipFrame } from "../../src/token/membership-frame.ts"
import { decodeFrame, encodeFrame, FRAME_ANNOUNCE, FRAME_MEMBERSHIP, FRAME_RENDEZVOUS, FRAME_RPC } from "../../src/wire/frame.ts"
import { decodeRendezvousMessage, type RendezvousMessage } from "../../src/wire/rendezvous-message.ts"
import { decodeRpc, type RpcFrame } from "../../src/wire/rpc-frame.ts"
import type { Bytes } from "../../src/wire/types.ts"

export class WireTap {
  /** Payloads as neighbours sent them, each once. */
  readonly announcements: Bytes[] = []
  readonly answers: RpcFrame[] = []
  readonly acks: MembershipFrame[] = []
  readonly introductions: RendezvousMessage[] = []
  /** The requests that this page itself has sent. */
  readonly requests: RpcFrame[] = []
  /** Keeps back what the library would hand on of others, so that only the attacks carry it. */
  forwards = true
  readonly #channels = new Map<string, Set<RTCDataChannel>>()

  /** From now on every control channel of the page is seen. */
  constructor() {
    const { send } = RTCDataChannel.prototype
    const see = (channel: RTCDataChannel, data: unknown) => this.#see(channel, data)
    RTCDataChannel.prototype.send = function (
      this: RTCDataChannel,
      data: string & Blob & ArrayBuffer & ArrayBufferView<ArrayBuffer>,
    ) {
      if (see(this, data)) send.call(this, data)
    }
    this.#send = send as (this: RTCDataChannel, data: Bytes) => void
  }

  readonly #send: (this: RTCDataChannel, data: Bytes) => void

  /** Sends the frame to every neighbour, as it is. @returns to how many */
  shout(type: number, payload: Bytes): number {
    return this.shoutBytes(encodeFrame(type, payload), type === FRAME_RPC ? "rpc" : "ctl")
  }

  /** Sends bytes that need not be a frame. */
  shoutBytes(bytes: Bytes, label: "ctl" | "rpc" = "ctl"): number {
    const open = [...(this.#channels.get(label) ?? [])].filter(({ readyState }) => readyState === "open")
    for (const channel of open) this.#send.call(channel, bytes)
    return open.length
  }

  /** Whether the library's own frame may go. */
  #see(channel: RTCDataChannel, data: unknown): boolean {
    if (channel.label !== "ctl" && channel.label !== "rpc") return true
    const known = this.#channels.get(channel.label) ?? new Set()
    this.#channels.set(channel.label, known)
    if (!known.has(channel)) {
      known.add(channel)
      channel.addEventListener("message", (event) => this.#heard(event.data))
    }
    if (!(data instanceof Uint8Array) || data.length < 5) return true
    if (data[1] === FRAME_RPC && data[2] === 0 && data[4] === 0x10) this.requests.push(decodeRpc(data.slice(4)))
    return this.forwards || data[1] !== FRAME_ANNOUNCE || data[5] === 0
  }

  #heard(data: unknown): void {
    if (!(data instanceof ArrayBuffer)) return
    const { type, payload, fragment } = decodeFrame(new Uint8Array(data.slice(0)))
    if (fragment) return
    if (type === FRAME_ANNOUNCE) this.announcements.push(payload)
    else if (type === FRAME_RPC) this.answers.push(decodeRpc(payload))
    else if (type === FRAME_RENDEZVOUS) this.introductions.push(decodeRendezvousMessage(payload))
    else if (type === FRAME_MEMBERSHIP) {
      const frame = decodeMembership(payload)
      if (frame.kind === "ACK") this.acks.push(frame)
    }
  }
}
