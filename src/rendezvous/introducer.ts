/**
 * Introductions by a member: the coordinator's rules on the control sessions of a page (control-plane 6.2, room RM-21).
 * Feed it the RENDEZVOUS frames of control sessions; it says what to hand on to whom and what is meant for this page.
 */
import { FRAME_RENDEZVOUS } from "../wire/control-frame.ts"
import { isAvError } from "../wire/errors.ts"
import { decodeRendezvousMessage, encodeRendezvousMessage, type RendezvousMessage } from "../wire/rendezvous-message.ts"
import type { Bytes, Milliseconds, NodeId } from "../wire/types.ts"
import { Coordinator } from "./coordinator.ts"
import { attestationFits, readDescription } from "./evidence.ts"
import { COORDINATOR_LIMITS, type CoordinatorLimits, clampTtl } from "./limits.ts"
import { forwardToMessage, introductionOf, rejectionOf, rejectMessage, wireIntroduction } from "./messages.ts"
import type { IncomingIntroduction, Introduction, Rejection, RendezvousDrops } from "./types.ts"

export type IntroducerAction =
  /** Send this RENDEZVOUS frame on the session with that node. */
  | { type: "send"; to: NodeId; frameType: typeof FRAME_RENDEZVOUS; payload: Bytes }
  /** `via` introduces somebody to this page. */
  | { type: "introduce"; via: NodeId; introduction: IncomingIntroduction }
  | { type: "answer"; via: NodeId; introduction: Introduction }
  | { type: "candidates"; via: NodeId; description: Bytes }
  | { type: "reject"; via: NodeId; rejection: Rejection }

interface IntroducerOptions {
  self: NodeId
  /** An authenticated session with that node is open. */
  hasSession(node: NodeId): boolean
  /** The room's policy; default: whoever has a session here may meet. */
  mayMeet?(a: NodeId, b: NodeId): boolean
  limits?: CoordinatorLimits
}

/** Coordinator for others and mailbox for this page's own introductions, over sessions instead of a server. */
export class IntroducerMachine {
  readonly drops: RendezvousDrops = {}
  readonly #self: NodeId
  readonly #coordinator: Coordinator

  constructor(options: IntroducerOptions) {
    this.#self = options.self
    const mayMeet = options.mayMeet?.bind(options) ?? (() => true)
    const hasSession = options.hasSession.bind(options)
    const around = { hasSession, mayMeet, read: readDescription, attestationFits }
    this.#coordinator = new Coordinator(around, options.limits ?? COORDINATOR_LIMITS)
  }

  /** A RENDEZVOUS payload from the session with `from`. `now` is Unix milliseconds. Never throws on its content. */
  receive(from: NodeId, payload: Bytes, now: Milliseconds): IntroducerAction[] {
    let message: RendezvousMessage
    try {
      message = decodeRendezvousMessage(payload)
    } catch (error) {
      if (!isAvError(error)) throw error
      return this.#drop("malformed")
    }
    switch (message.kind) {
      case "connect":
        return this.#forward(this.#coordinator.connect(from, message.targetNode, introductionOf(message), now))
      case "introduce": {
        const introduction = { ...introductionOf(message), from: message.fromNode, ttlMs: clampTtl(message.ttlMs) }
        return [{ type: "introduce", via: from, introduction }]
      }
      case "answer":
        if (message.toNode === this.#self) return [{ type: "answer", via: from, introduction: introductionOf(message) }]
        return this.#forward(this.#coordinator.answer(from, message.toNode, introductionOf(message), now))
      case "candidates":
        if (message.toNode === this.#self) return [{ type: "candidates", via: from, description: message.description }]
        return this.#forward(this.#coordinator.candidates(from, message.toNode, message.description, now))
      case "reject":
        return this.#reject(from, rejectionOf(message), now)
      default:
        return this.#drop("direction")
    }
  }

  /** Asks the session with `via` to introduce this page to `target`. */
  connect(via: NodeId, target: NodeId, introduction: Introduction): IntroducerAction {
    return this.#send(via, { kind: "connect", targetNode: target, ...wireIntroduction(introduction) })
  }

  /** Answers an introduction on the session it came from. */
  answer(via: NodeId, to: NodeId, introduction: Introduction): IntroducerAction {
    return this.#send(via, { kind: "answer", toNode: to, ...wireIntroduction(introduction) })
  }

  candidates(via: NodeId, to: NodeId, description: Bytes): IntroducerAction {
    return this.#send(via, { kind: "candidates", toNode: to, description })
  }

  /** Refuses an introduction that came from `via`. */
  refuse(via: NodeId, rejection: Omit<Rejection, "target">): IntroducerAction {
    return this.#send(via, rejectMessage({ ...rejection, target: this.#self }))
  }

  /** A refusal that names its sender comes from a target we introduced somebody to; any other is about our own request. */
  #reject(from: NodeId, rejection: Rejection, now: Milliseconds): IntroducerAction[] {
    if (rejection.target === from) {
      const { attemptId, reason, retryAfterMs } = rejection
      const forward = this.#coordinator.refuse(from, attemptId, reason, retryAfterMs, now)
      if (forward.kind !== "drop") return this.#forward(forward)
    }
    return [{ type: "reject", via: from, rejection }]
  }

  #forward(forward: ReturnType<Coordinator["connect"]>): IntroducerAction[] {
    if (forward.kind === "drop") return this.#drop(forward.why)
    return [this.#send(forward.to, forwardToMessage(forward))]
  }

  #send(to: NodeId, message: RendezvousMessage): IntroducerAction {
    return { type: "send", to, frameType: FRAME_RENDEZVOUS, payload: encodeRendezvousMessage(message) }
  }

  #drop(why: string): IntroducerAction[] {
    this.drops[why] = (this.drops[why] ?? 0) + 1
    return []
  }
}
