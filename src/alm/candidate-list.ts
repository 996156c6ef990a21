/** Whom one subscription may ask, best first: the plan decides who, the planner in which order (D-44, D-26). */
import { isAvError } from "../wire/errors.ts"
import { BLINKING_DOT } from "../wire/layers.ts"
import type { ChunkLayer, Milliseconds, PeerKeyId, ReceiverLayerPolicy } from "../wire/types.ts"
import { UNKNOWN_RTT_MS } from "./constants.ts"
import { cappedPolicy, type PlanOptions, rankCandidates } from "./planner.ts"
import type { Offer } from "./switch-damper.ts"
import { isDescendant, isScarce, isTreeUsable, mayFeed } from "./tree-candidates.ts"
import type { ParentCandidate, TreeView } from "./types.ts"

/** Candidates kept; more are cut off by the caller's order. */
const MAX_CANDIDATES = 10_000
/** Staleness comes with time alone: the order is renewed at least this often. */
const CACHE_MS = 1_000

const noLayers = { maxSpatial: 0, maxTemporal: 0, maxQuality: 0 }

interface ListOptions {
  me: PeerKeyId
  publisher: PeerKeyId
  path: Uint8Array
  policy: ReceiverLayerPolicy
  streamMaxLayer: ChunkLayer | undefined
  bitrateMbps: number
}

export class CandidateList {
  readonly #options: ListOptions
  #byKey = new Map<PeerKeyId, ParentCandidate>()
  /** Parents in use whose advertisement is gone: what was known of them still counts. */
  #held = new Map<PeerKeyId, ParentCandidate>()
  #tree: TreeView | undefined
  #downstream = new Set<PeerKeyId>()
  #neighbours: readonly PeerKeyId[] = []
  #cache: { at: Milliseconds; ranked: ParentCandidate[] } | undefined

  constructor(options: ListOptions) {
    this.#options = options
  }

  set(candidates: readonly ParentCandidate[], inUse: Iterable<PeerKeyId>): void {
    const kept = candidates.slice(0, MAX_CANDIDATES)
    const held = [...inUse].flatMap((keyId) => this.get(keyId) ?? [])
    this.#held = new Map(held.map((candidate) => [candidate.signedCapacity.advertiserKeyId, candidate]))
    this.#byKey = new Map(kept.map((candidate) => [candidate.signedCapacity.advertiserKeyId, candidate]))
    this.#cache = undefined
  }

  setTree(tree: TreeView | undefined): void {
    this.#tree = tree
    this.#cache = undefined
  }

  setDownstream(children: Iterable<PeerKeyId>): void {
    this.#downstream = new Set(children)
    this.#cache = undefined
  }

  /** Who is linked to this peer, whether it promises anything or not. */
  setNeighbours(keyIds: readonly PeerKeyId[]): void {
    this.#neighbours = keyIds
  }

  setPolicy(policy: ReceiverLayerPolicy, bitrateMbps: number): void {
    this.#options.policy = policy
    this.#options.bitrateMbps = bitrateMbps
    this.#cache = undefined
  }

  get(keyId: PeerKeyId): ParentCandidate | undefined {
    return this.#byKey.get(keyId) ?? this.#held.get(keyId)
  }

  /** The planned parent, while the plan is usable. */
  plannedParent(now: Milliseconds): PeerKeyId | undefined {
    return isTreeUsable(this.#tree, this.#options.me, now) ? this.#tree.parent : undefined
  }

  /** Whether the plan allows this parent. Says nothing about its room or reachability: who delivers shows both. */
  isAllowed(keyId: PeerKeyId, now: Milliseconds): boolean {
    const { me, publisher } = this.#options
    if (keyId === me || this.#downstream.has(keyId)) return false
    return keyId === publisher || !isTreeUsable(this.#tree, me, now) || mayFeed(this.#tree, me, keyId)
  }

  /** Near to the source, and better left to those who have no other choice. */
  isScarce(keyId: PeerKeyId, now: Milliseconds): boolean {
    const { me, publisher } = this.#options
    return keyId !== publisher && isTreeUsable(this.#tree, me, now) && isScarce(this.#tree, me, keyId)
  }

  /**
   * How likely it refuses, as far as is known of its load: 0 while less than a quarter of its places are taken, 1 up to a half, else 2. Others
   * whom nobody counts come on top of what is known.
   */
  fullness({ signedCapacity: { capacity }, currentSubscribers = 0 }: ParentCandidate): 0 | 1 | 2 {
    const { bitrateMbps } = this.#options
    const byUplink = bitrateMbps > 0 ? capacity.uplinkMbps / bitrateMbps : Number.POSITIVE_INFINITY
    const places = Math.min(capacity.maxSubscribersPerStream, byUplink)
    if (4 * currentSubscribers < places) return 0
    return 2 * currentSubscribers < places ? 1 : 2
  }

  /** Steps from the source in the plan; unknown counts as far. */
  depthOf(keyId: PeerKeyId): number {
    if (keyId === this.#options.publisher) return 0
    return this.#tree?.depthOf(keyId) ?? Number.POSITIVE_INFINITY
  }

  /** What a parent offers. The publisher itself is never worth leaving for a shorter way to somebody else. */
  offerOf(keyId: PeerKeyId): Offer {
    const candidate = this.get(keyId)
    if (keyId === this.#options.publisher) return { keyId, rttMs: 0, layers: this.#layersOf(undefined) }
    return { keyId, rttMs: candidate?.rttMsEstimate ?? UNKNOWN_RTT_MS, layers: this.#layersOf(candidate) }
  }

  /**
   * Best first: the planned parent, then the planner's order, those last that others need more, then who carries only some of the layers,
   * then the publisher.
   */
  ranked(now: Milliseconds): ParentCandidate[] {
    const cache = this.#cache
    if (cache !== undefined && now - cache.at < CACHE_MS && now >= cache.at) return cache.ranked
    const ranked = this.#rank((keyId) => this.isAllowed(keyId, now), now)
    this.#cache = { at: now, ranked }
    return ranked
  }

  /**
   * Without the plan's order, when nobody that it allows can be had: only this peer and who is below it are left out. Last come neighbours
   * that promise nothing at the moment: to be refused costs a round trip, and some carry more than they promise.
   */
  rankedWithoutPlan(now: Milliseconds): ParentCandidate[] {
    const { me } = this.#options
    const tree = this.#tree
    const below = (keyId: PeerKeyId) => this.#downstream.has(keyId) || (tree !== undefined && isDescendant(tree, me, keyId))
    const allowed = (keyId: PeerKeyId) => keyId !== me && !below(keyId)
    const ranked = this.#rank(allowed, now)
    const known = new Set(ranked.map(({ signedCapacity }) => signedCapacity.advertiserKeyId))
    const others = this.#neighbours.filter((keyId) => allowed(keyId) && !known.has(keyId))
    return [...ranked, ...others.map((keyId) => this.#candidateOf(keyId))]
  }

  /** Who would be good but was never reached: worth a link. The planned parent first. */
  unreached(now: Milliseconds): ParentCandidate[] {
    const unknown = [...this.#byKey.values()].filter(
      ({ reachabilityRatio, signedCapacity }) =>
        reachabilityRatio === undefined && this.isAllowed(signedCapacity.advertiserKeyId, now),
    )
    return this.#plan(
      unknown.map((candidate) => ({ ...candidate, reachabilityRatio: 1 })),
      this.#options.policy,
      now,
    )
  }

  #rank(allowed: (keyId: PeerKeyId) => boolean, now: Milliseconds): ParentCandidate[] {
    const pool = [...this.#byKey.values()].filter(({ signedCapacity }) => allowed(signedCapacity.advertiserKeyId))
    const whole = this.#plan(pool, this.#options.policy, now)
    const chosen = new Set(whole.map(({ signedCapacity }) => signedCapacity.advertiserKeyId))
    const rest = pool.filter(({ signedCapacity }) => !chosen.has(signedCapacity.advertiserKeyId))
    const part = this.#plan(rest, BLINKING_DOT, now)
    const planned = this.plannedParent(now)
    const first = planned !== undefined && allowed(planned) ? [this.#candidateOf(planned)] : []
    const last = allowed(this.#options.publisher) ? [this.#candidateOf(this.#options.publisher)] : []
    const seen = new Set<PeerKeyId>()
    const scarce = whole.filter(({ signedCapacity }) => this.isScarce(signedCapacity.advertiserKeyId, now))
    const usual = scarce.length === 0 ? whole : whole.filter((candidate) => !scarce.includes(candidate))
    return [...first, ...usual, ...scarce, ...part, ...last].filter(({ signedCapacity: { advertiserKeyId } }) => {
      const fresh = !seen.has(advertiserKeyId)
      seen.add(advertiserKeyId)
      return fresh
    })
  }

  #plan(pool: readonly ParentCandidate[], policy: ReceiverLayerPolicy, now: Milliseconds): ParentCandidate[] {
    if (pool.length === 0) return []
    const { streamMaxLayer, bitrateMbps, path } = this.#options
    const options: PlanOptions & { path?: Uint8Array } = path.length === 0 ? {} : { path }
    if (streamMaxLayer !== undefined) options.streamMaxLayer = streamMaxLayer
    try {
      return rankCandidates(pool, bitrateMbps, policy, BigInt(Math.max(0, Math.trunc(now))), options)
    } catch (error) {
      // That nobody fits is an answer here; anything else is a mistake of the caller.
      if (isAvError(error) && error.code !== "CapacityInvalid") return []
      throw error
    }
  }

  /** A candidate without an advertisement: the publisher, or a planned parent whose advertisement has not come here yet. */
  #candidateOf(keyId: PeerKeyId): ParentCandidate {
    const known = this.#byKey.get(keyId)
    if (known !== undefined) return known
    const limits = { uplinkMbps: 0, maxStreams: 0, maxSubscribersPerStream: 0, measuredAtUnixMs: 0n }
    const capacity = { ...limits, maxLayerSupported: noLayers, subStreamCommitments: [] }
    return { signedCapacity: { advertiserKeyId: keyId, capacity } }
  }

  /** How many layers of the wish it serves, summed over the axes; without an advertisement (the publisher) all of them. */
  #layersOf(candidate: ParentCandidate | undefined): number {
    const wish = cappedPolicy(this.#options.policy, this.#options.streamMaxLayer)
    const most = candidate?.signedCapacity.capacity.maxLayerSupported ?? wish
    const axes: (keyof ReceiverLayerPolicy)[] = ["maxSpatial", "maxTemporal", "maxQuality"]
    return axes.reduce((sum, axis) => sum + Math.min(wish[axis], most[axis]), 0)
  }
}
