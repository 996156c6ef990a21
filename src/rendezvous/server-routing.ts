/** Forwarding of routed frames between two registered sessions (control-plane 1.6, 6.2 D48). */
import { FRAME_ROUTED } from "../wire/control-frame.ts"
import { isAvError } from "../wire/errors.ts"
import { decodeRoutedFrame, decodeRoutedHello, routedFrameWithTtl, routedHelloWithTtl } from "../wire/routed.ts"
import type { Bytes, Milliseconds, NodeId } from "../wire/types.ts"
import type { ServerLimits } from "./limits.ts"
import type { Session } from "./server-sessions.ts"
import type { RejectReason } from "./types.ts"
import { FixedWindows } from "./windows.ts"

type RoutingResult =
  | { kind: "forward"; to: NodeId; payload: Bytes }
  | { kind: "reject"; target: NodeId; reason: RejectReason; retryAfterMs: Milliseconds }
  | { kind: "drop"; why: "routed-malformed" | "routed-source" | "routed-ttl" | "routed-budget" | "routed-target" }

/** One refusal per this time and session is enough to tell a sender that nothing passes. */
const REJECT_EVERY_MS = 1_000

export class Routing {
  readonly #limits: ServerLimits
  readonly #windows: FixedWindows
  readonly #rejects = new FixedWindows([1, REJECT_EVERY_MS])
  readonly #mayMeet: (a: NodeId, b: NodeId) => boolean

  constructor(limits: ServerLimits, mayMeet: (a: NodeId, b: NodeId) => boolean) {
    this.#limits = limits
    this.#windows = new FixedWindows(limits.routed)
    this.#mayMeet = mayMeet
  }

  /** Judges a ROUTED or ROUTED_HELLO payload of a session registered as `from`. */
  route(session: Session, from: NodeId, frameType: number, payload: Bytes, now: Milliseconds): RoutingResult {
    const head = readHead(frameType, payload)
    if (head === undefined) return { kind: "drop", why: "routed-malformed" }
    // The server is the first hop: a frame in somebody else's name is forged or went a way it should not.
    if (head.src !== from) return { kind: "drop", why: "routed-source" }
    if (head.ttl <= 1) return { kind: "drop", why: "routed-ttl" }
    const key = String(session.id)
    if (!this.#mayMeet(from, head.dst)) return this.#refuse(key, head.dst, "no-session-with-target", 0, "routed-target", now)
    if (session.routedBytes + payload.length > this.#limits.routedPerSession) {
      return this.#refuse(key, head.dst, "limit", 0, "routed-budget", now)
    }
    const wait = this.#windows.take(key, now, payload.length)
    if (wait > 0) return this.#refuse(key, head.dst, "rate-limited", wait, "routed-budget", now)
    session.routedBytes += payload.length
    const withTtl = frameType === FRAME_ROUTED ? routedFrameWithTtl : routedHelloWithTtl
    return { kind: "forward", to: head.dst, payload: withTtl(payload, head.ttl - 1) }
  }

  forget(session: Session): void {
    this.#windows.forget(String(session.id))
    this.#rejects.forget(String(session.id))
  }

  #refuse(
    key: string,
    target: NodeId,
    reason: RejectReason,
    retryAfterMs: Milliseconds,
    why: "routed-budget" | "routed-target",
    now: Milliseconds,
  ): RoutingResult {
    if (this.#rejects.take(key, now) > 0) return { kind: "drop", why }
    return { kind: "reject", target, reason, retryAfterMs }
  }
}

function readHead(frameType: number, payload: Bytes): { src: NodeId; dst: NodeId; ttl: number } | undefined {
  try {
    return frameType === FRAME_ROUTED ? decodeRoutedFrame(payload) : decodeRoutedHello(payload)
  } catch (error) {
    if (isAvError(error)) return undefined
    throw error
  }
}
