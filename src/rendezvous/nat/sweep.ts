/** When to look at one's NAT again, one look at a time, and never for the worse (control-plane 6.9). Sans-I/O. */
import type { AddressBlock } from "../../wire/address.ts"
import type { Milliseconds } from "../../wire/types.ts"
import { classifyNat, type NatClass, type NatEvidence, type NatObservation } from "./classify.ts"

/** The class and the address it belongs to: always read together. */
interface NatState {
  class: NatClass
  reflex: AddressBlock | undefined
}

interface NatSweepSettings {
  /** Between looks without cause: 60 s in Node, 300 s in browsers, each ± 10 %. */
  intervalMs: Milliseconds
  random: () => number
}

export type NatSweepAction =
  /** Start asking every configured observer; answers come back by `observe`, with this id. */
  | { type: "probe"; sweep: number }
  /** Stop asking; nothing that still arrives counts. */
  | { type: "stop"; sweep: number }
  /** The look is over: resolve everybody who waits for it. `changed` says whether class or address are new. */
  | { type: "done"; state: NatState; changed: boolean }

const SWEEP_MS = 5_000
const DEBOUNCE_MS = 2_000
const SPACING_MS = 10_000

/** Most observations of one look that are kept: a server's answer lists them, and it may be hostile. */
const MAX_OBSERVATIONS = 64

/**
 * Decides about sweeps. The driver asks the observers of its configuration and nobody else: no input of this class names one.
 * Call {@link tick} at {@link dueAt}.
 */
export class NatSweep {
  readonly #settings: NatSweepSettings
  #state: NatState = { class: "unknown", reflex: undefined }
  #override: AddressBlock | undefined
  #running: { id: number; endsAt: Milliseconds; observations: NatObservation[] } | undefined
  #lastStart = Number.NEGATIVE_INFINITY
  #nextAt = Number.POSITIVE_INFINITY
  #nextId = 1
  #conclusive = 0

  constructor(settings: NatSweepSettings) {
    this.#settings = settings
  }

  get state(): NatState {
    return this.#state
  }

  /** Looks that saw enough for a class. */
  get conclusive(): number {
    return this.#conclusive
  }

  /** True while a look is under way; a second request joins it. */
  get running(): boolean {
    return this.#running !== undefined
  }

  /** When {@link tick} is to be called next; infinite when nothing is planned. */
  get dueAt(): Milliseconds {
    return this.#running?.endsAt ?? this.#nextAt
  }

  /** The first session is there, or somebody asks. Joins a running look; keeps 10 s between two. */
  request(now: Milliseconds): NatSweepAction[] {
    if (this.#override !== undefined) return [{ type: "done", state: this.#state, changed: false }]
    if (this.#running !== undefined) return []
    if (now - this.#lastStart < SPACING_MS) {
      this.#nextAt = Math.min(this.#nextAt, this.#lastStart + SPACING_MS)
      return []
    }
    return this.#start(now)
  }

  /** The network changed: what was known belongs to the old one. */
  networkChanged(now: Milliseconds): NatSweepAction[] {
    const actions = this.#abandon()
    if (this.#override === undefined) actions.push(...this.#commit({ class: "unknown", reflex: undefined }))
    this.#nextAt = Math.max(now + DEBOUNCE_MS, this.#lastStart + SPACING_MS)
    return actions
  }

  /** An operator's word or a confirmed port mapping; undefined when it is gone. Ends a running look. */
  setOverride(reflex: AddressBlock | undefined, now: Milliseconds): NatSweepAction[] {
    const actions = this.#abandon()
    this.#override = reflex
    if (reflex !== undefined) {
      this.#nextAt = Number.POSITIVE_INFINITY
      return [...actions, ...this.#commit({ class: "open", reflex })]
    }
    this.#nextAt = Math.max(now, this.#lastStart + SPACING_MS)
    return [...actions, ...this.#commit({ class: "unknown", reflex: undefined })]
  }

  /** An observer's answer. Another sweep's id is ignored, so an answer that comes late disturbs nothing. */
  observe(sweep: number, observation: NatObservation): void {
    const running = this.#running
    if (running?.id !== sweep || running.observations.length >= MAX_OBSERVATIONS) return
    running.observations.push(observation)
  }

  /** Everything that could be asked has answered or given up. */
  finish(sweep: number, evidence: Pick<NatEvidence, "hostAddresses" | "dialBack">, now: Milliseconds): NatSweepAction[] {
    const running = this.#running
    if (running?.id !== sweep) return []
    this.#running = undefined
    this.#plan(now)
    const verdict = classifyNat({ ...evidence, observations: running.observations, override: false })
    // Too little evidence keeps what was known. A class without its address would be torn in two: not taken either.
    const usable = verdict !== null && verdict.reflex !== undefined && this.#override === undefined
    if (usable) this.#conclusive++
    return this.#commit(usable ? { class: verdict.class, reflex: verdict.reflex } : this.#state)
  }

  /** The deadline of a look, or the time for the next one. */
  tick(now: Milliseconds): NatSweepAction[] {
    const running = this.#running
    if (running !== undefined) {
      if (now < running.endsAt) return []
      const stopped = this.#abandon()
      this.#plan(now)
      return [...stopped, ...this.#commit(this.#state)]
    }
    if (now < this.#nextAt || this.#override !== undefined) return []
    return this.#start(now)
  }

  #start(now: Milliseconds): NatSweepAction[] {
    const id = this.#nextId++
    this.#running = { id, endsAt: now + SWEEP_MS, observations: [] }
    this.#lastStart = now
    return [{ type: "probe", sweep: id }]
  }

  #abandon(): NatSweepAction[] {
    const running = this.#running
    this.#running = undefined
    return running === undefined ? [] : [{ type: "stop", sweep: running.id }]
  }

  #plan(now: Milliseconds): void {
    this.#nextAt = now + this.#settings.intervalMs * (0.9 + 0.2 * this.#settings.random())
  }

  #commit(state: NatState): NatSweepAction[] {
    const changed = state.class !== this.#state.class || !sameAddress(state.reflex, this.#state.reflex)
    this.#state = state
    return [{ type: "done", state, changed }]
  }
}

function sameAddress(a: AddressBlock | undefined, b: AddressBlock | undefined): boolean {
  if (a === undefined || b === undefined) return a === b
  return a.family === b.family && a.port === b.port && a.address.every((byte, i) => byte === b.address[i])
}
