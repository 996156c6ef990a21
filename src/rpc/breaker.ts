/** Stops asking a service that keeps failing (control-plane 4.6). */
import type { Milliseconds } from "../wire/types.ts"
import { type RpcClock, systemClock } from "./clock.ts"
import { RpcError, retryable } from "./status.ts"

interface BreakerSettings {
  /** Failures in a row that open it. */
  failures: number
  openMs: Milliseconds
  /** Successes that close it again. */
  successes: number
}

const DEFAULTS: BreakerSettings = { failures: 5, openMs: 30_000, successes: 1 }

/** Wraps calls to one service: `breaker.run(() => node.callService(…))`. While it is open, calls fail at once with `no-route`. */
export class CircuitBreaker {
  readonly #settings: BreakerSettings
  readonly #clock: RpcClock
  #failures = 0
  #successes = 0
  #openUntil: Milliseconds | undefined
  #probing = false

  constructor(settings: Partial<BreakerSettings> = {}, clock: RpcClock = systemClock) {
    this.#settings = { ...DEFAULTS, ...settings }
    this.#clock = clock
  }

  get open(): boolean {
    return this.#openUntil !== undefined && (this.#probing || this.#clock.now() < this.#openUntil)
  }

  /** Runs `call` unless the breaker is open. When its time is over, one call at a time finds out whether it may close. */
  async run<T>(call: () => Promise<T>): Promise<T> {
    if (this.open) throw new RpcError({ kind: "no-route", target: null, reason: "the circuit breaker is open" })
    const trial = this.#openUntil !== undefined
    this.#probing = trial
    try {
      const value = await call()
      this.#succeeded()
      return value
    } catch (error) {
      // A refusal or an application's own status says that the service works.
      if (error instanceof RpcError && !retryable(error.failure)) this.#succeeded()
      else this.#failed(trial)
      throw error
    } finally {
      if (trial) this.#probing = false
    }
  }

  #succeeded(): void {
    this.#failures = 0
    if (this.#openUntil === undefined) return
    this.#successes += 1
    if (this.#successes >= this.#settings.successes) this.#openUntil = undefined
  }

  #failed(trial: boolean): void {
    this.#failures += 1
    if (!trial && this.#failures < this.#settings.failures) return
    this.#openUntil = this.#clock.now() + this.#settings.openMs
    this.#successes = 0
  }
}
