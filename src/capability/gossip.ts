/** One node's part in the gossip of announcements and floors: what comes in, what goes on, what a newcomer is told (control-plane 2). */
import { FloorTable, type PinTable } from "../identity/index.ts"
import { encodeFloorPayload } from "../wire/floor-record.ts"
import { FRAME_ANNOUNCE, FRAME_FLOOR } from "../wire/frame.ts"
import type { Bytes, Milliseconds, NodeId } from "../wire/types.ts"
import { MAX_HOPS } from "./announcement.ts"
import { withHopCount } from "./announcement-codec.ts"
import { Announcer, type AnnouncerAction, type AnnouncerOptions } from "./announcer.ts"
import { CapabilityIndex } from "./capability-index.ts"
import { CapabilityCounters } from "./counters.ts"
import { FloorGossip } from "./floor-gossip.ts"
import { type GossipFrame, NeighbourQueues } from "./neighbour-queues.ts"
import { type AnnouncementOutcome, AnnouncementReceiver } from "./receiver.ts"
import { RouteTable } from "./routes.ts"

/** Foreign announcements and floors that a new neighbour is told about. */
const MAX_SYNC_ENTRIES = 256
const MAX_SYNC_FLOORS = 256
const SWEEP_MS = 60_000

export type GossipAction =
  | ({ kind: "send" } & GossipFrame)
  | Exclude<AnnouncerAction, { kind: "broadcast" } | { kind: "floor" }>
  /** Tokens of this issuer may have died: what depends on them is to be checked again. */
  | { kind: "floor-rose"; entity: Bytes }

export interface GossipOptions extends Omit<AnnouncerOptions, "index"> {
  pins: PinTable
  floors?: FloorTable
  rateLimits?: boolean
}

/** Feed it sessions and frames, call {@link run} afterwards and when {@link dueAt} has come, and carry out what it says. */
export class Gossip {
  readonly index: CapabilityIndex
  readonly floors: FloorTable
  readonly counters = new CapabilityCounters()
  readonly routes = new RouteTable()
  readonly announcer: Announcer
  readonly #self: NodeId
  readonly #entity: Bytes
  readonly #receiver: AnnouncementReceiver
  readonly #floorGossip: FloorGossip
  readonly #queues = new NeighbourQueues()
  readonly #actions: GossipAction[] = []
  #nextSweep: Milliseconds

  constructor(options: GossipOptions) {
    const { signer, pins, now } = options
    this.#self = signer.nodeId
    this.#entity = signer.entityId
    pins.pinForever(signer.nodeId, signer.entityId)
    this.floors = options.floors ?? new FloorTable()
    this.floors.protect(signer.entityId)
    const isNeighbour = (node: NodeId) => this.#queues.has(node)
    this.index = new CapabilityIndex({ isProtected: (node) => pins.isPermanent(node) || isNeighbour(node) })
    this.announcer = new Announcer({ ...options, index: this.index })
    this.floors.raise(signer.entityId, this.announcer.state.generation)
    const shared = { index: this.index, pins, floors: this.floors, counters: this.counters, isNeighbour }
    this.#receiver = new AnnouncementReceiver({
      ...shared,
      self: this.#self,
      ...(options.skewSeconds === undefined ? {} : { skewSeconds: options.skewSeconds }),
      ...(options.rateLimits === undefined ? {} : { rateLimits: options.rateLimits }),
    })
    this.#floorGossip = new FloorGossip(this.floors, this.counters)
    this.#nextSweep = now + SWEEP_MS
  }

  /** A session was authenticated: the neighbour is told what we know (D41). */
  sessionOpened(node: NodeId, now: Milliseconds): void {
    if (this.#queues.has(node)) return
    this.#queues.open(node)
    if (this.announcer.latest !== undefined) this.#queues.push(node, FRAME_ANNOUNCE, this.announcer.latest)
    for (const record of this.floors.records(MAX_SYNC_FLOORS)) this.#queues.push(node, FRAME_FLOOR, encodeFloorPayload(1, record))
    let sent = 0
    for (const { node: origin, payload, hopCount } of this.index.freshest(now)) {
      if (origin === this.#self || origin === node || payload === undefined || hopCount + 1 >= MAX_HOPS) continue
      if (sent++ === MAX_SYNC_ENTRIES) break
      this.#queues.push(node, FRAME_ANNOUNCE, withHopCount(payload, hopCount + 1))
    }
  }

  sessionClosed(node: NodeId): void {
    this.#queues.close(node)
    this.routes.neighbourLost(node)
  }

  /** The payload of an ANNOUNCE frame on the session with `from`. */
  async receiveAnnouncement(payload: Bytes, from: NodeId, now: Milliseconds): Promise<AnnouncementOutcome> {
    const result = await this.#receiver.receive(payload, from, now)
    const { announcement, forward, own, hopCount } = result
    if (own !== undefined) await this.announcer.adopt(own, now)
    if (announcement === undefined) return result.outcome
    if (result.floorRose === true) this.#actions.push({ kind: "floor-rose", entity: announcement.entityId })
    const origin = announcement.nodeId
    if (forward !== undefined) {
      const towards = this.routes.nextHop(origin, now)?.via
      this.#pass(FRAME_ANNOUNCE, forward.payload, [from, origin, towards])
    }
    const entry = this.index.get(origin, now)
    if (entry !== undefined && hopCount !== undefined) this.routes.learn(origin, from, hopCount, entry.expiresAt, now)
    return result.outcome
  }

  /** The payload of a FLOOR frame on the session with `from`. */
  async receiveFloor(payload: Bytes, from: NodeId, now: Milliseconds): Promise<string> {
    const result = await this.#floorGossip.receive(payload, now, () => this.#receiver.takeNeighbourBudget(from, now))
    if (result.rose !== undefined) this.#actions.push({ kind: "floor-rose", entity: result.rose })
    if (result.forward !== undefined) this.#pass(FRAME_FLOOR, result.forward, [from])
    return result.outcome
  }

  /** The operator's word: tokens of this issuer below the generation are dead here. */
  raiseFloor(entity: Bytes, generation: number): void {
    if (this.floors.raise(entity, generation)) this.#actions.push({ kind: "floor-rose", entity })
  }

  /** Signs what changed, lets expired entries go, and gives what may be sent now. */
  async run(now: Milliseconds): Promise<GossipAction[]> {
    if (now >= this.#nextSweep) {
      this.#nextSweep = now + SWEEP_MS
      this.index.sweep(now)
    }
    for (const action of await this.announcer.run(now)) this.#carryOut(action)
    this.counters.forwardsDropped = this.#queues.dropped
    const frames = this.#queues.take(now).map((frame): GossipAction => ({ kind: "send", ...frame }))
    return [...this.#actions.splice(0), ...frames]
  }

  /** When {@link run} has something to do, Unix milliseconds. */
  dueAt(now: Milliseconds): Milliseconds {
    return Math.min(this.#nextSweep, this.announcer.dueAt(), this.#queues.dueAt(now))
  }

  /** Payloads of all foreign entries, for this node's own storage. */
  snapshot(now: Milliseconds): Bytes[] {
    const foreign = this.index.freshest(now).filter((entry) => entry.node !== this.#self)
    return foreign.flatMap((entry) => (entry.payload === undefined ? [] : [entry.payload]))
  }

  /** Takes back what this node stored; each entry is checked like one from the network. How many came back. */
  async restore(payloads: readonly Bytes[], now: Milliseconds): Promise<number> {
    let restored = 0
    for (const payload of payloads) if ((await this.#receiver.restore(payload, now)) === "accepted") restored++
    return restored
  }

  #carryOut(action: AnnouncerAction): void {
    if (action.kind === "broadcast") this.#pass(FRAME_ANNOUNCE, action.payload, [])
    else if (action.kind === "floor") {
      this.floors.raise(this.#entity, action.generation, action.record)
      this.#actions.push({ kind: "floor-rose", entity: this.#entity })
      this.#pass(FRAME_FLOOR, encodeFloorPayload(0, action.record), [])
    } else this.#actions.push(action)
  }

  #pass(type: number, payload: Bytes, except: readonly (NodeId | undefined)[]): void {
    for (const node of this.#queues.neighbours) if (!except.includes(node)) this.#queues.push(node, type, payload)
  }
}
