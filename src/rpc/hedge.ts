/** The same question to several nodes when the first takes long (control-plane 4.6). */
import type { Milliseconds } from "../wire/types.ts"
import type { RpcClock } from "./clock.ts"

export interface HedgeOptions {
  /** How long an attempt may be without answer before the next starts. */
  delayMs: Milliseconds
  /** Attempts beside the first. */
  hedges: number
}
export const DEFAULT_HEDGE: HedgeOptions = { delayMs: 50, hedges: 1 }

/**
 * Starts the attempts one after the other, `delayMs` apart or as soon as all that run have failed. The first success wins and the rest
 * is cancelled. When all fail, the error is that of the first attempt, whatever order they failed in.
 */
export function hedged<T>(
  attempts: readonly ((signal: AbortSignal) => Promise<T>)[],
  delayMs: Milliseconds,
  clock: RpcClock,
): Promise<T> {
  return new Promise((resolve, reject) => {
    const aborts: AbortController[] = []
    const errors = new Map<number, unknown>()
    let stop = () => {}
    let settled = false
    const next = () => {
      stop()
      const index = aborts.length
      const attempt = attempts[index]
      if (settled || attempt === undefined) return
      const abort = new AbortController()
      aborts.push(abort)
      stop = clock.after(delayMs, next)
      attempt(abort.signal).then(
        (value) => {
          if (settled) return
          settled = true
          stop()
          for (const [other, loser] of aborts.entries()) if (other !== index) loser.abort()
          resolve(value)
        },
        (error: unknown) => {
          errors.set(index, error)
          if (settled || errors.size < aborts.length) return
          if (aborts.length < attempts.length) return next()
          settled = true
          stop()
          reject(errors.get(0))
        },
      )
    }
    next()
  })
}
