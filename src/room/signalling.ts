/** Ways to reach a node that has no link yet: through the rendezvous server, or through a member that has a session with both. */
import type { ControlSession, LinkDescription } from "../link/index.ts"
import type { RendezvousClient } from "../rendezvous/index.ts"
import { FRAME_RENDEZVOUS, FRAME_ROUTED_HELLO } from "../wire/control-frame.ts"
import { encodeRendezvousMessage, type RejectReason, type RendezvousMessage } from "../wire/rendezvous-message.ts"
import type { Bytes, Milliseconds, NodeId, U64 } from "../wire/types.ts"

/** How long an offer is worth an answer, ms. */
const OFFER_TTL_MS = 10_000

/** One way of signalling. Every method answers false when it is closed at the moment. */
export interface Signal {
  /** Which way this is: `server`, or the id of a session. */
  readonly way: string
  connect(target: NodeId, offer: LinkDescription): boolean
  answer(to: NodeId, answer: LinkDescription): boolean
  candidates(to: NodeId, description: Bytes): boolean
  /** @param retryAfterMs when it may be worth another try; 0: nothing is known */
  reject(target: NodeId, attemptId: U64, reason: RejectReason, retryAfterMs?: Milliseconds): boolean
  /** A ROUTED or ROUTED_HELLO payload. */
  routed(type: number, payload: Bytes): boolean
}

export function serverSignal(client: RendezvousClient): Signal {
  return {
    way: "server",
    connect: (target, offer) => client.connectTo(target, offer),
    answer: (to, answer) => client.answer(to, answer),
    candidates: (to, description) => client.sendCandidates(to, description),
    reject: (target, attemptId, reason, retryAfterMs = 0) => client.reject({ target, attemptId, reason, retryAfterMs }),
    routed: (type, payload) => (type === FRAME_ROUTED_HELLO ? client.sendRoutedHello(payload) : client.sendRouted(payload)),
  }
}

/** @param attestation the newest of this page, which the server would add by itself */
export function memberSignal(session: ControlSession, attestation: () => Bytes | undefined): Signal {
  const send = (message: RendezvousMessage) => trySend(session, FRAME_RENDEZVOUS, encodeRendezvousMessage(message))
  const introduction = (description: LinkDescription) => introductionOf(description, attestation())
  return {
    way: session.id,
    connect: (targetNode, offer) => send({ kind: "connect", targetNode, ...introduction(offer) }),
    answer: (toNode, answer) => send({ kind: "answer", toNode, ...introduction(answer) }),
    candidates: (toNode, description) => send({ kind: "candidates", toNode, description }),
    reject: (targetNode, attemptId, reason, retryAfterMs = 0) =>
      send({ kind: "reject", targetNode, attemptId, reason, retryAfterMs }),
    routed: (type, payload) => trySend(session, type, payload),
  }
}

/** To the peer of a routed session itself: this page has a session with both ends, so it introduces itself (control-plane 6.2). */
export function ownSignal(session: ControlSession, self: NodeId, attestation: () => Bytes | undefined): Signal {
  const about = { kind: "introduce", fromNode: self, ttlMs: OFFER_TTL_MS } as const
  return {
    ...memberSignal(session, attestation),
    connect: (_, offer) => {
      const introduction = introductionOf(offer, attestation())
      return trySend(session, FRAME_RENDEZVOUS, encodeRendezvousMessage({ ...about, ...introduction }))
    },
  }
}

/** Sends a frame on a session that may just have ended; losing it is the other side's timeout, not our error. */
export function trySend(session: ControlSession, type: number, payload: Bytes): boolean {
  if (session.closed) return false
  try {
    session.sendFrame(type, payload)
    return true
  } catch {
    return false
  }
}

/** The form of the wire, which names key 8 by what is in it. */
function introductionOf({ description, key8 }: LinkDescription, attestation: Bytes | undefined) {
  return { description, ...(key8 && { lanes: key8 }), ...(attestation && { attestation }) }
}
