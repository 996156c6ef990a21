/** What this page knows of the room when parents are chosen: who is linked to whom and how far apart (D19, D33). */
import type { ParentCandidate } from "../../alm/index.ts"
import type { RoomView, RoomViewMember } from "../../holonomic/index.ts"
import { rttClass } from "../../wire/participant-state.ts"
import type { Milliseconds, NodeId, PeerKeyId } from "../../wire/types.ts"

export type MemberLinks = RoomViewMember["links"]

export class RoomPicture {
  readonly #links = new Map<PeerKeyId, MemberLinks>()
  readonly #rtt = new Map<PeerKeyId, Milliseconds>()
  #classes = ""

  /** A member's state names its neighbours. */
  state(keyId: PeerKeyId, links: MemberLinks): void {
    this.#links.set(keyId, links)
  }

  forget(keyId: PeerKeyId): void {
    this.#links.delete(keyId)
    this.#rtt.delete(keyId)
  }

  /** Round trips over direct links as they were measured. */
  measured(rtts: ReadonlyMap<PeerKeyId, Milliseconds>): void {
    this.#rtt.clear()
    for (const [keyId, rttMs] of rtts) this.#rtt.set(keyId, rttMs)
  }

  /** The round trips for this page's own state, when one of their classes changed since the last call. */
  newClasses(nodeOf: (keyId: PeerKeyId) => NodeId | undefined): Map<NodeId, Milliseconds> | undefined {
    const byNode = new Map<NodeId, Milliseconds>()
    for (const [keyId, rttMs] of this.#rtt) {
      const node = nodeOf(keyId)
      if (node !== undefined) byNode.set(node, rttMs)
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

  /** Advertised relays as this page sees them: near or far, linked or not. */
  seen(
    candidates: readonly ParentCandidate[],
    isLinked: (keyId: PeerKeyId) => boolean,
    plannedParentOf: (keyId: PeerKeyId) => PeerKeyId | undefined,
  ): ParentCandidate[] {
    return candidates.map((candidate) => {
      const keyId = candidate.signedCapacity.advertiserKeyId
      const linked = isLinked(keyId)
      const upstream = plannedParentOf(keyId)
      const reached = linked ? { reachabilityRatio: 1, rttMsEstimate: this.#rtt.get(keyId) } : {}
      return { ...candidate, ...reached, linked, ...(upstream === undefined ? {} : { upstream }) }
    })
  }
}
