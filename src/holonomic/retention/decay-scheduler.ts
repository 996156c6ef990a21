/** Walks over the contents once a minute and lets them age. Keeps nothing about time: a laptop opened after weeks is right at once. */
import { AvError } from "../../wire/errors.ts"
import type { U64 } from "../../wire/types.ts"
import { computeDecayTier, type DecayThresholds, type DecayTier, tierOfDecay } from "./decay.ts"
import { severity } from "./tiers.ts"

/** What the scheduler reads of one content. */
interface DecaySchedule {
  admittedAtUnixMs: U64
  revokedAtUnixMs: U64 | null
  className: string
  /** Undefined: a class that nobody explained. */
  thresholds: DecayThresholds | undefined
}

/** Where contents and their tiers are. `Ref` is whatever names a content there. */
export interface ConsentDecayStore<Ref> {
  listFountainContent(): Promise<readonly (readonly [content: Ref, tier: DecayTier])[]>
  getConsentSchedule(content: Ref): Promise<DecaySchedule>
  setDecayTier(content: Ref, tier: DecayTier): Promise<void>
  /** For what is revoked: a different path on purpose. */
  hardDelete(content: Ref): Promise<void>
}

interface DecayEvents<Ref> {
  /** One content could not be looked at or changed; the next walk tries again. */
  failed?: (content: Ref, error: unknown) => void
  changed?: (content: Ref, tier: DecayTier) => void
  /** `OverdueBacklog` with the number of `contents` that were two tiers or more behind. */
  overdue?: (backlog: AvError) => void
  /** A whole walk of `run` failed. */
  tickFailed?: (error: unknown) => void
}

/** Contents two tiers behind that are worth a word. */
const BACKLOG = 1_000
const DEFAULT_CADENCE_S = 60

/** A store for a peer without storage: everything is `PersistUnavailable`. */
export function unwiredDecayStore<Ref>(): ConsentDecayStore<Ref> {
  const refuse = () => Promise.reject(new AvError("PersistUnavailable"))
  return { listFountainContent: refuse, getConsentSchedule: refuse, setDecayTier: refuse, hardDelete: refuse }
}

export class ConsentDecayScheduler<Ref> {
  readonly #store: ConsentDecayStore<Ref>
  readonly #events: DecayEvents<Ref>

  constructor(store: ConsentDecayStore<Ref>, events: DecayEvents<Ref> = {}) {
    this.#store = store
    this.#events = events
  }

  /** One walk. Gives the number of contents changed. Fails only when the list cannot be had. */
  async tick(nowUnixMs: U64): Promise<number> {
    let changed = 0
    let behind = 0
    for (const [content, tier] of await this.#store.listFountainContent()) {
      try {
        const target = targetOf(await this.#store.getConsentSchedule(content), nowUnixMs)
        const steps = severity(tierOfDecay(target)) - severity(tierOfDecay(tier))
        // Never back: a clock that was set back restores nothing (D24).
        if (steps <= 0) continue
        if (steps >= 2) behind += 1
        if (target === "HardDelete") await this.#store.hardDelete(content)
        else await this.#store.setDecayTier(content, target)
        changed += 1
        this.#events.changed?.(content, target)
      } catch (error) {
        this.#events.failed?.(content, error)
      }
    }
    if (behind > BACKLOG) this.#events.overdue?.(new AvError("OverdueBacklog", { contents: behind }))
    return changed
  }

  /**
   * Walks at once and then every `cadenceSeconds` (at least 1, default 60) until `signal` aborts. Missed walks are not made up for.
   * `now` gives unix milliseconds, `sleep` waits and may end early when the signal aborts.
   */
  async run(
    signal: AbortSignal,
    clock: { now: () => U64; sleep: (ms: number, signal: AbortSignal) => Promise<void> },
    cadenceSeconds = DEFAULT_CADENCE_S,
  ): Promise<void> {
    const every = Math.max(1, cadenceSeconds) * 1_000
    let due = Number(clock.now())
    while (!signal.aborted) {
      await this.tick(clock.now()).catch((error: unknown) => this.#events.tickFailed?.(error))
      const now = Number(clock.now())
      due += every * Math.max(1, Math.floor((now - due) / every) + 1)
      // A clock set back would make the wait long.
      if (due - now > every) due = now + every
      if (!signal.aborted) await clock.sleep(due - now, signal)
    }
  }
}

function targetOf(schedule: DecaySchedule, nowUnixMs: U64): DecayTier {
  const { thresholds, revokedAtUnixMs, className } = schedule
  if (thresholds === undefined && revokedAtUnixMs === null) throw new AvError("InvalidConsentClass", { name: className })
  const known = thresholds ?? { full: 0, t2: 0, t3: 0, t4: 0, envelopeOnly: 0 }
  return computeDecayTier({ ...schedule, thresholds: known }, nowUnixMs)
}
