/** Whether a commit gives the right reasons for whom it removes; every receiver comes to the same verdict (RM-14, RM-31). */
import { type CommitReason, commitReasonLength, MAX_REASONS_LENGTH, parseCommitReasons } from "../wire/commit-reasons.ts"
import { AvError, isAvError } from "../wire/errors.ts"
import { ORDER_REMOVE } from "../wire/room-order.ts"
import type { Bytes, PeerKeyId } from "../wire/types.ts"
import { verifyOrder } from "./orders.ts"
import type { RoomRights } from "./rights.ts"

interface CommitFacts {
  roomId: Bytes
  root: Bytes
  adds: readonly PeerKeyId[]
  /** Removed key ids, each with the leaf key it has before the commit. */
  removes: ReadonlyMap<PeerKeyId, Bytes>
  authenticatedData: Bytes
}

/**
 * Checks the reasons against what the commit does: one entry per Remove, `replaced` exactly for key ids that come in again, `removed`
 * exactly with a host's order. Nothing here depends on what the receiver saw.
 *
 * @throws AvError `CommitReasonInvalid`.
 */
export async function checkCommitReasons(facts: CommitFacts, rights?: RoomRights): Promise<CommitReason[]> {
  const why = parseCommitReasons(facts.authenticatedData)
  const named = new Set(why.map(({ keyId }) => keyId))
  if (named.size !== why.length || why.length !== facts.removes.size) throw new AvError("CommitReasonInvalid", { why: "entries" })
  for (const { keyId, reason, order } of why) {
    const leaf = facts.removes.get(keyId)
    if (leaf === undefined) throw new AvError("CommitReasonInvalid", { why: "surplus", key_id: keyId })
    if ((reason === "replaced") !== facts.adds.includes(keyId))
      throw new AvError("CommitReasonInvalid", { why: "replaced", key_id: keyId })
    if (order === undefined) continue
    const right = order.kind === ORDER_REMOVE && order.target === keyId
    const context = { roomId: facts.roomId, root: facts.root, leaf, at: undefined }
    const valid = right && (await verifyOrder(order, context, rights))
    if (!valid) throw new AvError("CommitReasonInvalid", { why: "order", key_id: keyId })
  }
  return why
}

/** `{"why":[]}` without the entries. */
const FRAME_LENGTH = 10

/** What still fits into the reasons of one commit (RM-14). */
export class ReasonRoom {
  #left = MAX_REASONS_LENGTH - FRAME_LENGTH

  /** `taken`: it fits and is counted. `later`: it would fit into a commit of its own. `never`: not even that. */
  take(reason: CommitReason): "taken" | "later" | "never" {
    const length = commitReasonLength(reason)
    if (length > MAX_REASONS_LENGTH - FRAME_LENGTH) return "never"
    if (length > this.#left) return "later"
    this.#left -= length
    return "taken"
  }
}

/** The reasons of a commit that was accepted already, by key id; unreadable ones are empty. */
export function reasonsByKey(authenticatedData: Bytes): Map<PeerKeyId, CommitReason> {
  try {
    return new Map(parseCommitReasons(authenticatedData).map((entry) => [entry.keyId, entry]))
  } catch (error) {
    if (isAvError(error)) return new Map()
    throw error
  }
}
