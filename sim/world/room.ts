/** What everybody in the room gets to know by flood: members, links, advertisements, the plan. Floods themselves are timed, not played. */
import { AdvertisementBook, isTreeUsable, type ParentCandidate, type TreeView } from "../../src/alm/index.ts"
import { RoomPlan, type RoomSnapshot, type RoomTree, type RoomTreeOptions, type RoomView } from "../../src/holonomic/index.ts"
import { roomCapacityId } from "../../src/identity/capacity.ts"
import { capacityToWire, type RelayCapacity, type SignedRelayCapacity } from "../../src/wire/capacity.ts"
import { rttClass } from "../../src/wire/participant-state.ts"
import type { PeerKeyId } from "../../src/wire/types.ts"
import { canLink, oneWayMs } from "../model/places.ts"
import { ControlRing } from "../model/ring.ts"
import type { Scenario } from "../model/scenario.ts"
import type { Metrics } from "../report/metrics.ts"
import type { SimPeer } from "./peer.ts"

const ROOM_ID = new Uint8Array(32).fill(0x52)
export const STREAM_ID = new Uint8Array(32).fill(0x53)
const ROOM_CAPACITY_ID = roomCapacityId(ROOM_ID)
/** Unix ms of virtual time 0. */
export const UNIX_BEGIN = 1_700_000_000_000
/** Frames around a control message: control frame, SCTP, DTLS, UDP, IP. */
const FRAMES_AROUND = 20 + 28 + 29 + 28
/** As long as real ones: signing thousands of times per second is not the subject. */
const ED25519_BASE64 = "A".repeat(86).concat("==")
const ML_DSA_BASE64 = "A".repeat(4_412)

/** From a change of the epoch until a relay has signed again: half of the spread and half of a second's tick, ms. */
const RENEWAL_MS = 750

export class SimRoom {
  readonly plan = new RoomPlan()
  readonly #metrics: Metrics
  readonly #book: AdvertisementBook
  readonly #members = new Map<PeerKeyId, SimPeer>()
  readonly #advertisedAt = new Map<PeerKeyId, number>()
  /** Of one copy of the stream. */
  readonly rateMbps: number
  readonly #treeOptions: RoomTreeOptions
  #tree: { snapshot: RoomSnapshot | undefined; tree: RoomTree | undefined } = { snapshot: undefined, tree: undefined }
  #ring = new ControlRing(
    ROOM_ID,
    [],
    () => true,
    () => 0,
  )
  #ringOutdated = false
  #epoch = 1n
  #candidates: { at: number; list: ParentCandidate[]; byKey: Map<PeerKeyId, ParentCandidate> } | undefined
  #loads: { tree: RoomTree | undefined; loads: ReadonlyMap<PeerKeyId, number> } = { tree: undefined, loads: new Map() }
  #waiting: Promise<unknown>[] = []
  /** Advertisements per second of virtual time. */
  readonly advertisements: number[] = []

  constructor(metrics: Metrics, sourceKeyId: PeerKeyId, rateMbps: number, { planFactor, parents }: Scenario) {
    this.#metrics = metrics
    this.rateMbps = rateMbps
    const edgeMillibps = BigInt(Math.floor(rateMbps * planFactor * 1_000))
    this.#treeOptions = { streamId: STREAM_ID, sourcePeerId: sourceKeyId, edgeMillibps, parents }
    const keys = { ed25519: new Uint8Array(32), mlDsa65: new Uint8Array(1_952) }
    this.#book = new AdvertisementBook({
      roomCapacityId: ROOM_CAPACITY_ID,
      directory: { keysOf: (keyId) => (this.#members.has(keyId) ? keys : undefined) },
      isStream: () => true,
      verify: () => Promise.resolve(),
    })
    this.#book.enterEpoch(this.#epoch, UNIX_BEGIN)
  }

  get ring(): ControlRing {
    return this.#ring
  }

  get members(): ReadonlyMap<PeerKeyId, SimPeer> {
    return this.#members
  }

  get epoch(): bigint {
    return this.#epoch
  }

  enter(peer: SimPeer, now: number): void {
    this.#members.set(peer.keyId, peer)
    this.#changed(now)
  }

  remove(peer: SimPeer, now: number): void {
    if (!this.#members.delete(peer.keyId)) return
    this.#book.forgetAdvertiser(peer.keyId)
    this.#book.forgetNeighbour(peer.keyId)
    this.#advertisedAt.delete(peer.keyId)
    this.#changed(now)
  }

  #changed(now: number): void {
    this.#ringOutdated = true
    this.#candidates = undefined
    this.#epoch++
    this.#book.enterEpoch(this.#epoch, UNIX_BEGIN + now)
  }

  /** Brings the ring up to date; peers do so at their own pace, once a second here. */
  refreshRing(): boolean {
    if (!this.#ringOutdated) return false
    this.#ringOutdated = false
    const at = (keyId: PeerKeyId) => this.#members.get(keyId)!.place
    this.#ring = new ControlRing(
      ROOM_ID,
      [...this.#members.keys()],
      (a, b) => canLink(at(a), at(b)),
      (a, b) => oneWayMs(at(a), at(b)),
    )
    return true
  }

  advertise(peer: SimPeer, capacity: RelayCapacity, epoch: bigint, now: number): void {
    const signed: SignedRelayCapacity = {
      advertiserKeyId: peer.keyId,
      capacity,
      streamId: ROOM_CAPACITY_ID,
      epoch,
      signatureEd25519Base64: ED25519_BASE64,
      signatureMlDsa65Base64: ML_DSA_BASE64,
    }
    const bytes = capacityToWire(signed).length + FRAMES_AROUND
    // A flood uses every link once or twice: once to the members it is new to, and where two learn it from elsewhere at the same time.
    const copies = Math.max(0, this.#ring.directedLinks - (this.#members.size - 1))
    this.#metrics.controlSum("capacity", bytes * copies)
    const second = Math.floor(now / 1_000)
    this.advertisements[second] = (this.advertisements[second] ?? 0) + 1
    const offered = this.#book.offer(signed, peer.keyId, UNIX_BEGIN + now).then(({ kind }) => {
      if (kind !== "admitted") return
      if (!this.#advertisedAt.has(peer.keyId)) this.#advertisedAt.set(peer.keyId, now)
    })
    this.#waiting.push(offered)
  }

  /** Admissions are promises in the product; they are waited for between two slices of virtual time. */
  async settle(): Promise<void> {
    while (this.#waiting.length > 0) await Promise.all(this.#waiting.splice(0))
  }

  sweep(now: number): void {
    this.#book.sweep(UNIX_BEGIN + now)
    this.#candidates = undefined
  }

  /** Every relay that advertises, whoever knows of it. */
  candidates(now: number): readonly ParentCandidate[] {
    this.#refreshCandidates(now)
    return this.#candidates!.list
  }

  candidate(keyId: PeerKeyId, now: number): ParentCandidate | undefined {
    this.#refreshCandidates(now)
    return this.#candidates!.byKey.get(keyId)
  }

  /** Whether the advertisement has reached `peer` by now. */
  isVisible({ signedCapacity: { advertiserKeyId } }: ParentCandidate, peer: SimPeer, now: number): boolean {
    if (advertiserKeyId === peer.keyId) return false
    const advertised = this.#advertisedAt.get(advertiserKeyId) ?? now
    // Relays sign again when somebody joins, within a second and a half: those who are linked to the newcomer tell it first.
    const near = this.#ring.links.get(peer.keyId)?.includes(advertiserKeyId) === true
    const delay = near ? RENEWAL_MS : this.#ring.floodMs + RENEWAL_MS
    return now >= Math.max(advertised + this.#ring.floodMs, peer.joinedAt + delay)
  }

  #refreshCandidates(now: number): void {
    if (this.#candidates !== undefined && now - this.#candidates.at < 500) return
    const list = this.#book.candidates(STREAM_ID, UNIX_BEGIN + now)
    const byKey = new Map(list.map((candidate) => [candidate.signedCapacity.advertiserKeyId, candidate]))
    this.#candidates = { at: now, list, byKey }
  }

  /** True when another plan is in use now. */
  updatePlan(now: number): boolean {
    return this.plan.update(() => this.#view(now), UNIX_BEGIN + now)
  }

  /** Everybody's: asked for at every turn, computed once per snapshot. */
  tree(): RoomTree | undefined {
    const { snapshot } = this.plan
    if (this.#tree.snapshot !== snapshot) this.#tree = { snapshot, tree: this.plan.tree(this.#treeOptions) }
    return this.#tree.tree
  }

  /** Who the plan puts below `peer`, while the plan is in use. */
  plannedChildren(peer: SimPeer, now: number): readonly PeerKeyId[] {
    const view = this.treeFor(peer)
    return isTreeUsable(view, peer.keyId, UNIX_BEGIN + now) ? this.tree()!.childrenOf(peer.keyId) : []
  }

  /** Children that the plan gives a relay: its load, as far as everybody can know it. */
  plannedLoad(keyId: PeerKeyId): number {
    const tree = this.tree()
    if (tree !== this.#loads.tree) {
      const loads = new Map<PeerKeyId, number>()
      for (const { parentPeerId } of tree?.topology().tree ?? []) loads.set(parentPeerId, (loads.get(parentPeerId) ?? 0) + 1)
      this.#loads = { tree, loads }
    }
    return this.#loads.loads.get(keyId) ?? 0
  }

  treeFor(peer: SimPeer): TreeView | undefined {
    return this.plan.treeFor(peer.keyId, this.#treeOptions)
  }

  #view(now: number): RoomView {
    const members = [...this.#members.values()].map((peer) => {
      const others = new Set(this.#ring.links.get(peer.keyId) ?? [])
      for (const hop of peer.up.values()) others.add(hop.parent.keyId)
      for (const entry of peer.roster) others.add(entry.peer)
      const links = [...others].flatMap((keyId): [string, number][] => {
        const other = this.#members.get(keyId)
        return other === undefined ? [] : [[other.nodeId, rttClass(2 * oneWayMs(peer.place, other.place))]]
      })
      return { keyId: peer.keyId, nodeId: peer.nodeId, links }
    })
    return { roomId: ROOM_ID, members, relays: [], ads: this.#book.list(UNIX_BEGIN + now) }
  }
}
