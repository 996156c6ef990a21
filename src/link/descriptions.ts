/** Signed descriptions of a link: making them, and every check of control-plane 6.3 before one is believed. */
import { nodeIdOf } from "../crypto/ids.ts"
import { signLabelled, verifyLabelled } from "../crypto/labelled.ts"
import type { PinTable } from "../identity/pins.ts"
import type { IdentitySigner } from "../identity/signer.ts"
import { decodeDescription, encodeUnsignedDescription, joinDescription, type SessionDescription } from "../wire/description.ts"
import { AvError } from "../wire/errors.ts"
import type { Bytes, Milliseconds, NodeId, U64 } from "../wire/types.ts"

/** A description older or newer than this is stale, ms. */
const MAX_AGE_MS = 60_000n
/** Offers remembered so that none is answered twice. */
const MAX_SEEN_ATTEMPTS = 4_096

/** Signs a description of ours. */
export async function signDescription(description: SessionDescription, signer: IdentitySigner): Promise<Bytes> {
  const unsigned = encodeUnsignedDescription(description)
  return joinDescription(unsigned, await signLabelled("mesh/desc/v1", unsigned, signer))
}

export interface DescriptionExpectation {
  selfNode: NodeId
  /** Whom we asked for, or key 1 of INTRODUCE. */
  fromNode: NodeId
  kind: "offer" | "answer" | "trickle"
  /** An offer or answer of an ICE restart is wanted; without it those are refused. */
  restart?: boolean
  /** Required for answers and trickle. */
  attemptId?: U64
  /** Unix time in ms. */
  now: Milliseconds
  pins?: PinTable
}

/**
 * Decodes and verifies a description. Throws `DescriptionInvalid` with the first check that failed in `why`; nothing of
 * the attempt is touched then, so that a forged answer cannot use up a pending one.
 */
export async function checkDescription(bytes: Bytes, expected: DescriptionExpectation): Promise<SessionDescription> {
  const { description, signedBytes, signature } = decode(bytes)
  const refuse = (why: string) => new AvError("DescriptionInvalid", { why })
  if (description.toNode !== expected.selfNode) throw refuse("for another node")
  if (nodeIdOf(description.fromEntity) !== expected.fromNode) throw refuse("from another node")
  if (expected.pins?.contradicts(expected.fromNode, description.fromEntity)) throw refuse("contradicts a pin")
  if (kindOf(description) !== expected.kind) throw refuse("another kind")
  if (expected.kind !== "trickle" && description.iceRestart !== (expected.restart ?? false)) throw refuse("another kind")
  if (expected.attemptId !== undefined && description.attemptId !== expected.attemptId) throw refuse("another attempt")
  const age = BigInt(Math.floor(expected.now)) - description.issuedMs
  if (age > MAX_AGE_MS || age < -MAX_AGE_MS) throw refuse("stale")
  if (!(await verifyLabelled("mesh/desc/v1", signedBytes, description.fromEntity, signature))) throw refuse("signature")
  return description
}

/**
 * When both sides have an offer pending for each other (glare), the offer of the numerically smaller node id wins; the
 * other side drops its own and answers.
 */
export function ourOfferWins(selfNode: NodeId, peerNode: NodeId): boolean {
  return selfNode < peerNode
}

/** Remembers offers by sender and attempt, least recent out first. */
export class AttemptLog {
  readonly #seen = new Set<string>()

  /** `false` when this offer was seen before and must be dropped. */
  admit(fromNode: NodeId, attemptId: U64): boolean {
    const key = `${fromNode}/${attemptId}`
    if (this.#seen.has(key)) return false
    this.#seen.add(key)
    const oldest = this.#seen.values().next()
    if (this.#seen.size > MAX_SEEN_ATTEMPTS && !oldest.done) this.#seen.delete(oldest.value)
    return true
  }
}

/** What a description says before it is verified. For routing only. */
export interface DescriptionHead {
  fromEntity: Bytes
  fromNode: NodeId
  toNode: NodeId
  attemptId: U64
  trickle: boolean
  iceRestart: boolean
  dtlsFingerprint: Bytes
}

/** Reads the head of a description; `undefined` when it does not parse. */
export function peekDescription(bytes: Bytes): DescriptionHead | undefined {
  try {
    const { description } = decode(bytes)
    const { fromEntity, toNode, attemptId, trickle, iceRestart, dtlsFingerprint } = description
    return { fromEntity, fromNode: nodeIdOf(fromEntity), toNode, attemptId, trickle, iceRestart, dtlsFingerprint }
  } catch {
    return undefined
  }
}

function decode(bytes: Bytes) {
  try {
    return decodeDescription(bytes)
  } catch (cause) {
    throw new AvError("DescriptionInvalid", { why: "malformed" }, { cause })
  }
}

function kindOf(description: SessionDescription): DescriptionExpectation["kind"] {
  if (description.trickle) return "trickle"
  return description.answer ? "answer" : "offer"
}
