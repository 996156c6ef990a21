/** When a set of parents that all deliver should change one of them for a better one, damped so that nothing flaps (D-26.6). */
import type { Milliseconds, PeerKeyId } from "../wire/types.ts"
import type { CandidateList } from "./candidate-list.ts"
import { SWITCH_DWELL_MS } from "./constants.ts"
import { keyOf, type ParentChoice } from "./parent-choice.ts"
import type { ParentSlot } from "./parent-slot.ts"
import type { ParentCandidate } from "./types.ts"

/** `candidate` is asked, and `leaves` is let go of when it delivers. */
interface ParentMove {
  leaves: ParentSlot
  candidate: ParentCandidate
}

export class ParentMoves {
  readonly #list: CandidateList
  readonly #choice: ParentChoice
  readonly #publisher: PeerKeyId
  /** Since when both parents are known to go together. */
  #togetherSince: Milliseconds | undefined

  constructor(list: CandidateList, choice: ParentChoice, publisher: PeerKeyId) {
    this.#list = list
    this.#choice = choice
    this.#publisher = publisher
  }

  /** @param slots every parent, all of which deliver */
  next(slots: ReadonlyMap<PeerKeyId, ParentSlot>, now: Milliseconds): ParentMove | undefined {
    return this.#diversify(slots, now) ?? this.#improve(slots, now)
  }

  #improve(slots: ReadonlyMap<PeerKeyId, ParentSlot>, now: Milliseconds): ParentMove | undefined {
    const rtt = (slot: ParentSlot) => this.#list.offerOf(slot.keyId).rttMs
    const [worst, ...kept] = [...slots.values()].sort((a, b) => rtt(b) - rtt(a))
    if (worst === undefined) return undefined
    const keptKeys = kept.map(({ keyId }) => keyId)
    const candidate = this.#choice.challenger(worst.keyId, keptKeys, slots, now)
    if (candidate === undefined) return undefined
    // Beside the planned parent one that goes together with it would be the next to be replaced.
    const isPlanned = keyOf(candidate) === this.#list.plannedParent(now)
    const together = [worst, ...kept].find(({ keyId }) => this.#choice.goTogether(candidate, keyId))
    return { leaves: (isPlanned ? together : undefined) ?? worst, candidate }
  }

  /** Parents that go together when one relay goes: the one that the plan does not name makes place for another. */
  #diversify(slots: ReadonlyMap<PeerKeyId, ParentSlot>, now: Milliseconds): ParentMove | undefined {
    const all = [...slots.values()]
    const planned = this.#list.plannedParent(now)
    const kept = all.find(({ keyId }) => keyId === planned)
    const leaves = all.find((slot) => slot !== kept && slot.keyId !== this.#publisher)
    const candidate =
      kept === undefined || leaves === undefined ? undefined : this.#choice.independent(leaves.keyId, kept.keyId, slots, now)
    if (leaves === undefined || candidate === undefined) {
      this.#togetherSince = undefined
      return undefined
    }
    this.#togetherSince ??= now
    if (now - this.#togetherSince < SWITCH_DWELL_MS || this.#choice.isResting(now)) return undefined
    this.#togetherSince = undefined
    this.#choice.switched(now)
    return { leaves, candidate }
  }
}
