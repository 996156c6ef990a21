/** One simulated peer: what it holds of the product's cores, and what it has of the stream. */
import { type CapacityAdvertiser, type CapacityEstimator, type ParentManager, ReservedPlaces } from "../../src/alm/index.ts"
import { RelayDuplicates, RelayLedger, type RelayLimits, Roster, type RosterEntry } from "../../src/relay/index.ts"
import type { NodeId, PeerKeyId } from "../../src/wire/types.ts"
import type { Random } from "../engine/random.ts"
import type { Place } from "../model/places.ts"
import { Uplink } from "../model/uplink.ts"
import type { Hop } from "./hop.ts"

/** Groups of symbols remembered: far more than any copy can be late. */
export const REMEMBERED_GROUPS = 128

interface RelayedHop extends RosterEntry {
  readonly hop: Hop
}

export class SimPeer {
  readonly index: number
  readonly keyId: PeerKeyId
  readonly nodeId: NodeId
  readonly place: Place
  readonly random: Random
  readonly uplink: Uplink
  readonly isSource: boolean
  /** Runs at all. */
  alive = true
  /** Says goodbye and moves its children before it stops. */
  leaving = false
  /** It lost a parent and has looked for further candidates. */
  inNeed = false
  joinedAt = 0
  leftAt = Number.POSITIVE_INFINITY
  /** First group decoded. */
  playingAt = Number.POSITIVE_INFINITY

  manager: ParentManager | undefined
  advertiser: CapacityAdvertiser | undefined
  estimator: CapacityEstimator | undefined
  ledger: RelayLedger
  readonly reserved = new ReservedPlaces()
  readonly roster = new Roster<RelayedHop>()
  readonly duplicates = new RelayDuplicates()
  /** By index of the parent. */
  readonly up = new Map<number, Hop>()
  /** Links besides those of the ring, and what holds them. */
  readonly links = new Map<number, { spare: boolean }>()
  /** Last chunk or keep-alive of any parent, ms (D-39). */
  heardAt = Number.NEGATIVE_INFINITY

  readonly #group = new Int32Array(REMEMBERED_GROUPS).fill(-1)
  readonly #mask = new Int32Array(REMEMBERED_GROUPS)
  readonly #firstAt = new Float64Array(REMEMBERED_GROUPS)
  readonly #decodedAt = new Float64Array(REMEMBERED_GROUPS)
  readonly #hops = new Uint16Array(REMEMBERED_GROUPS)
  /** When the last group could be decoded, for gaps in what is seen. */
  lastDecodedAt = 0
  longestGapMs = 0
  /** Distinct symbols of the running second. */
  newSymbols = 0

  constructor(
    index: number,
    keyId: PeerKeyId,
    nodeId: NodeId,
    place: Place,
    random: Random,
    options: { isSource: boolean; queueMs: number; limits: RelayLimits; headroom: number },
  ) {
    this.index = index
    this.keyId = keyId
    this.nodeId = nodeId
    this.place = place
    this.random = random
    this.isSource = options.isSource
    this.uplink = new Uplink(place.uplink * options.headroom, options.queueMs)
    this.ledger = new RelayLedger(options.limits)
  }

  /** Place of a group in the memory; a new one forgets the group that was there. */
  slotOf(group: number, now: number): number {
    const slot = group % REMEMBERED_GROUPS
    if (this.#group[slot] === group) return slot
    if (this.#group[slot]! > group) return -1
    this.#group[slot] = group
    this.#mask[slot] = 0
    this.#firstAt[slot] = now
    this.#decodedAt[slot] = Number.POSITIVE_INFINITY
    this.#hops[slot] = 0
    return slot
  }

  maskOf(group: number): number {
    const slot = group % REMEMBERED_GROUPS
    return this.#group[slot] === group ? this.#mask[slot]! : 0
  }

  decodedAt(group: number): number {
    const slot = group % REMEMBERED_GROUPS
    return this.#group[slot] === group ? this.#decodedAt[slot]! : Number.POSITIVE_INFINITY
  }

  firstAt(slot: number): number {
    return this.#firstAt[slot]!
  }

  /** Steps from the source of the copy that completed the group. */
  hopsOf(group: number): number {
    return this.#hops[group % REMEMBERED_GROUPS]!
  }

  addSymbols(slot: number, mask: number): number {
    this.#mask[slot] = this.#mask[slot]! | mask
    return this.#mask[slot]!
  }

  decoded(slot: number, now: number, hops: number): void {
    this.#decodedAt[slot] = now
    this.#hops[slot] = hops
  }

  isDecoded(slot: number): boolean {
    return this.#decodedAt[slot] !== Number.POSITIVE_INFINITY
  }
}
