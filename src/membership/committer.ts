/** Who is lost and who makes the commits (RM-12, RM-15, RM-30), from what was reported and heard. */
import type { Milliseconds, PeerKeyId } from "../wire/types.ts"

/** Silence reported by somebody makes a peer lost after this long. */
const LOST_AFTER_MS = 5_000
/** The same for a peer that said goodbye. */
const LEFT_AFTER_MS = 500
/** A successor waits this long after the last lower leaf became lost. */
const SUCCESSION_MS = 500

export interface LossReport {
  /** When it arrived here. */
  at: Milliseconds
  /** The peer said GOAWAY `leaving`. */
  left: boolean
}

/** One leaf, and what is known about its peer. */
export interface RosterEntry {
  keyId: PeerKeyId
  leaf: number
  reports: readonly LossReport[]
  /** When something authentic of the peer was last heard. A report counts only while nothing came later than it. */
  heard?: Milliseconds
}

interface LostPeer {
  keyId: PeerKeyId
  leaf: number
  since: Milliseconds
  reason: "left" | "gone"
}

export interface CommitterVerdict {
  /** The lowest leaf not lost; undefined only for an empty roster. */
  committer: PeerKeyId | undefined
  lost: LostPeer[]
  /** This peer commits now. */
  iCommit: boolean
  /** When this verdict may change without anything being heard: the next loss or the end of the succession wait. */
  changesAt: Milliseconds | undefined
}

/** When the peer is lost and why; undefined without a counting report. The time may lie in the future. */
function lossOf(entry: RosterEntry): { since: Milliseconds; reason: "left" | "gone" } | undefined {
  const heard = entry.heard ?? Number.NEGATIVE_INFINITY
  let first = Number.POSITIVE_INFINITY
  let firstLeft = Number.POSITIVE_INFINITY
  for (const { at, left } of entry.reports) {
    if (heard > at) continue
    first = Math.min(first, at)
    if (left) firstLeft = Math.min(firstLeft, at)
  }
  if (first === Number.POSITIVE_INFINITY) return undefined
  const reason = firstLeft === Number.POSITIVE_INFINITY ? "gone" : "left"
  return { since: Math.min(first + LOST_AFTER_MS, firstLeft + LEFT_AFTER_MS), reason }
}

/** Who acts, as seen by `me` at `now` (RM-30). Nobody counts itself as lost. */
export function actingCommitter(roster: readonly RosterEntry[], me: PeerKeyId, now: Milliseconds): CommitterVerdict {
  const byLeaf = [...roster].sort((a, b) => a.leaf - b.leaf)
  const lost: LostPeer[] = []
  let committer: RosterEntry | undefined
  let lastLowerLoss = Number.NEGATIVE_INFINITY
  let changesAt = Number.POSITIVE_INFINITY
  for (const entry of byLeaf) {
    const loss = entry.keyId === me ? undefined : lossOf(entry)
    if (loss !== undefined && loss.since <= now) {
      lost.push({ keyId: entry.keyId, leaf: entry.leaf, ...loss })
      if (committer === undefined) lastLowerLoss = Math.max(lastLowerLoss, loss.since)
      continue
    }
    if (loss !== undefined) changesAt = Math.min(changesAt, loss.since)
    committer ??= entry
  }
  const mine = committer?.keyId === me
  const actsFrom = lastLowerLoss + SUCCESSION_MS
  if (mine && actsFrom > now) changesAt = Math.min(changesAt, actsFrom)
  return {
    committer: committer?.keyId,
    lost,
    iCommit: mine && actsFrom <= now,
    changesAt: changesAt === Number.POSITIVE_INFINITY ? undefined : changesAt,
  }
}
