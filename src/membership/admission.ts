/** The committer's answer to `room.join` (RM-36). */
import type { Milliseconds, PeerKeyId } from "../wire/types.ts"

/** Joiners that may wait at once. */
const MAX_WAITING = 64
/** A host has this long to answer a knock. */
const KNOCK_WAIT_MS = 300_000
/** The version of the room protocol that this code speaks. */
export const ROOM_VERSION = 1
const BUSY_RETRY_MS = 1_000

interface JoinFacts {
  keyId: PeerKeyId
  version: number
  proofOk: boolean
  /** The root entity or another host. */
  isHost: boolean
  /** Since its first `room.join`. */
  waitedMs: Milliseconds
  alreadyWaiting: boolean
}

interface AdmissionState {
  iCommit: boolean
  admission: "invited" | "knock" | "locked"
  maxMembers: number
  isMember(keyId: PeerKeyId): boolean
  memberCount: number
  /** Adds that wait for the next commit. */
  inBatch: number
  isBarred(keyId: PeerKeyId): boolean
  /** Others that wait. */
  waiting: number
  /** A valid order 2 or 3 for this key id. */
  order: "admit" | "decline" | undefined
}

export type RefuseReason = "wrong-invitation" | "room-full" | "locked" | "declined" | "barred" | "too-old" | "busy" | "version"

type JoinAnswer = { pending: "batch" | "knock" | "committer" } | { refuse: RefuseReason; retryMs?: Milliseconds }

/** The first rule that fits decides; the order of the lines is the specification's. */
export function answerJoin(join: JoinFacts, state: AdmissionState): JoinAnswer {
  if (join.version !== ROOM_VERSION) return { refuse: "version" }
  if (!join.proofOk) return { refuse: "wrong-invitation" }
  if (!state.iCommit) return { pending: "committer" }
  if (join.isHost) return { pending: "batch" }
  if (state.isBarred(join.keyId)) return { refuse: "barred" }
  if (state.isMember(join.keyId)) return { pending: "batch" }
  if (state.admission === "locked") return { refuse: "locked" }
  if (state.order === "decline") return { refuse: "declined" }
  if (state.memberCount + state.inBatch >= state.maxMembers) return { refuse: "room-full" }
  if (state.admission === "knock" && state.order !== "admit") {
    if (join.waitedMs >= KNOCK_WAIT_MS) return { refuse: "declined" }
    if (state.waiting >= MAX_WAITING && !join.alreadyWaiting) return { refuse: "busy", retryMs: BUSY_RETRY_MS }
    return { pending: "knock" }
  }
  if (state.waiting >= MAX_WAITING) return { refuse: "busy", retryMs: BUSY_RETRY_MS }
  return { pending: "batch" }
}
