/** Drives announcements, calls and channels of a room over its sessions: frames in, frames out, timers, storage. */
import { callerGate, Gossip, type GossipAction, mayExecute, type SelfFacts, serviceTag } from "../../capability/index.ts"
import { FloorTable, type IdentitySigner, type PinTable } from "../../identity/index.ts"
import type { ControlSession } from "../../link/index.ts"
import { type RpcCandidates, type RpcClock, RpcNode } from "../../rpc/index.ts"
import { ByteReader } from "../../wire/byte-reader.ts"
import { AvError, isAvError } from "../../wire/errors.ts"
import { FRAME_ANNOUNCE, FRAME_BLOB, FRAME_CHANNEL_DATA, FRAME_FLOOR, FRAME_MEMBERSHIP, FRAME_RPC } from "../../wire/frame.ts"
import type { Bytes, Milliseconds, NodeId, PeerKeyId } from "../../wire/types.ts"
import type { Participant } from "../types.ts"
import { AllowLists } from "./allow-lists.ts"
import { ChannelHub } from "./channel-hub.ts"
import { Meeting } from "./meeting.ts"
import { MemberSession } from "./member-session.ts"
import type { ControlStorage } from "./storage.ts"
import type { ControlStats } from "./types.ts"

/** Changes of an announcement go out at most this often, ms. A room is small: ten seconds of not being found would be felt. */
const MIN_ANNOUNCE_MS = 2_000
/** When signing failed: the worker is busy or gone. */
const RETRY_MS = 5_000
const MAX_TIMER_MS = 60_000
/** Members without a session that one call to anybody may ask for one. */
const MAX_ASKED = 3
/** Frames of channels keep their order whatever their lengths; those of a call have the call's number. */
const CHANNEL_ORDER = 1n
/** A peer that reads its channels slower than this gets no more of them until it caught up, bytes. */
const CHANNEL_FULL = 1_048_576
const FRAMES: readonly number[] = [FRAME_ANNOUNCE, FRAME_FLOOR, FRAME_RPC, FRAME_MEMBERSHIP, FRAME_CHANNEL_DATA, FRAME_BLOB]

/** The room as the control plane sees it. */
export interface ControlPlaneHost {
  signer: IdentitySigner
  pins: PinTable
  /** Unix ms of this machine. */
  now(): Milliseconds
  /** How far the others' clocks are ahead of ours, ms. */
  offsetMs(): Milliseconds
  storage?: ControlStorage | undefined
  /** Somebody who is in the room, ourselves included. */
  participant(keyId: PeerKeyId): Participant | undefined
  /** Whoever has no session has no known node here; the room may know more. */
  nodeOf(keyId: PeerKeyId): NodeId | undefined
  dropped(error: AvError): void
  /** Something that a person should know. */
  warn(error: AvError): void
  /** Tokens of somebody may have died. */
  floorRose?(): void
  /** Asks for a session through the server, or through a member that has one with both. */
  reach?(node: NodeId, via: string): void
  rpcClock?: RpcClock
  reannounceMs?: Milliseconds
  minAnnounceMs?: Milliseconds
}

export class ControlPlane {
  readonly gossip: Gossip
  readonly rpc: RpcNode
  readonly channels: ChannelHub
  readonly allowed = new AllowLists()
  readonly host: ControlPlaneHost
  /** Chunks of files, where somebody cares about them. */
  blobs: { receive(peer: NodeId, payload: Bytes): void; peerGone(peer: NodeId): void } | undefined
  readonly #sessions = new Map<string, MemberSession>()
  readonly #dropped: Record<string, number> = {}
  readonly #meeting = new Meeting((node, attempt) => this.#ask(node, attempt))
  #tags: readonly string[] = []
  #timer: ReturnType<typeof setTimeout> | undefined
  #running = false
  #again = false
  #closed = false

  constructor(host: ControlPlaneHost) {
    this.host = host
    const { signer, pins, storage, reannounceMs } = host
    const floors = new FloorTable()
    floors.restore(storage?.floors ?? [])
    this.gossip = new Gossip({
      signer,
      pins,
      floors,
      now: host.now(),
      minAnnounceMs: host.minAnnounceMs ?? MIN_ANNOUNCE_MS,
      ...(reannounceMs === undefined ? {} : { reannounceMs }),
      ...(storage?.self === undefined ? {} : { stored: storage.self }),
    })
    this.rpc = new RpcNode({
      self: { node: signer.nodeId, entity: signer.entityId },
      admits: (service, caller) => this.#admits(service, caller),
      directory: {
        candidates: (service, healthy) => this.#candidates(service, healthy, true),
        rttMs: (node) => this.session(node)?.rttMs,
      },
      onServe: (service) => {
        this.gossip.announcer.serve(service, host.now())
        this.wake()
      },
      onUnserve: (service) => {
        this.gossip.announcer.unserve(service, host.now())
        this.allowed.delete(service)
        this.wake()
      },
      ...(host.rpcClock === undefined ? {} : { clock: host.rpcClock }),
    })
    if (storage?.damage !== undefined) host.dropped(storage.damage)
    this.channels = new ChannelHub(this)
    this.gossip.index.onChange(() => this.channels.refresh())
    this.wake()
  }

  get closed(): boolean {
    return this.#closed
  }

  /** Every session is told; who is behind it is a member only after {@link classified}. */
  sessionOpened(session: ControlSession): void {
    if (this.#closed) return
    const held = new MemberSession(session)
    this.#sessions.set(session.id, held)
    session.on("drained", () => held.inlet?.drained())
  }

  sessionClosed(id: string): void {
    const held = this.#sessions.get(id)
    if (held === undefined) return
    this.#sessions.delete(id)
    this.#leave(held)
  }

  /** The room protocol's word about who is behind a session (RM-6). */
  classified(id: string, isMember: boolean): void {
    const held = this.#sessions.get(id)
    if (held === undefined || held.isMember === isMember) return
    if (!isMember) {
      this.#leave(held)
      return
    }
    const { session } = held
    const { nodeId, entityId } = session.peer
    const first = this.session(nodeId) === undefined
    held.inlet = this.rpc.attach({
      peer: nodeId,
      entity: entityId,
      direct: session.kind === "direct",
      send: (payload) => session.sendFrame(FRAME_RPC, payload, callIdOf(payload)),
      bufferedAmount: () => session.buffered(FRAME_RPC),
    })
    if (first) {
      this.gossip.sessionOpened(nodeId, this.host.now())
      this.channels.sessionOpened({ node: nodeId, entity: entityId })
    }
    for (const { type, payload } of held.release()) this.#take(held, type, payload)
    this.#meeting.met(nodeId)
    this.wake()
  }

  /** Waits for a session with a member that has none: one is asked for through others. It may come to nothing. */
  async reach(node: NodeId, timeoutMs: Milliseconds = Number.POSITIVE_INFINITY): Promise<void> {
    const { signer } = this.host
    if (node === signer.nodeId || this.session(node) !== undefined || this.#closed) return
    await this.#meeting.wait(node, timeoutMs)
  }

  /** Somebody with a session offers the service, admitting us or not; or nobody at all does. */
  isReachable(service: string): boolean {
    const near = this.#candidates(service, true, false).kind !== "no-route"
    return near || this.#candidates(service, false, false).kind === "no-route"
  }

  /** Waits for a session with somebody who offers the service and lets us in. */
  async reachAny(service: string, timeoutMs?: Milliseconds): Promise<void> {
    const offered = this.#candidates(service, false, false)
    if (offered.kind !== "candidates") return
    await Promise.race(offered.nodes.slice(0, MAX_ASKED).map((node) => this.reach(node, timeoutMs)))
  }

  /** A frame of any type from a session; those of other parts are ignored. */
  receive(id: string, type: number, payload: Bytes): void {
    const held = this.#sessions.get(id)
    if (held === undefined || !FRAMES.includes(type)) return
    if (held.isMember) this.#take(held, type, payload)
    else if (!held.hold(type, payload)) this.count("not-a-member")
  }

  /** The session to use for a member: direct before routed, then the newest. */
  session(node: NodeId): ControlSession | undefined {
    let best: ControlSession | undefined
    for (const { session, isMember } of this.#sessions.values()) {
      if (!isMember || session.closed || session.peer.nodeId !== node) continue
      if (best === undefined || session.kind === "direct" || best.kind === "routed") best = session
    }
    return best
  }

  /** Members with a session. */
  get neighbours(): ReadonlySet<NodeId> {
    const members = [...this.#sessions.values()].filter(({ isMember }) => isMember)
    return new Set(members.map(({ session }) => session.peer.nodeId))
  }

  /** The participant behind a node that has a session, or ourselves. */
  participant(node: NodeId): Participant | undefined {
    const { signer } = this.host
    const keyId = node === signer.nodeId ? signer.keyId : this.session(node)?.peer.keyId
    return keyId === undefined ? undefined : this.host.participant(keyId)
  }

  /** Changes what this node says about itself; `tags` are the application's. @throws AvError when it cannot be announced. */
  announce(change: Partial<Omit<SelfFacts, "tags">>, tags: readonly string[] = this.#tags): void {
    this.gossip.announcer.update({ ...change, tags: [...tags, ...this.channels.tags] }, this.host.now())
    this.#tags = tags
    this.wake()
  }

  /** Something changed that has to be signed or sent: it happens soon, one thing after the other. */
  wake(): void {
    if (this.#closed) return
    this.#again = true
    if (!this.#running) void this.#run()
  }

  send(to: NodeId, type: number, payload: Bytes): void {
    const session = this.session(to)
    if (session === undefined) return
    if (type === FRAME_CHANNEL_DATA && session.buffered(type) > CHANNEL_FULL) {
      this.count("slow-subscriber")
      return
    }
    const ordered = type === FRAME_CHANNEL_DATA || type === FRAME_MEMBERSHIP
    try {
      session.sendFrame(type, payload, ordered ? CHANNEL_ORDER : undefined)
    } catch (error) {
      this.fault(error)
    }
  }

  /** Whether one more message for this member would be dropped. */
  isFull(node: NodeId): boolean {
    const session = this.session(node)
    return session !== undefined && session.buffered(FRAME_CHANNEL_DATA) > CHANNEL_FULL
  }

  count(reason: string): void {
    this.#dropped[reason] = (this.#dropped[reason] ?? 0) + 1
  }

  fault(error: unknown): void {
    this.host.dropped(isAvError(error) ? error : new AvError("WorkerFailed", { what: "control plane" }, { cause: error }))
  }

  stats(): ControlStats {
    const { counters, index } = this.gossip
    const denied = [...this.rpc.metrics.entries()].map(([name, { counters: of }]) => [name, of.capability_denied_callee_side])
    return {
      announcements: index.size,
      rejected: counters.rejected.toJSON(),
      deniedByCallersGate: counters.deniedCallerSide,
      subnetsCollapsed: counters.subnetCollapsed,
      tokensDroppedByGeneration: this.channels.tokensDropped,
      deniedByCalleesGate: Object.fromEntries(denied.filter(([, count]) => count !== 0)) as Record<string, number>,
      dropped: { ...this.#dropped, ...this.channels.counters },
    }
  }

  close(): void {
    if (this.#closed) return
    this.#closed = true
    clearTimeout(this.#timer)
    for (const held of this.#sessions.values()) held.inlet?.close()
    this.#sessions.clear()
    this.#meeting.close()
    this.channels.close()
    this.host.storage?.close()
  }

  /** First through whoever passed its announcement on, then through the server. */
  #ask(node: NodeId, attempt: number): void {
    const via = attempt === 0 ? this.gossip.routes.nextHop(node, this.host.now())?.via : undefined
    const session = via === undefined ? undefined : this.session(via)
    this.host.reach?.(node, session?.kind === "direct" ? session.id : "server")
  }

  #leave(held: MemberSession): void {
    const node = held.session.peer.nodeId
    held.release()
    if (held.inlet === undefined) return
    held.inlet.close()
    held.inlet = undefined
    if (this.session(node) !== undefined) return
    this.gossip.sessionClosed(node)
    this.channels.sessionClosed(node)
    this.blobs?.peerGone(node)
  }

  #take(held: MemberSession, type: number, payload: Bytes): void {
    const from = held.session.peer.nodeId
    const now = this.host.now()
    if (type === FRAME_RPC) held.inlet?.receive(payload)
    else if (type === FRAME_ANNOUNCE) this.#after(this.gossip.receiveAnnouncement(payload, from, now))
    else if (type === FRAME_FLOOR) this.#after(this.gossip.receiveFloor(payload, from, now))
    else if (type === FRAME_BLOB) this.#takeBlob(from, payload)
    else this.channels.receive(from, type, payload)
  }

  #takeBlob(from: NodeId, payload: Bytes): void {
    try {
      this.blobs?.receive(from, payload)
    } catch (error) {
      if (!isAvError(error)) throw error
      this.count("malformed-blob")
    }
  }

  #after(work: Promise<unknown>): void {
    work.then(
      () => this.wake(),
      (error: unknown) => this.fault(error),
    )
  }

  /** Both halves of the callee's gate: the signed policy of this node, and the list of the service. */
  #admits(service: string, caller: NodeId): boolean {
    const { signer, now } = this.host
    const who = this.participant(caller)
    if (who === undefined || !mayExecute(this.gossip.index, signer.nodeId, serviceTag(service), caller, now())) return false
    return this.allowed.admits(service, who)
  }

  #candidates(service: string, filterUnhealthy: boolean, counted: boolean): RpcCandidates {
    const { signer, now } = this.host
    const reachable = this.neighbours
    const isUnhealthy = (node: NodeId) => !reachable.has(node)
    const options = { self: signer.nodeId, filterUnhealthy, isUnhealthy }
    return callerGate(this.gossip.index, service, options, now(), counted ? this.gossip.counters : undefined)
  }

  async #run(): Promise<void> {
    this.#running = true
    let delay = MAX_TIMER_MS
    try {
      while (this.#again && !this.#closed) {
        this.#again = false
        this.gossip.announcer.writeOffsetMs = this.host.offsetMs()
        for (const action of await this.gossip.run(this.host.now())) await this.#carryOut(action)
      }
      const now = this.host.now()
      delay = Math.min(MAX_TIMER_MS, Math.max(0, this.gossip.dueAt(now) - now))
    } catch (error) {
      delay = RETRY_MS
      if (!this.#closed) this.fault(error)
    }
    this.#running = false
    clearTimeout(this.#timer)
    if (!this.#closed) this.#timer = setTimeout(() => this.wake(), delay)
  }

  async #carryOut(action: GossipAction): Promise<void> {
    if (this.#closed) return
    switch (action.kind) {
      case "send":
        this.send(action.to, action.type, action.payload)
        return
      case "persist":
        // Before anything later is sent: a version must never be used twice.
        await this.host.storage?.save(action.self, this.gossip.floors.snapshot()).catch((error: unknown) => this.fault(error))
        return
      case "policy-changed":
        this.rpc.policyChanged()
        return
      case "floor-rose":
        this.channels.floorRose()
        this.host.floorRose?.()
        return
      case "identity-conflict":
        this.host.warn(new AvError("IdentityConflict", { adopting: action.adopting }))
    }
  }
}

/** The number of the call a frame belongs to: its frames must not overtake each other. */
function callIdOf(payload: Bytes): bigint {
  return new ByteReader(payload.subarray(8, 16)).u64le()
}
