/**
 * Introductions between two nodes that both have a session here: the part that the server and a member share
 * (control-plane 6.2, 6.7). It forwards bytes as they are and never needs to understand ICE.
 */
import { MAX_LANE_KEY_LENGTH } from "../wire/lane-block.ts"
import type { Milliseconds, NodeId, U64 } from "../wire/types.ts"
import { type CoordinatorLimits, clampRetryAfter } from "./limits.ts"
import type { Introduction, RejectReason } from "./types.ts"
import { FixedWindows } from "./windows.ts"

/** What the coordinator must know of a description; everything else is the receiver's business. */
export interface DescriptionFacts {
  from: NodeId
  to: NodeId
  attemptId: U64
  issuedMs: U64
  answer: boolean
  trickle: boolean
}

/** What the coordinator sees of the sessions around it. */
export interface Neighbourhood {
  hasSession(node: NodeId): boolean
  /** May these two be introduced: same room. */
  mayMeet(a: NodeId, b: NodeId): boolean
  /** Reads a description; undefined when it does not parse. */
  read(description: Uint8Array): DescriptionFacts | undefined
  /** Looks at an attestation that `subject` sent along. */
  attestationFits(attestation: Uint8Array, subject: NodeId): boolean
  /** The description names addresses of others and none that `target` could use. Only a server knows; default: no. */
  namesOnlyOthers?(description: Uint8Array, requester: NodeId, target: NodeId): boolean
}

/** A message to hand on. */
export type Forward =
  | { kind: "introduce"; to: NodeId; from: NodeId; introduction: Introduction; ttlMs: Milliseconds }
  | { kind: "answer"; to: NodeId; introduction: Introduction }
  | { kind: "candidates"; to: NodeId; description: Uint8Array }
  | {
      kind: "reject"
      to: NodeId
      target: NodeId
      attemptId: U64
      reason: RejectReason
      retryAfterMs: Milliseconds
    }
  | { kind: "drop"; why: "no-attempt" | "malformed" | "budget" }

interface Attempt {
  requester: NodeId
  target: NodeId
  attemptId: U64
  endsAt: Milliseconds
  answered: boolean
  trickled: Map<NodeId, number>
}

/**
 * Remembers who asked for whom, so that answers, candidates and refusals go only where somebody waits for them. A refusal of
 * the target carries no requester, so the attempt is also how it finds its way back.
 */
export class Coordinator {
  readonly #limits: CoordinatorLimits
  readonly #around: Neighbourhood
  readonly #connects: FixedWindows
  readonly #introductions: FixedWindows
  /** By target and attempt id; in order of age. */
  readonly #attempts = new Map<string, Attempt>()

  constructor(around: Neighbourhood, limits: CoordinatorLimits) {
    this.#around = around
    this.#limits = limits
    this.#connects = new FixedWindows(limits.connect)
    this.#introductions = new FixedWindows(limits.introduce)
  }

  get openAttempts(): number {
    return this.#attempts.size
  }

  connect(from: NodeId, target: NodeId, introduction: Introduction, now: Milliseconds): Forward {
    this.#expire(now)
    const facts = this.#around.read(introduction.description)
    const attemptId = facts?.attemptId ?? 0n
    const refuse = (reason: RejectReason, retryAfterMs: Milliseconds = 0): Forward => {
      return { kind: "reject", to: from, target, attemptId, reason, retryAfterMs: clampRetryAfter(retryAfterMs) }
    }
    const wait = this.#connects.take(from, now)
    if (wait > 0) return refuse("rate-limited", wait)
    if (facts === undefined || facts.from !== from || facts.to !== target || facts.answer || facts.trickle)
      return refuse("malformed")
    if (!this.#isSound(introduction, from)) return refuse("malformed")
    if (this.#isStale(facts.issuedMs, now)) return refuse("stale")
    if (target === from || !this.#around.hasSession(target)) return refuse("no-session-with-target")
    if (!this.#around.mayMeet(from, target)) return refuse("policy")
    if (this.#around.namesOnlyOthers?.(introduction.description, from, target) === true) return refuse("reflex-mismatch")
    const key = attemptKey(target, attemptId)
    const known = this.#attempts.get(key)
    if (known !== undefined && known.requester !== from) return refuse("limit")
    const busy = this.#introductions.take(target, now)
    if (busy > 0) return refuse("target-busy", busy)
    if (known === undefined) this.#remember(key, from, target, attemptId, now)
    return { kind: "introduce", to: target, from, introduction, ttlMs: 10_000 }
  }

  answer(from: NodeId, to: NodeId, introduction: Introduction, now: Milliseconds): Forward {
    this.#expire(now)
    const facts = this.#around.read(introduction.description)
    if (facts === undefined || facts.from !== from || facts.to !== to || !facts.answer) return { kind: "drop", why: "malformed" }
    if (!this.#isSound(introduction, from)) return { kind: "drop", why: "malformed" }
    const attempt = this.#attempts.get(attemptKey(from, facts.attemptId))
    if (attempt === undefined || attempt.requester !== to || attempt.answered) return { kind: "drop", why: "no-attempt" }
    attempt.answered = true
    return { kind: "answer", to, introduction }
  }

  candidates(from: NodeId, to: NodeId, description: Uint8Array, now: Milliseconds): Forward {
    this.#expire(now)
    const facts = this.#around.read(description)
    if (facts === undefined || facts.from !== from || facts.to !== to || !facts.trickle) return { kind: "drop", why: "malformed" }
    const asked = this.#attempts.get(attemptKey(to, facts.attemptId))
    const attempt = asked?.requester === from ? asked : this.#attempts.get(attemptKey(from, facts.attemptId))
    if (attempt === undefined || (attempt.requester !== from && attempt.requester !== to))
      return { kind: "drop", why: "no-attempt" }
    const sent = attempt.trickled.get(from) ?? 0
    if (sent >= this.#limits.candidatesPerAttempt) return { kind: "drop", why: "budget" }
    attempt.trickled.set(from, sent + 1)
    return { kind: "candidates", to, description }
  }

  /** A target refuses an introduction; it ends the attempt. */
  refuse(from: NodeId, attemptId: U64, reason: RejectReason, retryAfterMs: Milliseconds, now: Milliseconds): Forward {
    this.#expire(now)
    const key = attemptKey(from, attemptId)
    const attempt = this.#attempts.get(key)
    if (attempt === undefined || attempt.answered) return { kind: "drop", why: "no-attempt" }
    this.#attempts.delete(key)
    const to = attempt.requester
    return { kind: "reject", to, target: from, attemptId, reason, retryAfterMs: clampRetryAfter(retryAfterMs) }
  }

  /** What travels beside a description: bounded, and about its sender. */
  #isSound({ attestation, key8 }: Introduction, from: NodeId): boolean {
    if (key8 !== undefined && key8.length > MAX_LANE_KEY_LENGTH) return false
    return attestation === undefined || this.#around.attestationFits(attestation, from)
  }

  #remember(key: string, requester: NodeId, target: NodeId, attemptId: U64, now: Milliseconds): void {
    if (this.#attempts.size >= this.#limits.attempts) {
      const oldest = this.#attempts.keys().next()
      if (oldest.done !== true) this.#attempts.delete(oldest.value)
    }
    const endsAt = now + this.#limits.attemptMs
    this.#attempts.set(key, { requester, target, attemptId, endsAt, answered: false, trickled: new Map() })
  }

  #expire(now: Milliseconds): void {
    for (const [key, attempt] of this.#attempts) {
      if (now < attempt.endsAt) return
      this.#attempts.delete(key)
    }
  }

  #isStale(issuedMs: U64, now: Milliseconds): boolean {
    const difference = issuedMs - BigInt(Math.floor(now))
    const skew = BigInt(this.#limits.clockSkewMs)
    return difference > skew || difference < -skew
  }
}

function attemptKey(target: NodeId, attemptId: U64): string {
  return `${target}:${attemptId}`
}
