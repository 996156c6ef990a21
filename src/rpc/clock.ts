/** The one place where calls create timers (control-plane 4.5). */
import type { Milliseconds } from "../wire/types.ts"

/** A clock that never goes back, and timers on it. Injected, so that tests decide about time. */
export interface RpcClock {
  now(): Milliseconds
  /** Runs `action` once after `ms`; the result cancels it. Non-finite times are never due. */
  after(ms: Milliseconds, action: () => void): () => void
}

/** A longer `setTimeout` fires at once, because browsers cut the argument to a signed 32-bit integer. */
export const MAX_TIMER_MS = 2 ** 31 - 1

export const systemClock: RpcClock = {
  now: () => performance.now(),
  after(ms, action) {
    if (!Number.isFinite(ms)) return () => {}
    const timer = setTimeout(action, clampTimer(ms))
    return () => clearTimeout(timer)
  },
}

/** `ms` held within what a timer can express. */
function clampTimer(ms: Milliseconds): Milliseconds {
  return Math.min(MAX_TIMER_MS, Math.max(0, ms))
}

/** Longest budget of one call; larger values are taken for this one. A day. */
export const MAX_CALL_MS = 86_400_000

/** A budget as it travels: at least 1, because 0 means "none". */
export function clampCallMs(ms: Milliseconds): Milliseconds {
  return Math.min(MAX_CALL_MS, Math.max(1, Math.ceil(ms)))
}
