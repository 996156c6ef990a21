/** A session as the control plane keeps it: what comes before its peer counts as a member waits here. */
import type { ControlSession } from "../../link/index.ts"
import type { RpcInlet } from "../../rpc/index.ts"
import type { Bytes } from "../../wire/types.ts"

/** The two ends learn of a join at different moments, so an honest peer can be a little early. */
const MAX_EARLY_FRAMES = 64
const MAX_EARLY_BYTES = 256 * 1024

export class MemberSession {
  readonly session: ControlSession
  /** Set while the peer is a member. */
  inlet: RpcInlet | undefined
  #early: { type: number; payload: Bytes }[] = []
  #earlyBytes = 0

  constructor(session: ControlSession) {
    this.session = session
  }

  get isMember(): boolean {
    return this.inlet !== undefined
  }

  /** Keeps a frame for later; false when there is no room. */
  hold(type: number, payload: Bytes): boolean {
    const bytes = this.#earlyBytes + payload.length
    if (this.#early.length >= MAX_EARLY_FRAMES || bytes > MAX_EARLY_BYTES) return false
    this.#early.push({ type, payload })
    this.#earlyBytes = bytes
    return true
  }

  /** What was held, in order; nothing is left. */
  release(): { type: number; payload: Bytes }[] {
    const early = this.#early
    this.#early = []
    this.#earlyBytes = 0
    return early
  }
}
