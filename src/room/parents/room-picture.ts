/** What this page knows of the room when parents are chosen: who is linked to whom and how far apart (D19, D33). */
import type { ParentCandidate } from "../../alm/index.ts"
import type { RoomView, RoomViewMember } from "../../holonomic/index.ts"
import { rttClass } from "../../wire/participant-state.ts"
import type { Milliseconds, NodeId, PeerKeyId } from "../../wire/types.ts"

type MemberLinks = RoomViewMember["links"]

/** Round trips are the least of this time, ms: what comes on top is the load of a moment, at this end or the other. */
const RTT_BUCKET_MS = 15_000
/** Below this nobody is nearer than anybody else, ms: then what else speaks for a parent decides. */
const NEAR_MS = 20
/** Of those that are equally near each member prefers others: this much more at most, ms, by a lot. Far less than the damping minds. */
const LOT_MS = 2
/**
 * Every relay on the way from the source costs time, and is one more that can go; ms. Of parents equally near those next to the source win, by so
 * much that a parent further down is left for one (D-26.6): otherwise both parents of many hang on one relay without the plan showing it.
 */
const STEP_MS = 8
/** Longest way to the source that is followed. */
const MAX_DEPTH = 64

interface Rtt {
  since: Milliseconds
  least: Milliseconds
  before: Milliseconds
}

export class RoomPicture {
  readonly #links = new Map<PeerKeyId, MemberLinks>()
  readonly #me: PeerKeyId
  readonly #rtt = new Map<PeerKeyId, Rtt>()
  #classes = ""

  constructor(me: PeerKeyId) {
    this.#me = me
  }

  /** A member's state names its neighbours. */
  state(keyId: PeerKeyId, links: MemberLinks): void {
    this.#links.set(keyId, links)
  }

  forget(keyId: PeerKeyId): void {
    this.#links.delete(keyId)
    this.#rtt.delete(keyId)
  }

  /** Round trips over direct links as they were measured. */
  measured(rtts: ReadonlyMap<PeerKeyId, Milliseconds>, now: Milliseconds): void {
    for (const keyId of this.#rtt.keys()) if (!rtts.has(keyId)) this.#rtt.delete(keyId)
    for (const [keyId, rttMs] of rtts) {
      const known = this.#rtt.get(keyId)
      if (known === undefined) this.#rtt.set(keyId, { since: now, least: rttMs, before: Number.POSITIVE_INFINITY })
      else if (now - known.since >= RTT_BUCKET_MS) this.#rtt.set(keyId, { since: now, least: rttMs, before: known.least })
      else known.least = Math.min(known.least, rttMs)
    }
  }

  /** The round trips for this page's own state, when one of their classes changed since the last call. */
  newClasses(nodeOf: (keyId: PeerKeyId) => NodeId | undefined): Map<NodeId, Milliseconds> | undefined {
    const byNode = new Map<NodeId, Milliseconds>()
    for (const [keyId, rtt] of this.#rtt) {
      const node = nodeOf(keyId)
      if (node !== undefined) byNode.set(node, leastOf(rtt))
    }
    const classes = JSON.stringify([...byNode].map(([node, rttMs]) => `${node} ${rttClass(rttMs)}`).sort())
    if (classes === this.#classes) return undefined
    this.#classes = classes
    return byNode
  }

  /** The members as a snapshot takes them. */
  members(keyIds: Iterable<PeerKeyId>, nodeOf: (keyId: PeerKeyId) => NodeId | undefined): RoomView["members"] {
    const members: RoomViewMember[] = []
    for (const keyId of keyIds) {
      const nodeId = nodeOf(keyId)
      if (nodeId !== undefined) members.push({ keyId, nodeId, links: this.#links.get(keyId) ?? [] })
    }
    return members
  }

  /** Advertised relays as this page sees them: near or far, linked or not, and which branch of the plan they stand in. */
  seen(
    candidates: readonly ParentCandidate[],
    isLinked: (keyId: PeerKeyId) => boolean,
    plannedParentOf: (keyId: PeerKeyId) => PeerKeyId | undefined,
    publisher: PeerKeyId,
  ): ParentCandidate[] {
    return candidates.map((candidate) => {
      const keyId = candidate.signedCapacity.advertiserKeyId
      const linked = isLinked(keyId)
      const { branch: upstream, steps } = placeOf(keyId, plannedParentOf, publisher)
      const rtt = this.#rtt.get(keyId)
      const far = LOT_MS * lot(this.#me, keyId) + STEP_MS * steps
      const near = rtt === undefined ? undefined : Math.max(NEAR_MS, leastOf(rtt)) + far
      const reached = linked ? { reachabilityRatio: 1, rttMsEstimate: near } : {}
      return { ...candidate, ...reached, linked, ...(upstream === undefined ? {} : { upstream }) }
    })
  }
}

function leastOf({ least, before }: Rtt): Milliseconds {
  return Math.min(least, before)
}

/**
 * Whom the publisher feeds above this member: two parents of one branch go together when that one goes. Those right below the publisher
 * have nothing in common but the publisher itself. Also how many relays are above it.
 */
function placeOf(
  keyId: PeerKeyId,
  plannedParentOf: (keyId: PeerKeyId) => PeerKeyId | undefined,
  publisher: PeerKeyId,
): { branch: PeerKeyId | undefined; steps: number } {
  let branch: PeerKeyId | undefined
  let above = plannedParentOf(keyId)
  let steps = 0
  for (; steps < MAX_DEPTH && above !== undefined && above !== publisher; steps++) {
    branch = above
    above = plannedParentOf(above)
  }
  return { branch, steps }
}

/** 0..1, always the same for these two (FNV-1a). */
function lot(me: PeerKeyId, keyId: PeerKeyId): number {
  let hash = 0x811c9dc5
  for (const text of [me, keyId]) {
    for (let index = 0; index < text.length; index++) hash = Math.imul(hash ^ text.charCodeAt(index), 0x01000193)
  }
  return (hash >>> 0) / 0x1_0000_0000
}
