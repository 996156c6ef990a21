/** When a failed call is tried again (control-plane 4.6). Sans-I/O. */
import type { Milliseconds } from "../wire/types.ts"
import { type RpcFailure, retryable } from "./status.ts"

/** Retries run a handler more than once. Ask for them only where that does no harm. */
export interface RetryPolicy {
  /** Counts the first try; below 1 means 1. */
  maxAttempts: number
  initialBackoffMs: Milliseconds
  /** At least 1. */
  multiplier: number
  maxBackoffMs: Milliseconds
  /** Shortens each pause by a random share of up to a half. */
  jitter: boolean
  /** No attempt starts later than this after the first. */
  retryDeadlineMs: Milliseconds
  retryable: (failure: RpcFailure) => boolean
}

export const DEFAULT_RETRY: RetryPolicy = {
  maxAttempts: 3,
  initialBackoffMs: 50,
  multiplier: 2,
  maxBackoffMs: 1_000,
  jitter: true,
  retryDeadlineMs: 20_000,
  retryable,
}

type RetryStep = { retry: true; afterMs: Milliseconds } | { retry: false; failure: RpcFailure }

/** The attempts of one call. */
export class RetrySchedule {
  readonly #policy: RetryPolicy
  readonly #random: () => number
  readonly #firstAt: Milliseconds
  #attempts = 1

  /** @param random uniform, 0 ≤ x < 1 */
  constructor(policy: Partial<RetryPolicy>, firstAt: Milliseconds, random: () => number) {
    this.#policy = { ...DEFAULT_RETRY, ...policy }
    this.#firstAt = firstAt
    this.#random = random
  }

  /** When waiting inside of an attempt must end as well. */
  get deadlineAt(): Milliseconds {
    return this.#firstAt + this.#policy.retryDeadlineMs
  }

  /** What follows from a failure at `now`. A refusal by a gate is final, whatever the policy says. */
  next(failure: RpcFailure, now: Milliseconds): RetryStep {
    const { maxAttempts, retryable: wanted } = this.#policy
    if (failure.kind === "capability-denied" || !wanted(failure) || this.#attempts >= Math.max(1, maxAttempts)) {
      return { retry: false, failure }
    }
    const afterMs = this.#backoff()
    if (now + afterMs > this.deadlineAt) return { retry: false, failure: this.saturated() }
    this.#attempts += 1
    return { retry: true, afterMs }
  }

  saturated(): RpcFailure {
    return { kind: "transport", message: `saturated: no progress within ${this.#policy.retryDeadlineMs} ms` }
  }

  #backoff(): Milliseconds {
    const { initialBackoffMs, multiplier, maxBackoffMs, jitter } = this.#policy
    const pause = Math.min(maxBackoffMs, initialBackoffMs * Math.max(1, multiplier) ** (this.#attempts - 1))
    return jitter ? pause * (0.5 + 0.5 * this.#random()) : pause
  }
}
