/** What happens to an announcement from the network, step by step (control-plane 2.7). */
import { sha256Sync } from "../crypto/index.ts"
import { clampSkew, type FloorTable, type PinTable, type ProvenMembership } from "../identity/index.ts"
import { type ErrorCode, isAvError } from "../wire/errors.ts"
import type { Bytes, Milliseconds, NodeId } from "../wire/types.ts"
import type { Announcement, SignedAnnouncement } from "./announcement.ts"
import { decodeAnnouncement, encodeAnnouncement, isAnnouncementSigned, requireOwnNodeId } from "./announcement-codec.ts"
import type { CapabilityIndex } from "./capability-index.ts"
import { CertCache } from "./cert-cache.ts"
import type { CapabilityCounters } from "./counters.ts"
import { IndexEntry } from "./entry.ts"
import { GossipMemory } from "./gossip-memory.ts"
import { leaseEnd } from "./lease.ts"
import { TokenBuckets } from "./token-bucket.ts"
import { VersionHistory } from "./version-history.ts"

/** Verifications charged to the neighbour that delivers, so that nobody can spend another's allowance. */
const NEIGHBOUR_RATE = { burst: 200, perSecond: 50 }
/** Verified announcements per origin. */
const ORIGIN_RATE = { burst: 4, perSecond: 1 }

/** `accepted`, `duplicate`, `own`, or the reason why it was dropped. */
export type AnnouncementOutcome = "accepted" | "duplicate" | "own" | ErrorCode

interface ReceiveResult {
  outcome: AnnouncementOutcome
  /** To be passed on, already with its new hop count. */
  forward?: { hopCount: number; payload: Bytes }
  /** The verified announcement behind `accepted` and `duplicate` after verification. */
  announcement?: Announcement
  hopCount?: number
  /** For `own`: what somebody says in our name, not verified yet. */
  own?: SignedAnnouncement
  /** The entity's floor rose with this announcement. */
  floorRose?: boolean
}

interface ReceiverOptions {
  self: NodeId
  index: CapabilityIndex
  pins: PinTable
  floors: FloorTable
  counters: CapabilityCounters
  /** Nodes with a session to us. */
  isNeighbour: (node: NodeId) => boolean
  skewSeconds?: number
  /** `false` switches the two rate limits off; for replaying recorded traffic. */
  rateLimits?: boolean
}

/** What one copy is known to be before its signature is checked. */
interface Checked {
  key: string
  direct: boolean
  expiresAt: Milliseconds
}

export class AnnouncementReceiver {
  readonly #options: ReceiverOptions
  readonly #skewSeconds: number
  readonly #history: VersionHistory
  readonly #memory = new GossipMemory()
  readonly #certs = new CertCache()
  readonly #neighbours = new TokenBuckets(NEIGHBOUR_RATE)
  readonly #origins = new TokenBuckets(ORIGIN_RATE)

  constructor(options: ReceiverOptions) {
    this.#options = options
    this.#skewSeconds = clampSkew(options.skewSeconds)
    const { index, pins, isNeighbour } = options
    this.#history = new VersionHistory((node) => index.has(node) || isNeighbour(node) || pins.isPermanent(node))
  }

  /** The budget of a neighbour's verifications, for other signed gossip of the same session. */
  takeNeighbourBudget(from: NodeId, now: Milliseconds): boolean {
    return this.#options.rateLimits === false || this.#neighbours.take(from, now)
  }

  /** A payload from the session with `from`. `now`: Unix milliseconds. Never throws for anything the payload holds. */
  async receive(payload: Bytes, from: NodeId, now: Milliseconds): Promise<ReceiveResult> {
    try {
      return this.#counted(await this.#receive(payload, from, now))
    } catch (error) {
      if (!isAvError(error)) throw error
      return this.#counted({ outcome: error.code })
    }
  }

  /** A payload that this node stored itself. It is checked like any other, but pins nothing and is not passed on (D14). */
  async restore(payload: Bytes, now: Milliseconds): Promise<AnnouncementOutcome> {
    try {
      const signed = decodeAnnouncement(payload)
      requireOwnNodeId(signed.announcement)
      if (signed.announcement.nodeId === this.#options.self) return "own"
      const lease = leaseEnd(signed.announcement, now, this.#skewSeconds)
      if (typeof lease !== "number") return lease
      if (!(await isAnnouncementSigned(signed))) return "BadSignature"
      const { proven } = await this.#certs.prove(signed.announcement.certs, signed.announcement.entityId)
      return this.#adopt(signed, sha256Sync(signed.body), lease, proven, now)
    } catch (error) {
      if (isAvError(error)) return error.code
      throw error
    }
  }

  async #receive(payload: Bytes, from: NodeId, now: Milliseconds): Promise<ReceiveResult> {
    const signed = decodeAnnouncement(payload)
    const { announcement } = signed
    requireOwnNodeId(announcement)
    if (announcement.nodeId === this.#options.self) {
      // Whoever says something in our name pays for the check like for any other.
      return this.takeNeighbourBudget(from, now) ? { outcome: "own", own: signed } : { outcome: "own" }
    }
    if (signed.hopCount === 0 && announcement.nodeId !== from) return { outcome: "NotOrigin" }
    const before = this.#precheck(signed, now)
    if (typeof before === "string") return { outcome: before }
    if (!this.takeNeighbourBudget(from, now)) return { outcome: "NeighbourRateLimited" }
    if (!(await isAnnouncementSigned(signed))) return { outcome: "BadSignature" }
    const certs = await this.#certs.prove(announcement.certs, announcement.entityId)
    this.#options.counters.certsIgnored += certs.ignored
    // Other copies may have arrived while this one was being verified.
    const after = this.#precheck(signed, now)
    return typeof after === "string" ? { outcome: after } : this.#commit(signed, after, certs.proven, now)
  }

  /** Steps 5 to 7. Writes nothing. */
  #precheck(signed: SignedAnnouncement, now: Milliseconds): Checked | AnnouncementOutcome {
    const { announcement, hopCount } = signed
    if (this.#options.pins.contradicts(announcement.nodeId, announcement.entityId)) return "EntityRebind"
    const lease = leaseEnd(announcement, now, this.#skewSeconds)
    if (typeof lease !== "number") return lease
    const key = `${announcement.nodeId}/${announcement.version}`
    const direct = hopCount === 0
    if (this.#memory.knows(key, direct, () => sha256Sync(signed.body), now)) return "duplicate"
    return { key, direct, expiresAt: lease }
  }

  /** Steps 10 to 14, in one go. */
  #commit(signed: SignedAnnouncement, checked: Checked, certs: ProvenMembership[], now: Milliseconds): ReceiveResult {
    const { announcement, hopCount } = signed
    const { nodeId, entityId, generation } = announcement
    const { pins, floors, rateLimits } = this.#options
    if (rateLimits !== false && !this.#origins.take(nodeId, now)) return { outcome: "OriginRateLimited" }
    const hash = sha256Sync(signed.body)
    this.#memory.remember(checked.key, checked.direct, hash, now)
    // Also for a version that is known already: a forwarded copy may have been first.
    if (checked.direct) pins.pin(nodeId, entityId)
    const floorRose = floors.raise(entityId, generation)
    const outcome = this.#adopt(signed, hash, checked.expiresAt, certs, now)
    const result: ReceiveResult = { outcome, announcement, hopCount, floorRose }
    if (outcome !== "accepted" && outcome !== "duplicate") return result
    const hop = this.#memory.forwardHop(checked.key, hopCount, now)
    if (hop !== undefined) result.forward = { hopCount: hop, payload: encodeAnnouncement({ ...signed, hopCount: hop }) }
    return result
  }

  #adopt(
    signed: SignedAnnouncement,
    hash: Bytes,
    expiresAt: Milliseconds,
    certs: readonly ProvenMembership[],
    now: Milliseconds,
  ): AnnouncementOutcome {
    const { announcement, hopCount } = signed
    const verdict = this.#history.judge(announcement, hash, now)
    if (verdict !== "newer") return verdict
    if (!this.#history.accept(announcement, hash)) return "LimitExceeded"
    const payload = encodeAnnouncement(signed)
    const skewSeconds = this.#skewSeconds
    const entry = new IndexEntry({ announcement, own: false, expiresAt, acceptedAt: now, hopCount, certs, payload, skewSeconds })
    if (entry.collapsed) this.#options.counters.subnetCollapsed++
    this.#options.index.put(entry)
    return "accepted"
  }

  #counted(result: ReceiveResult): ReceiveResult {
    const { outcome } = result
    if (outcome !== "accepted" && outcome !== "duplicate" && outcome !== "own") this.#options.counters.rejected.add(outcome)
    return result
  }
}
