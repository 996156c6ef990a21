/** What calls need of a session with one node, and when it can take more (control-plane 4.7). */
import { encodeRpc, type RpcFrame } from "../wire/rpc-frame.ts"
import type { Bytes, NodeId } from "../wire/types.ts"

/**
 * An authenticated session, direct or routed. Whoever implements it promises that frames with one call id arrive in the order they
 * were sent: a long frame must not be overtaken by the short one after it.
 */
export interface RpcSession {
  /** Proven by the session's handshake, never taken from a frame. */
  readonly peer: NodeId
  /** The peer's Ed25519 key. */
  readonly entity: Bytes
  /** Sends the payload of one control frame of type 0x20. The bytes belong to the session from here on. Throwing ends its calls. */
  send(payload: Bytes): void
  /** Bytes handed to the session and not yet sent. */
  bufferedAmount(): number
  /** New calls prefer such a session to others with the same node: nobody is in between. */
  readonly direct?: boolean
}

/** Above this a session is full, and stays so until it was drained below the other. Bytes. */
const LINK_FULL = 1_048_576
const LINK_RESUME = 262_144

/** Counts a session's bytes and wakes who waits for space. */
export class RpcLink {
  readonly session: RpcSession
  readonly #waiting = new Set<() => void>()
  #full = false
  #open = true

  readonly #onBroken: () => void

  /** @param onBroken the session refused bytes: it will not be used again. Called later, never while sending. */
  constructor(session: RpcSession, onBroken: () => void = () => {}) {
    this.session = session
    this.#onBroken = onBroken
  }

  get peer(): NodeId {
    return this.session.peer
  }

  get open(): boolean {
    return this.#open
  }

  /** True while the session takes frames that can wait. */
  get hasSpace(): boolean {
    if (!this.#open) return false
    const buffered = this.session.bufferedAmount()
    this.#full = buffered > (this.#full ? LINK_RESUME : LINK_FULL)
    return !this.#full
  }

  /** Encodes and sends at once. Gives the number of bytes. */
  send(frame: RpcFrame): number {
    return this.sendBytes(encodeRpc(frame))
  }

  sendBytes(bytes: Bytes): number {
    if (!this.#open) return 0
    try {
      this.session.send(bytes)
    } catch {
      // A stream with a hole is worth nothing. Later, because whoever sends is in the middle of something.
      queueMicrotask(this.#onBroken)
      return 0
    }
    return bytes.length
  }

  /** Calls `wake` when there may be space again, or the session ends. The result takes it back. */
  whenSpace(wake: () => void): () => void {
    this.#waiting.add(wake)
    return () => this.#waiting.delete(wake)
  }

  /** The session's buffer ran low. */
  drained(): void {
    if (this.hasSpace) this.#wakeAll()
  }

  close(): void {
    this.#open = false
    this.#wakeAll()
  }

  #wakeAll(): void {
    const waiting = [...this.#waiting]
    this.#waiting.clear()
    for (const wake of waiting) wake()
  }
}
