/** One node's channels: subscribing, publishing and the checks at both ends, as a machine without I/O (control-plane 5.7). */
import { LruMap } from "../identity/index.ts"
import { canonicalChannelName } from "../wire/channel-name.ts"
import { AvError, isAvError } from "../wire/errors.ts"
import { FRAME_CHANNEL_DATA, FRAME_MEMBERSHIP } from "../wire/frame.ts"
import type { Bytes, Milliseconds, NodeId, U64 } from "../wire/types.ts"
import { ChannelAccess, type ChannelAccessOptions, type Grant, type Peer } from "./channel-access.ts"
import { ChannelSession, MAX_CHANNELS_PER_PEER, NO_CHAIN, type Pending } from "./channel-session.ts"
import type { FailureThrottle } from "./failure-throttle.ts"
import { chooseReceivers } from "./fan-out.ts"
import {
  type AckReason,
  decodeChannelData,
  decodeMembership,
  encodeChannelData,
  encodeMembership,
  type MembershipFrame,
  nonceOf,
} from "./membership-frame.ts"

/** How long a request waits for its answer. */
const ACK_WAIT_MS = 5_000
/** Stored chains are checked again this often. */
const DEFAULT_SWEEP_MS = 30_000
/** Frames of one session that may wait for a signature check; more are dropped. */
const MAX_WAITING = 256
/** Requests to one peer that wait for their answer. */
const MAX_PENDING = 2 * MAX_CHANNELS_PER_PEER
/** Peers without a session whose refusals are remembered. */
const MAX_THROTTLES = 1_024
/** Refusals that say something about the peer's rights, and therefore count against it. */
const COUNTED: readonly AckReason[] = ["unauthorized", "queue-group-denied", "malformed"]

export type ChannelAction =
  | { kind: "send"; to: NodeId; type: number; payload: Bytes }
  | { kind: "deliver"; channel: string; from: NodeId; seq: number; data: Bytes }
  /** The answer to our request: `ok`, a refusal, or `timeout`. */
  | { kind: "answer"; request: Pending["kind"]; to: NodeId; channel: string; result: AckReason | "timeout" }
  /** A peer's right has ended: as subscriber of ours, or as publisher to us. */
  | { kind: "evicted"; role: "subscriber" | "publisher"; node: NodeId; channel: string }

export interface ChannelNodeOptions extends ChannelAccessOptions {
  self: Peer
  /** Draws the nonces of requests. */
  random: () => U64
  /** How far the others' clocks are ahead of ours, ms: our own rights are shown to them (D42). Default 0. */
  offsetMs?: () => Milliseconds
  /** `Infinity`: only the checks on use. Default 30 s. */
  sweepMs?: Milliseconds
  now: Milliseconds
}

/** Counts of what was dropped without an answer. */
interface ChannelCounters {
  unboundData: number
  malformed: number
  overload: number
  overRate: number
  unexpectedAcks: number
}

export class ChannelNode {
  readonly counters: ChannelCounters = { unboundData: 0, malformed: 0, overload: 0, overRate: 0, unexpectedAcks: 0 }
  readonly #options: ChannelNodeOptions
  readonly #access: ChannelAccess
  readonly #sweepMs: Milliseconds
  readonly #sessions = new Map<NodeId, ChannelSession>()
  /** Of peers whose session ended after refusals. */
  readonly #throttles = new LruMap<NodeId, FailureThrottle>(MAX_THROTTLES)
  /** Our own publications: the chain to show and the right it gives us here. */
  readonly #publications = new Map<string, { chain: Bytes; grant: Grant }>()
  readonly #cursors = new Map<string, number>()
  #nextSweep: Milliseconds

  constructor(options: ChannelNodeOptions) {
    this.#options = options
    this.#access = new ChannelAccess(options)
    this.#sweepMs = options.sweepMs ?? DEFAULT_SWEEP_MS
    this.#nextSweep = options.now + this.#sweepMs
  }

  sessionOpened(peer: Peer): void {
    this.sessionClosed(peer.node)
    this.#sessions.set(peer.node, new ChannelSession(peer, this.#throttles.get(peer.node)))
    this.#throttles.delete(peer.node)
  }

  /** Everything the session granted ends with it; what was refused to the peer is remembered. */
  sessionClosed(node: NodeId): void {
    const session = this.#sessions.get(node)
    if (session === undefined) return
    session.closed = true
    this.#sessions.delete(node)
    if (!session.throttle.isClean) this.#throttles.set(node, session.throttle)
  }

  /** Peers that would get a message on the channel now, by node. */
  subscribersOf(channel: string): NodeId[] {
    const name = canonicalChannelName(channel)
    return [...this.#sessions.values()].filter((s) => s.subscribers.has(name)).map((s) => s.peer.node)
  }

  /** Asks a peer to send us a channel. @throws AvError channel-name errors, `UsageError` without a session, `LimitExceeded`. */
  subscribe(to: NodeId, channel: string, options: { chain?: Bytes; group?: string }, now: Milliseconds): ChannelAction[] {
    const name = canonicalChannelName(channel)
    const session = this.#require(to)
    if (!session.own.has(name) && session.own.size >= MAX_CHANNELS_PER_PEER) throw tooMany()
    const [chain, group] = [options.chain ?? NO_CHAIN, options.group ?? ""]
    const pending: Pending = { kind: "subscribe", channel: name, deadline: now + ACK_WAIT_MS }
    const { action } = this.#ask(session, pending, (nonce) => ({ kind: "SUBSCRIBE", nonce, name, chain, group }))
    if (!session.own.has(name)) session.own.set(name, { state: "asked" })
    return [action]
  }

  unsubscribe(to: NodeId, channel: string, now: Milliseconds): ChannelAction[] {
    const name = canonicalChannelName(channel)
    const session = this.#sessions.get(to)
    if (session === undefined || !session.own.delete(name)) return []
    for (const [handle, { channel: bound }] of [...session.inbound]) if (bound === name) session.inbound.delete(handle)
    const pending: Pending = { kind: "unsubscribe", channel: name, deadline: now + ACK_WAIT_MS }
    return [this.#ask(session, pending, (nonce) => ({ kind: "UNSUBSCRIBE", nonce, name })).action]
  }

  /**
   * Makes us a publisher of the channel. The chain is checked against our own rules first, then shown to every receiver.
   * @throws AvError `NotAuthorized` when our own rules do not let us.
   */
  async openChannel(channel: string, chain: Bytes, now: Milliseconds): Promise<void> {
    const name = canonicalChannelName(channel)
    if (!this.#publications.has(name) && this.#publications.size >= MAX_CHANNELS_PER_PEER) throw tooMany()
    const verdict = await this.#access.mayPublish(this.#options.self, name, chain, this.#asOthers(now))
    if (verdict?.granted === false) throw new AvError("NotAuthorized", { what: "publish", channel: name })
    this.#publications.set(name, { chain, grant: verdict?.grant ?? { questions: [] } })
    // Receivers that refused the old chain may like this one.
    for (const session of this.#sessions.values())
      if (session.outbound.get(name)?.state === "refused") session.outbound.delete(name)
  }

  closeChannel(channel: string): ChannelAction[] {
    const name = canonicalChannelName(channel)
    this.#publications.delete(name)
    const actions: ChannelAction[] = []
    for (const session of this.#sessions.values()) {
      const out = session.outbound.get(name)
      session.outbound.delete(name)
      if (out?.state !== "open") continue
      actions.push(membership(session.peer.node, encodeMembership({ kind: "PUBLISH_CLOSE", handle: out.handle })))
    }
    return actions
  }

  /**
   * Sends a message to everybody who may have it: every right is checked again first, those that ended are taken off the roster,
   * and only then one member of each queue group is chosen.
   * @throws AvError `UsageError` before {@link openChannel}, `NotAuthorized` when our own right has ended.
   */
  publish(channel: string, data: Bytes, now: Milliseconds): ChannelAction[] {
    const name = canonicalChannelName(channel)
    const publication = this.#publications.get(name)
    if (publication === undefined) throw new AvError("UsageError", { why: "channel not open" })
    if (!this.#access.stillHolds(this.#options.self, name, publication.grant, this.#asOthers(now))) {
      throw new AvError("NotAuthorized", { what: "publish", channel: name })
    }
    const actions: ChannelAction[] = []
    const roster = [...this.#sessions.values()].filter((session) => session.subscribers.has(name))
    for (const session of roster) actions.push(...this.#recheckSubscriber(session, name, now))
    for (const session of chooseReceivers(roster, name, this.#cursors)) {
      actions.push(...this.#sendTo(session, name, publication.chain, data, now))
    }
    return actions
  }

  /** The payload of a MEMBERSHIP or CHANNEL_DATA frame. Never throws for anything the payload holds. */
  receive(from: NodeId, type: number, payload: Bytes, now: Milliseconds): Promise<ChannelAction[]> {
    const session = this.#sessions.get(from)
    if (session === undefined) return Promise.resolve([])
    if (session.waiting >= MAX_WAITING) {
      this.counters.overload++
      return Promise.resolve([])
    }
    return session.inTurn(() => this.#receive(session, type, payload, now))
  }

  /** Timeouts and the regular check of all chains. To be called about once a second. */
  tick(now: Milliseconds): ChannelAction[] {
    const actions: ChannelAction[] = []
    for (const session of this.#sessions.values()) {
      for (const [nonce, { kind, channel, deadline }] of session.pending) {
        if (now < deadline) continue
        session.pending.delete(nonce)
        if (kind === "subscribe" && session.own.get(channel)?.state === "asked") session.own.delete(channel)
        actions.push({ kind: "answer", request: kind, to: session.peer.node, channel, result: "timeout" })
      }
    }
    return now < this.#nextSweep ? actions : [...actions, ...this.sweep(now)]
  }

  /** Checks every stored chain again; also to be called when a floor rose. */
  sweep(now: Milliseconds): ChannelAction[] {
    this.#nextSweep = now + this.#sweepMs
    const actions: ChannelAction[] = []
    for (const session of this.#sessions.values()) {
      for (const name of [...session.subscribers.keys()]) actions.push(...this.#recheckSubscriber(session, name, now))
      for (const [handle, { channel, grant }] of [...session.inbound]) {
        if (this.#access.stillHolds(session.peer, channel, grant, now)) continue
        session.inbound.delete(handle)
        actions.push({ kind: "evicted", role: "publisher", node: session.peer.node, channel })
      }
    }
    return actions
  }

  #asOthers(now: Milliseconds): Milliseconds {
    return now + (this.#options.offsetMs?.() ?? 0)
  }

  async #receive(session: ChannelSession, type: number, payload: Bytes, now: Milliseconds): Promise<ChannelAction[]> {
    if (session.closed) return []
    try {
      if (type === FRAME_CHANNEL_DATA) return this.#data(session, payload, now)
      if (type === FRAME_MEMBERSHIP) return await this.#request(session, decodeMembership(payload), now)
      return []
    } catch (error) {
      if (!isAvError(error)) throw error
      this.counters.malformed++
      const nonce = type === FRAME_MEMBERSHIP ? nonceOf(payload) : undefined
      return nonce === undefined ? [] : this.#answer(session, nonce, "malformed", now)
    }
  }

  async #request(session: ChannelSession, frame: MembershipFrame, now: Milliseconds): Promise<ChannelAction[]> {
    switch (frame.kind) {
      case "SUBSCRIBE":
        return this.#answer(session, frame.nonce, await this.#admitSubscriber(session, frame, now), now)
      case "UNSUBSCRIBE":
        session.subscribers.delete(frame.name)
        // The peer forgets our handle with its subscription.
        session.outbound.delete(frame.name)
        return this.#answer(session, frame.nonce, "ok", now)
      case "PUBLISH_OPEN":
        return this.#answer(session, frame.nonce, await this.#admitPublisher(session, frame, now), now)
      case "PUBLISH_CLOSE":
        session.inbound.delete(frame.handle)
        return []
      case "ACK":
        return this.#acknowledged(session, frame)
    }
  }

  async #admitSubscriber(
    session: ChannelSession,
    frame: Extract<MembershipFrame, { kind: "SUBSCRIBE" }>,
    now: Milliseconds,
  ): Promise<AckReason> {
    const { name, chain, group } = frame
    if (session.throttle.isThrottled(now)) return "rate-limited"
    if (!session.subscribers.has(name) && session.subscribers.size >= MAX_CHANNELS_PER_PEER) return "too-many-channels"
    const verdict = await this.#access.maySubscribe(session.peer, name, chain, group, now)
    if (!verdict.granted) return verdict.reason
    session.subscribers.set(name, { grant: verdict.grant, group })
    if (session.outbound.get(name)?.state === "refused") showChainAgain(session, name)
    return "ok"
  }

  async #admitPublisher(
    session: ChannelSession,
    frame: Extract<MembershipFrame, { kind: "PUBLISH_OPEN" }>,
    now: Milliseconds,
  ): Promise<AckReason> {
    const { name, chain, handle } = frame
    if (session.throttle.isThrottled(now)) return "rate-limited"
    const bound = session.inbound.get(handle)
    if (bound !== undefined && bound.channel !== name) return "malformed"
    if (bound === undefined && session.inbound.size >= MAX_CHANNELS_PER_PEER) return "too-many-channels"
    const verdict = await this.#access.mayPublish(session.peer, name, chain, now)
    if (verdict?.granted === false) return verdict.reason
    // No token rule of ours speaks about it: then only what we asked this peer for may come (D33).
    if (verdict === undefined && session.own.get(name)?.state !== "active") return "unauthorized"
    const allowance = this.#access.configOf(name)?.maxRatePps ?? Number.POSITIVE_INFINITY
    session.inbound.set(handle, {
      channel: name,
      grant: verdict?.grant ?? { questions: [] },
      allowance,
      allowanceAt: now,
    })
    return "ok"
  }

  #data(session: ChannelSession, payload: Bytes, now: Milliseconds): ChannelAction[] {
    const { handle, seq, data } = decodeChannelData(payload)
    const bound = session.inbound.get(handle)
    if (bound === undefined) {
      this.counters.unboundData++
      return []
    }
    const limit = this.#access.configOf(bound.channel)?.maxRatePps
    if (limit !== undefined) {
      const regained = (Math.max(0, now - bound.allowanceAt) * limit) / 1000
      const allowance = Math.min(Math.max(1, limit), bound.allowance + regained)
      bound.allowance = allowance >= 1 ? allowance - 1 : allowance
      bound.allowanceAt = now
      if (allowance < 1) {
        this.counters.overRate++
        return []
      }
    }
    return [{ kind: "deliver", channel: bound.channel, from: session.peer.node, seq, data }]
  }

  #acknowledged(session: ChannelSession, frame: Extract<MembershipFrame, { kind: "ACK" }>): ChannelAction[] {
    const pending = session.pending.get(frame.nonce)
    if (pending === undefined) {
      this.counters.unexpectedAcks++
      return []
    }
    session.pending.delete(frame.nonce)
    const { kind, channel } = pending
    const result = frame.accepted ? "ok" : frame.reason === "ok" ? "unauthorized" : frame.reason
    if (kind === "subscribe") {
      if (result === "ok" && session.own.has(channel)) session.own.set(channel, { state: "active" })
      else if (session.own.get(channel)?.state === "asked") session.own.delete(channel)
    }
    const out = session.outbound.get(channel)
    if (kind === "publish" && result !== "ok" && out?.openNonce === frame.nonce) out.state = "refused"
    return [{ kind: "answer", request: kind, to: session.peer.node, channel, result }]
  }

  #recheckSubscriber(session: ChannelSession, name: string, now: Milliseconds): ChannelAction[] {
    const subscriber = session.subscribers.get(name)
    if (subscriber === undefined || this.#access.stillHolds(session.peer, name, subscriber.grant, now)) return []
    session.subscribers.delete(name)
    return [{ kind: "evicted", role: "subscriber", node: session.peer.node, channel: name }]
  }

  #sendTo(session: ChannelSession, name: string, chain: Bytes, data: Bytes, now: Milliseconds): ChannelAction[] {
    const to = session.peer.node
    const actions: ChannelAction[] = []
    let out = session.outbound.get(name)
    if (out === undefined) {
      if (session.outbound.size >= MAX_CHANNELS_PER_PEER) return []
      out = { handle: session.newHandle(), nextSeq: 0, state: "new" }
      session.outbound.set(name, out)
    }
    if (out.state === "new") {
      // One peer that answers nothing must not keep the others from their message.
      if (session.pending.size >= MAX_PENDING) return []
      const { handle } = out
      const pending: Pending = { kind: "publish", channel: name, deadline: now + ACK_WAIT_MS }
      const asked = this.#ask(session, pending, (nonce) => ({ kind: "PUBLISH_OPEN", nonce, handle, name, chain }))
      out.state = "open"
      out.openNonce = asked.nonce
      actions.push(asked.action)
    }
    if (out.state === "refused") return []
    const payload = encodeChannelData({ handle: out.handle, seq: out.nextSeq, data })
    out.nextSeq = out.nextSeq === 0xffffffff ? 0 : out.nextSeq + 1
    actions.push({ kind: "send", to, type: FRAME_CHANNEL_DATA, payload })
    return actions
  }

  #answer(session: ChannelSession, nonce: U64, reason: AckReason, now: Milliseconds): ChannelAction[] {
    if (COUNTED.includes(reason)) session.throttle.fail(now)
    if (session.closed) return []
    const frame = encodeMembership({ kind: "ACK", nonce, accepted: reason === "ok", reason })
    return [membership(session.peer.node, frame)]
  }

  /** A request with a number of its own, remembered until it is answered. */
  #ask(session: ChannelSession, pending: Pending, frame: (nonce: U64) => MembershipFrame): { nonce: U64; action: ChannelAction } {
    if (session.pending.size >= MAX_PENDING) throw tooMany()
    let nonce = this.#options.random()
    while (session.pending.has(nonce)) nonce = this.#options.random()
    const action = membership(session.peer.node, encodeMembership(frame(nonce)))
    session.pending.set(nonce, pending)
    return { nonce, action }
  }

  #require(node: NodeId): ChannelSession {
    const session = this.#sessions.get(node)
    if (session === undefined) throw new AvError("UsageError", { why: "no session", node })
    return session
  }
}

function membership(to: NodeId, payload: Bytes): ChannelAction {
  return { kind: "send", to, type: FRAME_MEMBERSHIP, payload }
}

function showChainAgain(session: ChannelSession, name: string): void {
  const out = session.outbound.get(name)
  if (out !== undefined) out.state = "new"
}

function tooMany(): AvError {
  return new AvError("LimitExceeded", { what: "channels of a peer", max: MAX_CHANNELS_PER_PEER })
}
