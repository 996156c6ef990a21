/** Whom a subscription asks next: among the candidates that the plan allows, by who is there already and who was asked in vain. */
import type { Milliseconds, PeerKeyId } from "../wire/types.ts"
import type { CandidateBackoff } from "./candidate-backoff.ts"
import type { CandidateList } from "./candidate-list.ts"
import { REPARENT_BACKOFF_MS } from "./constants.ts"
import { areIndependent, chooseBackup } from "./diversity.ts"
import { isHealthy, MAX_SPARES, type ParentSlot } from "./parent-slot.ts"
import { SwitchDamper } from "./switch-damper.ts"
import type { ParentCandidate } from "./types.ts"

/** Without any parent, one more candidate is asked at least this often, whatever is held against it. */
const MAX_EMERGENCY_STEP_MS = 1_000
/** Who was left for a better one is not taken again for this time unless there is nobody else: plans that change back must not lead back. */
const LEFT_MS = 60_000
/** Such parents remembered. */
const MAX_LEFT = 32
/** Key ids in `via` (D-45), the publisher beside them. */
const MAX_NEAR = 3

type Slots = ReadonlyMap<PeerKeyId, ParentSlot>

/** What kind of parent is sought. */
interface Wish {
  /** One was lost, and quickness counts more than the best. */
  urgent?: boolean
  /** Beside others that were asked; the last resort of everybody is not. */
  extra?: boolean
  /** As many as are wanted deliver, though not all of them are to stay. */
  enough?: boolean
  /** Only who has a link, or only who has none. */
  linked?: boolean | undefined
}

export class ParentChoice {
  readonly #list: CandidateList
  readonly #backoff: CandidateBackoff
  readonly #publisher: PeerKeyId
  readonly #damper = new SwitchDamper()
  /** When a healthy parent was left by choice. */
  readonly #left = new Map<PeerKeyId, Milliseconds>()
  #emergency = { at: Number.NEGATIVE_INFINITY, step: REPARENT_BACKOFF_MS }

  constructor(list: CandidateList, backoff: CandidateBackoff, publisher: PeerKeyId) {
    this.#list = list
    this.#backoff = backoff
    this.#publisher = publisher
  }

  /** No healthy parent is left now: one was less than 30 s ago (D-26.6). */
  isResting(now: Milliseconds): boolean {
    return this.#damper.isResting(now)
  }

  /** A move is begun or done. The time until the next one counts from its end as well as from its beginning. */
  switched(now: Milliseconds): void {
    this.#damper.switched(now)
  }

  /** A parent that delivered was replaced, and not because it failed. */
  left(keyId: PeerKeyId, now: Milliseconds): void {
    this.#left.delete(keyId)
    this.#left.set(keyId, now)
    const [oldest] = this.#left.keys()
    if (this.#left.size > MAX_LEFT && oldest !== undefined) this.#left.delete(oldest)
  }

  /** Somebody delivers: the next need is a new one. */
  fed(): void {
    this.#emergency.step = REPARENT_BACKOFF_MS
  }

  /**
   * The next one to ask; undefined when nobody should be asked now.
   */
  next(
    slots: Slots,
    now: Milliseconds,
    { urgent = false, extra = false, enough = false, linked }: Wish = {},
  ): ParentCandidate | undefined {
    const mayBe = (keyId: PeerKeyId) => !slots.has(keyId) && !(extra && keyId === this.#publisher)
    const unused = (list: ParentCandidate[]) => list.filter((candidate) => mayBe(keyOf(candidate)))
    const ready = (list: ParentCandidate[]) => list.filter((candidate) => this.#backoff.until(keyOf(candidate)) <= now)
    const isKind = (candidate: ParentCandidate) => linked === undefined || linked === (candidate.linked !== false)
    const free = ready(unused(this.#list.ranked(now))).filter(isKind)
    const all = [...slots.values()]
    const hungry = all.every(({ state, doomed }) => state === "asked" || doomed === "silent")
    if (!hungry) return urgent ? this.#quickest(all, free, now) : this.#beside(all, this.#notLeft(free, enough, now), now)
    // Whoever has a link answers within a round trip.
    const linkedFirst = [...free.filter(({ linked }) => linked !== false), ...free.filter(({ linked }) => linked === false)]
    if (free.length > 0) return urgent ? this.#quickest(all, free, now) : this.#beside(all, linkedFirst, now)
    const others = unused(this.#list.rankedWithoutPlan(now)).filter(isKind)
    return ready(others)[0] ?? this.#inNeed(others, now)
  }

  /**
   * D-26.6: the candidate that should replace `worst` beside `kept`: for a clear and lasting gain only, never deeper into the plan, and not
   * at the price of two parents that fail together. Ask regularly while all is well.
   */
  challenger(worst: PeerKeyId, kept: readonly PeerKeyId[], slots: Slots, now: Milliseconds): ParentCandidate | undefined {
    const standing = this.#list.get(worst)
    const beside = kept.flatMap((keyId) => this.#list.get(keyId) ?? [])
    const together = (one: ParentCandidate, other: ParentCandidate) => !areIndependent(one, other)
    const challengers = this.#list.ranked(now).filter((candidate) => {
      const keyId = keyOf(candidate)
      if (slots.has(keyId) || this.#isResting(keyId, now) || keyId === this.#publisher) return false
      if (this.#list.depthOf(keyId) > this.#list.depthOf(worst) || this.#list.isScarce(keyId, now)) return false
      return beside.every((other) => !together(other, candidate) || (standing !== undefined && together(other, standing)))
    })
    const current = this.#list.offerOf(worst)
    const offers = challengers.map((candidate) => this.#list.offerOf(keyOf(candidate)))
    const anchor = this.#anchor([worst, ...kept], slots, now)
    if (anchor !== undefined) {
      // Worth as much as a layer, and damped like every other gain.
      challengers.unshift(anchor)
      offers.unshift({ ...this.#list.offerOf(keyOf(anchor)), layers: current.layers + 1 })
    }
    const winner = this.#damper.consider(current, offers, now)
    if (winner !== undefined) this.#damper.switched(now)
    return challengers.find((candidate) => keyOf(candidate) === winner)
  }

  /** Known to fail together (D-26.5). */
  goTogether(candidate: ParentCandidate, keyId: PeerKeyId): boolean {
    const other = this.#list.get(keyId)
    return other !== undefined && !areIndependent(candidate, other)
  }

  /** Who could stand beside `kept` and does not fail together with it, as `standing` does; no deeper in the plan (D-26.5). */
  independent(standing: PeerKeyId, kept: PeerKeyId, slots: Slots, now: Milliseconds): ParentCandidate | undefined {
    const [one, other] = [this.#list.get(standing), this.#list.get(kept)]
    if (one === undefined || other === undefined || areIndependent(one, other)) return undefined
    return this.#list.ranked(now).find((candidate) => {
      const keyId = keyOf(candidate)
      if (slots.has(keyId) || this.#isResting(keyId, now) || keyId === this.#publisher) return false
      return this.#list.depthOf(keyId) <= this.#list.depthOf(standing) && areIndependent(candidate, other)
    })
  }

  /**
   * The planned parent, while no parent is as near to the source as it is. Who is fed only by others of its own depth stands at the end of a
   * row of them: every one of the row is a step more, and may be the one that goes.
   */
  #anchor(parents: readonly PeerKeyId[], slots: Slots, now: Milliseconds): ParentCandidate | undefined {
    const planned = this.#list.plannedParent(now)
    if (planned === undefined || slots.has(planned) || this.#isResting(planned, now)) return undefined
    const depth = this.#list.depthOf(planned)
    if (parents.some((keyId) => this.#list.depthOf(keyId) <= depth)) return undefined
    return this.#list.ranked(now).find((candidate) => keyOf(candidate) === planned)
  }

  /**
   * The best ones that are not in use, two at most; who is one stays it while it is still good. The publisher only where there is nobody
   * else: it would have links to everybody.
   */
  spares(slots: Slots, current: readonly PeerKeyId[], now: Milliseconds): PeerKeyId[] {
    const usable = (candidate: ParentCandidate) => {
      const keyId = keyOf(candidate)
      return !slots.has(keyId) && this.#backoff.until(keyId) <= now
    }
    const ranked = this.#list.ranked(now).filter(usable)
    const roomy = ranked.filter((candidate) => this.#list.fullness(candidate) < 2)
    const known = roomy.length > 0 ? roomy : ranked
    const choices = known.length > 0 ? known : this.#list.unreached(now).filter(usable)
    const empty = choices.filter((candidate) => this.#list.fullness(candidate) === 0)
    const keyIds = new Set(
      [...choices.filter((candidate) => current.includes(keyOf(candidate))), ...empty, ...choices].map(keyOf),
    )
    if (keyIds.size > 1) keyIds.delete(this.#publisher)
    return [...keyIds].slice(0, MAX_SPARES)
  }

  /** Where else the stream is known to be: up to four, the publisher last. */
  via(parent: PeerKeyId, now: Milliseconds): PeerKeyId[] {
    const others = this.#list.ranked(now).map(keyOf)
    const near = others.filter((keyId) => keyId !== parent && keyId !== this.#publisher).slice(0, MAX_NEAR)
    return parent === this.#publisher ? near : [...near, this.#publisher]
  }

  /**
   * Who has a link answers within a round trip, and who serves few by plan rarely refuses. Of equal ones an independent one. Beside
   * somebody to whom a link is just being made somebody with a link is asked. Those near to the source are needed by others, and full.
   */
  #quickest(all: readonly ParentSlot[], free: readonly ParentCandidate[], now: Milliseconds): ParentCandidate | undefined {
    const asked = all.filter(({ state }) => state === "asked").map(({ keyId }) => this.#list.get(keyId))
    const linking = asked.length > 0 && asked.every((candidate) => candidate?.linked === false)
    const cost = (candidate: ParentCandidate) => {
      const link = candidate.linked === false ? 1 : 0
      const full = this.#list.fullness(candidate)
      const scarce = this.#list.isScarce(keyOf(candidate), now) ? 6 : 0
      return scarce + (linking ? 3 * link + full : 2 * full + link)
    }
    const least = Math.min(...free.map(cost))
    const best = free.filter((candidate) => cost(candidate) === least)
    const others = all.filter(isHealthy).flatMap(({ keyId }) => this.#list.get(keyId) ?? [])
    return best.find((candidate) => others.every((other) => areIndependent(other, candidate))) ?? best[0]
  }

  #isResting(keyId: PeerKeyId, now: Milliseconds): boolean {
    return this.#backoff.until(keyId) > now || this.#wasLeft(keyId, now)
  }

  #wasLeft(keyId: PeerKeyId, now: Milliseconds): boolean {
    return now - (this.#left.get(keyId) ?? Number.NEGATIVE_INFINITY) < LEFT_MS
  }

  /** Without those that were left not long ago, as long as there are other relays, or enough that deliver. */
  #notLeft(free: readonly ParentCandidate[], enough: boolean, now: Milliseconds): readonly ParentCandidate[] {
    const others = free.filter((candidate) => !this.#wasLeft(keyOf(candidate), now))
    return enough || others.some((candidate) => keyOf(candidate) !== this.#publisher) ? others : free
  }

  /** The planned parent, else one that does not fail together with the parent that is there or was asked. */
  #beside(all: readonly ParentSlot[], free: readonly ParentCandidate[], now: Milliseconds): ParentCandidate | undefined {
    const [best] = free
    if (best === undefined || keyOf(best) === this.#list.plannedParent(now)) return best
    const other = all.find(isHealthy) ?? all.find(({ state }) => state === "asked")
    const beside = other === undefined ? undefined : this.#list.get(other.keyId)
    return beside === undefined ? best : chooseBackup(beside, free)
  }

  /** Everybody is being left alone: the one whose pause ends first is asked before it ends, one after the other. */
  #inNeed(others: readonly ParentCandidate[], now: Milliseconds): ParentCandidate | undefined {
    if (now - this.#emergency.at < this.#emergency.step) return undefined
    const [soonest] = [...others].sort((a, b) => this.#backoff.until(keyOf(a)) - this.#backoff.until(keyOf(b)))
    if (soonest === undefined) return undefined
    this.#emergency = { at: now, step: Math.min(2 * this.#emergency.step, MAX_EMERGENCY_STEP_MS) }
    return soonest
  }
}

export function keyOf(candidate: ParentCandidate): PeerKeyId {
  return candidate.signedCapacity.advertiserKeyId
}
