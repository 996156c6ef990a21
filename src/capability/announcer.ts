/** Speaks for this node: builds, signs and broadcasts its announcements, on time and never too often (control-plane 2.1, 2.6, 3.4). */
import { clampSkew, type EntitySigner, type ProvenMembership, signFloorRecord } from "../identity/index.ts"
import type { Bytes, Milliseconds, NodeId, U64 } from "../wire/types.ts"
import { type Announcement, MAX_BUILT_VERSION, type SignedAnnouncement } from "./announcement.ts"
import { encodeAnnouncement, isAnnouncementSigned, signAnnouncement } from "./announcement-codec.ts"
import type { CapabilityIndex } from "./capability-index.ts"
import { CertCache } from "./cert-cache.ts"
import { IndexEntry } from "./entry.ts"
import { effectiveInterval, leaseEnd, stampedTtl } from "./lease.ts"
import { type Policy, type SelfFacts, SelfState } from "./self-state.ts"

const DEFAULT_REANNOUNCE_MS = 150_000
const DEFAULT_MIN_ANNOUNCE_MS = 10_000
/** Foreign announcements in our name within the window after which nothing is adopted any more. */
const MAX_CONFLICTS = 3
const CONFLICT_WINDOW_MS = 60_000

/** What must survive a restart, next to the key. */
export interface StoredSelf {
  generation: number
  lastVersion: U64
  /** The policy in force, so that one adopted from the operator outlives a restart. Default: everybody. */
  policy?: Policy
}

export type AnnouncerAction =
  /** To be stored before anything later in the list is sent. */
  | { kind: "persist"; self: StoredSelf }
  /** Our latest announcement, for every neighbour. */
  | { kind: "broadcast"; payload: Bytes }
  /** Our new floor, for every neighbour. */
  | { kind: "floor"; record: Bytes; generation: number }
  /** The policy is another one: calls in flight have to be judged again. */
  | { kind: "policy-changed" }
  /** Somebody else uses our key. */
  | { kind: "identity-conflict"; adopting: boolean }

export interface AnnouncerOptions {
  signer: EntitySigner & { readonly nodeId: NodeId; readonly pqHash: Bytes }
  index: CapabilityIndex
  stored?: StoredSelf
  /** `Infinity`: never again after the first time; 0 means one second. Default 150 s. */
  reannounceMs?: Milliseconds
  /** Broadcasts are at least this far apart. Default 10 s. */
  minAnnounceMs?: Milliseconds
  skewSeconds?: number
  /** Services may be offered only under a policy with a list (D17). */
  requirePolicy?: boolean
  /** Unix milliseconds. */
  now: Milliseconds
}

/**
 * Every change is in the local index when the method returns, so that the callee's gate knows the policy before the first request.
 * Signing and sending follow in {@link run}, which is to be called after each change and when {@link dueAt} has come.
 */
export class Announcer {
  readonly #options: AnnouncerOptions
  readonly #state: SelfState
  readonly #reannounceMs: Milliseconds
  readonly #minAnnounceMs: Milliseconds
  readonly #skewSeconds: number
  readonly #actions: AnnouncerAction[] = []
  readonly #conflicts: Milliseconds[] = []
  #writeOffsetMs = 0
  #nextRound: Milliseconds
  #lastBroadcast = Number.NEGATIVE_INFINITY
  #broadcastWanted = false
  /** Built, but not signed yet. */
  #unsigned: { announcement: Announcement; expiresAt: Milliseconds } | undefined
  #latest: Bytes | undefined
  readonly #certs = new CertCache()
  /** What our own certificates prove: our entry is the caller's in our own gate. */
  #proven: ProvenMembership[] = []
  #busy: Promise<unknown> = Promise.resolve()

  constructor(options: AnnouncerOptions) {
    const { signer, stored, now } = options
    this.#options = options
    this.#reannounceMs = effectiveInterval(options.reannounceMs ?? DEFAULT_REANNOUNCE_MS)
    this.#minAnnounceMs = options.minAnnounceMs ?? DEFAULT_MIN_ANNOUNCE_MS
    this.#skewSeconds = clampSkew(options.skewSeconds)
    this.#state = new SelfState(signer, stored ?? { generation: 0, lastVersion: 0n }, {
      requirePolicy: options.requirePolicy === true,
    })
    this.#nextRound = now + this.#reannounceMs
    this.#rebuild(now)
  }

  get state(): SelfState {
    return this.#state
  }

  /** Our latest signed announcement, for newly opened sessions; undefined until the first {@link run}. */
  get latest(): Bytes | undefined {
    return this.#latest
  }

  /** Added to the times we write: the median offset to trusted observers when it exceeds five seconds, else 0 (D42). */
  set writeOffsetMs(offset: Milliseconds) {
    this.#writeOffsetMs = Math.abs(offset) > 5_000 ? offset : 0
  }

  /** Offers a service. The canonical name is returned. @throws AvError see {@link SelfState.addService}; nothing changes then. */
  serve(service: string, now: Milliseconds): string {
    const name = this.#state.addService(service)
    this.#rebuild(now)
    return name
  }

  /** Stops offering a service. */
  unserve(service: string, now: Milliseconds): void {
    if (this.#state.removeService(service)) this.#rebuild(now)
  }

  /** Changes tags, metadata, policy, certificates, addresses or NAT class. @throws AvError when the result cannot be announced. */
  update(change: Partial<SelfFacts>, now: Milliseconds): void {
    this.#state.set(change)
    if (change.policy !== undefined) this.#actions.push({ kind: "policy-changed" })
    this.#rebuild(now)
  }

  /** Kills every token signed so far: a new generation, announced and sent as a floor record. */
  async bumpGeneration(now: Milliseconds): Promise<number> {
    const generation = this.#state.bumpGeneration()
    this.#rebuild(now)
    const record = await signFloorRecord(this.#options.signer, generation, now + this.#writeOffsetMs)
    this.#actions.push({ kind: "persist", self: this.#stored() }, { kind: "floor", record, generation })
    return generation
  }

  /**
   * An announcement in our own name that came from the network. One that our key signed elsewhere, with a later version, replaces
   * our policy (D07). `direct`: it came from the node that made it, so somebody else is using our key (D40).
   */
  async adopt(signed: SignedAnnouncement, now: Milliseconds): Promise<boolean> {
    const { announcement } = signed
    const isLater = () => announcement.version > this.#state.lastVersion && announcement.version < MAX_BUILT_VERSION
    if (!isLater() || typeof leaseEnd(announcement, now, this.#skewSeconds) !== "number") return false
    if (!(await isAnnouncementSigned(signed)) || !isLater()) return false
    const conflicts = signed.hopCount === 0 ? this.#conflict(now) : this.#recentConflicts(now)
    if (conflicts >= MAX_CONFLICTS) return false
    const changed = this.#state.adopt(announcement)
    this.#actions.push({ kind: "persist", self: this.#stored() })
    if (!changed) return true
    this.#actions.push({ kind: "policy-changed" })
    this.#rebuild(now)
    return true
  }

  /** When {@link run} has something to do, Unix milliseconds; `Infinity` for never. */
  dueAt(): Milliseconds {
    const broadcast = this.#broadcastWanted ? this.#lastBroadcast + this.#minAnnounceMs : Number.POSITIVE_INFINITY
    return Math.min(this.#nextRound, broadcast)
  }

  /** Signs what changed and says what is to be stored and sent. Calls are carried out one after the other. */
  run(now: Milliseconds): Promise<AnnouncerAction[]> {
    const run = this.#busy.then(() => this.#run(now))
    this.#busy = run.catch(() => undefined)
    return run
  }

  async #run(now: Milliseconds): Promise<AnnouncerAction[]> {
    if (now >= this.#nextRound) {
      this.#nextRound = now + this.#reannounceMs
      this.#rebuild(now)
    }
    while (this.#unsigned !== undefined) {
      const { announcement, expiresAt } = this.#unsigned
      const signed = await signAnnouncement(announcement, this.#options.signer)
      const { proven } = await this.#certs.prove(announcement.certs, announcement.entityId)
      // A change meanwhile made this one old; the newest is signed instead.
      if (this.#unsigned?.announcement !== announcement) continue
      this.#unsigned = undefined
      this.#proven = proven
      this.#latest = encodeAnnouncement(signed)
      this.#putOwn(announcement, expiresAt, now, this.#latest)
      this.#actions.push({ kind: "persist", self: this.#stored() })
    }
    if (this.#broadcastWanted && this.#latest !== undefined && now - this.#lastBroadcast >= this.#minAnnounceMs) {
      this.#broadcastWanted = false
      this.#lastBroadcast = now
      this.#actions.push({ kind: "broadcast", payload: this.#latest })
    }
    return this.#actions.splice(0)
  }

  /** A new version of everything, at once in the index and wanted by the neighbours. */
  #rebuild(now: Milliseconds): void {
    const ttl = stampedTtl(this.#reannounceMs, this.#minAnnounceMs)
    const announcement = this.#state.build(now, now + this.#writeOffsetMs, ttl)
    const expiresAt = now + ttl * 1000
    this.#unsigned = { announcement, expiresAt }
    this.#broadcastWanted = true
    this.#putOwn(announcement, expiresAt, now)
  }

  #putOwn(announcement: Announcement, expiresAt: Milliseconds, now: Milliseconds, payload?: Bytes): void {
    const entry = {
      announcement,
      own: true,
      expiresAt,
      acceptedAt: now,
      hopCount: 0,
      certs: this.#proven,
      skewSeconds: this.#skewSeconds,
    }
    this.#options.index.put(new IndexEntry(payload === undefined ? entry : { ...entry, payload }))
  }

  #conflict(now: Milliseconds): number {
    this.#conflicts.push(now)
    const recent = this.#recentConflicts(now)
    this.#actions.push({ kind: "identity-conflict", adopting: recent < MAX_CONFLICTS })
    return recent
  }

  #recentConflicts(now: Milliseconds): number {
    while (this.#conflicts.length > 0 && now - (this.#conflicts[0] as number) >= CONFLICT_WINDOW_MS) this.#conflicts.shift()
    return this.#conflicts.length
  }

  #stored(): StoredSelf {
    const { generation, lastVersion, facts } = this.#state
    return { generation, lastVersion, policy: facts.policy }
  }
}
