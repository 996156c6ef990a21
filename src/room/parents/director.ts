/** Finds and keeps the parents of every stream that this page takes: looks at the room a few times per second and drives the cores. */
import { chooseEviction, isTreeUsable, mayTakePlace, ReservedPlaces } from "../../alm/index.ts"
import { RoomPlan, type TreeOfReceiver } from "../../holonomic/index.ts"
import type { MeshFeeds, MeshLinkStats } from "../../pipeline/index.ts"
import { streamKeyOf } from "../../pipeline/index.ts"
import type { KnownControlMessage } from "../../wire/control-json.ts"
import type { Bytes, Milliseconds, NodeId, PeerKeyId } from "../../wire/types.ts"
import type { Upstream } from "../upstream.ts"
import type { Upstreams } from "../upstreams.ts"
import type { CapacityDesk } from "./capacity-desk.ts"
import { LinkMeasures } from "./link-measures.ts"
import { Refusals } from "./refusals.ts"
import { RoomPicture } from "./room-picture.ts"
import { type ParentFigures, type ParentKnowledge, StreamParents } from "./stream-parents.ts"

/** From here on members feed each other. Smaller calls are taken from the publisher alone: it can carry so few, and nobody else fails. */
const MIN_MEMBERS = 5
/** Candidates and plans are looked at this often, ms. */
const LEARN_MS = 1_000
/**
 * A full parent gives a child this time to move for one that the plan puts there, and waits a little longer, so that a child that uses all of
 * it leaves its place to the one it was meant for; ms. Both within the time that who asks waits for an answer.
 */
const EVICTION_MS = 800
const EVICTION_WAIT_MS = 1_600
const EVICTION_LOOK_MS = 100

interface DirectorHost {
  me: PeerKeyId
  /** Unix ms as others count them. */
  now(): Milliseconds
  /** 0..1. */
  random(): number
  roomId(): Bytes | undefined
  /** Members of the group, this page included. */
  members(): readonly PeerKeyId[]
  nodeOf(keyId: PeerKeyId): NodeId | undefined
  /** Members with a direct link. */
  neighbours(): readonly PeerKeyId[]
  /** Makes a direct link unless there is one. */
  connect(keyId: PeerKeyId): void
  send(keyId: PeerKeyId, message: KnownControlMessage): boolean
  linkRtt(rttMs: ReadonlyMap<NodeId, Milliseconds>): void
  mesh: { feeds(): Promise<MeshFeeds>; stats(): Promise<{ links: MeshLinkStats[] }> }
  /** An own stream as it is announced. */
  ownStream(streamKey: string): { mbps: number } | undefined
  /** Copies of one stream that this page may give; undefined: many. */
  maxSubscribers?: number | undefined
}

export class ParentDirector {
  readonly desk: CapacityDesk
  readonly #host: DirectorHost
  readonly #upstreams: Upstreams
  readonly #plan = new RoomPlan()
  readonly #picture: RoomPicture
  readonly #driven = new Map<Upstream, StreamParents>()
  /** Children by stream, with the time each was first seen. */
  readonly #children = new Map<string, Map<PeerKeyId, Milliseconds>>()
  readonly #evicting = new Set<string>()
  /** By stream: for which children of the plan places are kept. */
  readonly #reserved = new Map<string, ReservedPlaces>()
  /** This page is about to leave: nobody new is taken on. */
  #leaving = false
  readonly #measures = new LinkMeasures()
  readonly #refusals = new Refusals()
  #learnedAt = Number.NEGATIVE_INFINITY
  #busy = false
  closed = false

  constructor(upstreams: Upstreams, desk: CapacityDesk, host: DirectorHost) {
    this.desk = desk
    this.#host = host
    this.#picture = new RoomPicture(host.me)
    this.#upstreams = upstreams
    upstreams.onUsed = (upstream) => this.#take(upstream)
  }

  /** A member's state: whom it is linked to. */
  state(keyId: PeerKeyId, links: Parameters<RoomPicture["state"]>[1]): void {
    this.#picture.state(keyId, links)
  }

  forget(keyId: PeerKeyId): void {
    this.#picture.forget(keyId)
    this.desk.forget(keyId)
  }

  /** Call it four times per second. Does nothing while the last call is still waiting for the worker. */
  async tick(): Promise<void> {
    if (this.#busy || this.closed) return
    this.#busy = true
    try {
      const now = this.#host.now()
      const needed = this.#isNeeded()
      this.desk.neighbours(now, this.#host.neighbours())
      this.desk.tick(now, needed)
      const learns = now - this.#learnedAt >= LEARN_MS || now < this.#learnedAt
      if (needed) await this.#look(learns)
      if (this.closed || !learns) return
      this.#learnedAt = now
      this.#updatePlan(now)
      this.#drive(needed, now)
    } finally {
      this.#busy = false
    }
  }

  /** The parents of a stream, for statistics; empty while the publisher alone is asked. */
  parentsOf(streamKey: string): (ParentFigures & { claimedBitrate: number | undefined })[] {
    const upstream = this.#upstreams.get(streamKey)
    const parents = upstream === undefined ? undefined : this.#driven.get(upstream)
    const now = this.#host.now()
    return (parents?.parents ?? []).map((parent) => {
      const claimed = this.desk.claimedMbps(parent.keyId, now)
      return { ...parent, claimedBitrate: claimed === undefined ? undefined : claimed * 1e6 }
    })
  }

  /** What happened to parents since this page joined, all streams that are taken now together. */
  get counts(): StreamParents["counts"] {
    const sum = { asked: 0, refused: 0, timeouts: 0, healed: 0, switched: 0, demoted: 0, dry: 0 }
    for (const { counts } of this.#driven.values()) {
      for (const name of Object.keys(sum) as (keyof typeof sum)[]) sum[name] += counts[name]
    }
    return sum
  }

  /** This page leaves soon: it takes on no children any more. */
  leave(): void {
    this.#leaving = true
  }

  /** Whether this asker is to be refused although there is room: the plan gives the place to somebody else, who is still to come (D-44). */
  isKept(streamId: Bytes, asker: PeerKeyId): boolean {
    if (this.#leaving) return true
    const { maxSubscribers, me, now } = this.#host
    const key = streamKeyOf(streamId)
    const tree = maxSubscribers === undefined || !this.#isNeeded() ? undefined : this.#treeOf(key, streamId)
    if (maxSubscribers === undefined || !isTreeUsable(tree, me, now())) return false
    const reserved = this.#reserved.get(key) ?? new ReservedPlaces()
    this.#reserved.set(key, reserved)
    const children = this.#children.get(key)
    const hasChild = (keyId: PeerKeyId) => children?.has(keyId) === true
    const free = maxSubscribers - (children?.size ?? 0)
    reserved.plan(
      this.#host.members().filter((keyId) => keyId !== me && tree.parentOf(keyId) === me),
      now(),
    )
    const planned = reserved.planned(asker, hasChild, maxSubscribers, now())
    // Without a free place the mesh refuses by itself.
    return free > 0 && !mayTakePlace(free, asker, planned, hasChild)
  }

  /**
   * Somebody was refused for want of room. If the plan puts it here and another child elsewhere, that one is asked to move.
   * @returns whether there is a place now
   */
  async makePlace(streamId: Bytes, asker: PeerKeyId): Promise<boolean> {
    const key = streamKeyOf(streamId)
    if (this.#evicting.has(key)) return false
    const children = [...(this.#children.get(key) ?? [])].map(([keyId, since]) => ({ keyId, since }))
    const { me, now, send } = this.#host
    const moved = chooseEviction(me, this.#treeOf(key, streamId), asker, children, now())
    if (moved === undefined || !send(moved, { t: "av.leaving", inMs: EVICTION_MS })) return false
    this.#evicting.add(key)
    try {
      const end = now() + EVICTION_WAIT_MS
      while (now() < end && !this.closed) {
        await new Promise((resolve) => setTimeout(resolve, EVICTION_LOOK_MS))
        this.#noteChildren(await this.#host.mesh.feeds())
        if (this.#children.get(key)?.has(moved) !== true) return true
      }
      return false
    } finally {
      this.#evicting.delete(key)
    }
  }

  close(): void {
    this.closed = true
    this.#driven.clear()
    this.#upstreams.onUsed = () => {}
  }

  #isNeeded(): boolean {
    return this.#host.members().length >= MIN_MEMBERS
  }

  /** A stream is about to be asked for: where relays are known, two parents from the beginning. */
  #take(upstream: Upstream, refused = false): void {
    if (this.closed || !this.#isNeeded()) return
    const knowledge = this.#knowledge(upstream)
    if (!hasRelays(knowledge, upstream) && !refused) return
    const parents = new StreamParents(upstream, {
      me: this.#host.me,
      now: this.#host.now,
      random: this.#host.random,
      connect: (keyId) => this.#host.connect(keyId),
      keyframe: ({ stream: { streamId } }, parent) => void this.#host.send(parent, { t: "av.keyframe", streamId }),
    })
    upstream.drive(parents)
    this.#driven.set(upstream, parents)
    parents.begin(knowledge)
  }

  #drive(needed: boolean, now: Milliseconds): void {
    const all = this.#upstreams.all
    for (const [upstream, parents] of this.#driven) {
      if (upstream.driver !== parents || !all.includes(upstream)) this.#driven.delete(upstream)
      // Relays that promise nothing more for now go on serving those they have, and the publisher may be full.
      else if (!needed || (parents.isFedByPublisher && !hasRelays(this.#knowledge(upstream), upstream))) {
        this.#driven.delete(upstream)
        upstream.undrive()
      }
    }
    for (const key of this.#reserved.keys()) {
      if (this.#host.ownStream(key) === undefined && this.#upstreams.offer(key) === undefined) this.#reserved.delete(key)
    }
    for (const upstream of all) {
      const parents = this.#driven.get(upstream)
      if (parents !== undefined) parents.learn(this.#knowledge(upstream))
      else if (upstream.drivable) this.#take(upstream, this.#refusals.isRefused(upstream, now))
    }
    this.#refusals.keep(all)
  }

  async #look(measures: boolean): Promise<void> {
    const { mesh } = this.#host
    const [feeds, stats] = await Promise.all([mesh.feeds(), measures ? mesh.stats() : undefined])
    if (this.closed) return
    this.#noteChildren(feeds)
    if (stats !== undefined) this.#measure(stats.links)
    for (const [upstream, parents] of this.#driven) {
      if (upstream.driver !== parents) continue
      const { streamKey } = upstream.stream
      const needed = parents.inNeed
      const own = feeds.in.filter(({ streamId }) => streamKeyOf(streamId) === streamKey)
      parents.tick(own, (keyId) => this.#measures.isLossy(keyId))
      // What is known of candidates may be a second old.
      if (!needed && parents.inNeed) parents.learn(this.#knowledge(upstream))
    }
  }

  #noteChildren({ out }: MeshFeeds): void {
    const now = this.#host.now()
    const seen = new Set<string>()
    for (const { streamId, children } of out) {
      const key = streamKeyOf(streamId)
      seen.add(key)
      const before = this.#children.get(key)
      this.#children.set(key, new Map(children.map((keyId) => [keyId, before?.get(keyId) ?? now])))
    }
    for (const key of this.#children.keys()) if (!seen.has(key)) this.#children.delete(key)
  }

  #measure(links: readonly MeshLinkStats[]): void {
    const now = this.#host.now()
    const { samples, rtts } = this.#measures.take(links, now)
    this.desk.sample(samples, now)
    this.#picture.measured(rtts, now)
    const changed = this.#picture.newClasses(this.#host.nodeOf)
    if (changed !== undefined) this.#host.linkRtt(changed)
  }

  #updatePlan(now: Milliseconds): void {
    const roomId = this.#host.roomId()
    if (roomId === undefined) return
    const { members, nodeOf } = this.#host
    this.#plan.update(
      () => ({ roomId, members: this.#picture.members(members(), nodeOf), relays: [], ads: this.desk.list(now) }),
      now,
    )
  }

  #knowledge({ publisher, stream: { streamId, streamKey } }: Upstream): ParentKnowledge {
    const now = this.#host.now()
    const neighbours = new Set(this.#host.neighbours())
    const tree = this.#treeOf(streamKey, streamId)
    const isLinked = (keyId: PeerKeyId) => neighbours.has(keyId)
    const parentOf = (keyId: PeerKeyId) => tree?.parentOf(keyId)
    const candidates = this.#picture.seen(this.desk.candidates(streamId, now), isLinked, parentOf, publisher)
    const children = [...(this.#children.get(streamKey)?.keys() ?? [])]
    return { candidates, neighbours: [...neighbours], tree, children }
  }

  /** The planned tree of a stream as this page sees it; everybody takes the announced rate for the cost of a copy. */
  #treeOf(streamKey: string, streamId: Bytes): TreeOfReceiver | undefined {
    const { me } = this.#host
    const own = this.#host.ownStream(streamKey)
    const offer = own === undefined ? this.#upstreams.offer(streamKey) : undefined
    const sourcePeerId = own === undefined ? offer?.publisher : me
    if (sourcePeerId === undefined) return undefined
    const mbps = own?.mbps ?? offer?.stream.mbps ?? 0
    return this.#plan.treeFor(me, { streamId, sourcePeerId, edgeMillibps: BigInt(Math.round(mbps * 1_000)), parents: 2 })
  }
}

/** Somebody beside the publisher could hand the stream on. */
function hasRelays({ candidates }: ParentKnowledge, { publisher }: Upstream): boolean {
  return candidates.some(({ signedCapacity }) => signedCapacity.advertiserKeyId !== publisher)
}
