/** Between the wire's RENDEZVOUS messages and the shapes of this folder. */
import {
  encodeRendezvousMessage,
  type RendezvousMessage,
  type Introduction as WireIntroduction,
} from "../wire/rendezvous-message.ts"
import type { Bytes, NodeId } from "../wire/types.ts"
import type { Forward } from "./coordinator.ts"
import { ROSTER_LIMIT } from "./limits.ts"
import type { Introduction, Rejection } from "./types.ts"

/** The introduction inside a CONNECT, INTRODUCE or ANSWER, and nothing else of the message. */
export function introductionOf({ description, attestation, lanes }: WireIntroduction): Introduction {
  const introduction: Introduction = { description }
  if (lanes !== undefined) introduction.key8 = lanes
  if (attestation !== undefined) introduction.attestation = attestation
  return introduction
}

export function wireIntroduction({ description, attestation, key8 }: Introduction): WireIntroduction {
  const introduction: WireIntroduction = { description }
  if (key8 !== undefined) introduction.lanes = key8
  if (attestation !== undefined) introduction.attestation = attestation
  return introduction
}

/** What a coordinator hands on, as a message to the one it is for. */
export function forwardToMessage(forward: Exclude<Forward, { kind: "drop" }>): RendezvousMessage {
  switch (forward.kind) {
    case "introduce": {
      const { from: fromNode, ttlMs, introduction } = forward
      return { kind: "introduce", fromNode, ttlMs, ...wireIntroduction(introduction) }
    }
    case "answer":
      return { kind: "answer", toNode: forward.to, ...wireIntroduction(forward.introduction) }
    case "candidates":
      return { kind: "candidates", toNode: forward.to, description: forward.description }
    case "reject":
      return rejectMessage(forward)
  }
}

export function rejectMessage({ target, attemptId, reason, retryAfterMs }: Rejection): RendezvousMessage {
  return { kind: "reject", targetNode: target ?? null, attemptId, reason, retryAfterMs }
}

export function rejectionOf(message: Extract<RendezvousMessage, { kind: "reject" }>): Rejection {
  const { targetNode, attemptId, reason, retryAfterMs } = message
  return { target: targetNode ?? undefined, attemptId, reason, retryAfterMs }
}

/** A change of a room as payloads of ROSTER_DELTA, as many as it takes. */
export function deltaPages(namespace: string, joined: NodeId[], left: NodeId[]): Bytes[] {
  const pages: Bytes[] = []
  for (let i = 0; i < Math.max(joined.length, left.length); i += ROSTER_LIMIT) {
    const page = { joined: joined.slice(i, i + ROSTER_LIMIT), left: left.slice(i, i + ROSTER_LIMIT) }
    pages.push(encodeRendezvousMessage({ kind: "roster-delta", namespace, ...page }))
  }
  return pages
}
