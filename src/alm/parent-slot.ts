/** One parent of a subscription as the manager sees it. */
import type { Milliseconds, PeerKeyId } from "../wire/types.ts"
import type { DoomReason } from "./parent-actions.ts"
import { ParentPauses } from "./parent-pauses.ts"
import type { SymbolRange } from "./types.ts"

/** At most this many at a time: two, and one on its way in or out. */
export const MAX_PARENTS = 3
/** While a lost parent is being replaced so many more than are missing are asked; who comes beyond two is let go at once. */
export const ASKED_BESIDE = 2
/** So many to which a link must be made first are asked beside them: that takes a second. */
export const LINKED_BESIDE = 3
/** With those on their way in or out. */
export const MAX_IN_NEED = MAX_PARENTS + ASKED_BESIDE + LINKED_BESIDE

/** Members that a link is kept to, so that it need not be made when a parent is lost. */
export const MAX_SPARES = 2

/** Of a parent that accepted something is due at once: a chunk or a keep-alive, and the next ones within 500 ms. */
const UNHEARD_MS = 1_000

export interface ParentSlot {
  readonly keyId: PeerKeyId
  state: "asked" | "live"
  /** It had no link when it was asked. */
  readonly linking: boolean
  /** No answer until then: the next candidate. */
  answerBy: Milliseconds
  /** A live parent that this one is to replace. */
  replaces: PeerKeyId | undefined
  /** First sign of life after it accepted; until then it is no reason to let go of another. */
  provenAt: Milliseconds | undefined
  doomed: DoomReason | undefined
  doomedAt: Milliseconds
  /** It said that it will be gone by then. */
  goneBy: Milliseconds | undefined
  /** Since when the plan does not allow it. */
  outsideSince: Milliseconds | undefined
  /** How often another parent was heard since this one was, and when last: moments, not messages. */
  othersHeard: number
  othersHeardAt: Milliseconds
  /** It was noticed that it is missed since it was heard last. */
  missed: boolean
  /** How long its pauses are: how soon it is missed. */
  readonly pauses: ParentPauses
  /** Asked symbols; undefined: all. */
  range: SymbolRange | undefined
  /** Its part of the frames was missing: until then the other parent carries everything. */
  suspectUntil: Milliseconds
  /** When it was asked again because nothing was heard of it, and after how much silence it is the next time. */
  remindedAt: Milliseconds
  remindAfter: Milliseconds
}

export function newSlot(keyId: PeerKeyId, linking: boolean, answerBy: Milliseconds, replaces: PeerKeyId | undefined): ParentSlot {
  return {
    keyId,
    state: "asked",
    linking,
    answerBy,
    replaces,
    provenAt: undefined,
    doomed: undefined,
    doomedAt: 0,
    goneBy: undefined,
    outsideSince: undefined,
    othersHeard: 0,
    othersHeardAt: Number.NEGATIVE_INFINITY,
    missed: false,
    pauses: new ParentPauses(),
    range: undefined,
    suspectUntil: 0,
    remindedAt: Number.NEGATIVE_INFINITY,
    remindAfter: UNHEARD_MS,
  }
}

/** Accepted, and nothing against it. */
export function isHealthy(slot: ParentSlot): boolean {
  return slot.state === "live" && slot.doomed === undefined
}

/** Delivers, and nothing against it. */
export function isProven(slot: ParentSlot): boolean {
  return isHealthy(slot) && slot.provenAt !== undefined
}
