/**
 * Test helper: room machines on a network with a virtual clock, a rendezvous server, delays, cuts and killed processes. The same seed gives
 * the same run. Messages really pass through their codecs.
 */
import { equalBytes } from "../wire/bytes.ts"
import { decodeControlMessage, encodeControlMessage } from "../wire/control-json.ts"
import { seededRandom } from "../wire/seeded.ts"
import type { PeerKeyId } from "../wire/types.ts"
import { runRoomOp } from "./run-op.ts"
import { TestGroup } from "./test-group.ts"
import { type NodeOptions, TestNode, testIdentity } from "./test-node.ts"
import { type Due, pop, push } from "./test-queue.ts"
import { TestSessions } from "./test-sessions.ts"
import type { RoomAction, RoomEvent } from "./types.ts"

export const START = 1_750_000_000_000

/** Operations with a path of keys and hybrid signatures to make or to check. */
const HEAVY: readonly string[] = ["join", "commit", "stageUpdate", "take", "rollback", "learnLeaves"]

export class TestNetwork {
  now = START
  serverUp = true
  readonly nodes: TestNode[] = []
  readonly sessions = new TestSessions(this)
  readonly random: ReturnType<typeof seededRandom>
  /** One-way delay bounds in ms. */
  delay = { min: 5, spread: 30 }
  /** How long an operation takes that makes, opens or applies a commit, ms; operations of one node follow each other. */
  work = { min: 0, spread: 0 }
  /** Probability in percent that a flooded message is lost on the way, as if its link had failed just then. */
  lossPercent = 0
  readonly #queue: Due[] = []
  #seq = 0

  constructor(seed: number) {
    this.random = seededRandom(seed)
  }

  add(label: string, options: NodeOptions = {}): TestNode {
    const identity = options.identity ?? testIdentity(this.random.bytes)
    const { entityId, mlDsaPublicKey } = identity.peer
    const group = options.group ?? new TestGroup({ entityId, mlDsa65: mlDsaPublicKey }, this.random.bytes)
    const node = new TestNode(label, identity, group, options, this.random.bytes)
    this.nodes.push(node)
    this.feed(node, { type: "start" })
    this.at(this.now + this.hop(), () => this.register(node))
    return node
  }

  register(node: TestNode): void {
    if (!this.serverUp || !node.alive || node.finished || node.registered) return
    // A repeated REGISTER of the same entity replaces the older one.
    for (const other of this.nodes) if (other.nodeId === node.nodeId) other.registered = false
    node.registered = true
    const others = this.nodes.filter((other) => other !== node && other.registered)
    const nodes = others.map(({ nodeId }) => nodeId)
    this.later(node, { type: "serverState", connected: true })
    this.later(node, { type: "roster", nodes, registered: nodes.length + 1 })
    for (const other of others) this.later(other, { type: "rosterDelta", joined: [node.nodeId], left: [] }, 250)
  }

  unregister(node: TestNode, after = 0): void {
    this.at(this.now + after, () => {
      if (!node.registered) return
      node.registered = false
      for (const other of this.nodes) {
        if (other.registered) this.later(other, { type: "rosterDelta", joined: [], left: [node.nodeId] }, 250)
      }
    })
  }

  stopServer(): void {
    this.serverUp = false
    for (const node of this.nodes) {
      if (!node.registered) continue
      node.registered = false
      this.later(node, { type: "serverState", connected: false })
    }
  }

  startServer(): void {
    this.serverUp = true
    for (const node of this.nodes) this.at(this.now + 500 + this.random.below(1_000), () => this.register(node))
  }

  /** The process is gone without a word. */
  kill(node: TestNode): void {
    node.alive = false
    this.unregister(node, 5_000)
    for (const session of this.sessions.of(node)) this.at(this.now + 15_000, () => this.sessions.close(session))
  }

  /** The page is closed by its user. */
  closePage(node: TestNode): void {
    this.feed(node, { type: "pageHide" })
    node.alive = false
    this.unregister(node, 0)
  }

  /** Counts up: what is planned for one moment comes in the order of planning. */
  number(): number {
    return this.#seq++
  }

  at(time: number, run: () => void | Promise<void>): void {
    push(this.#queue, { at: time, seq: this.number(), run })
  }

  /** Runs until the virtual time has advanced by `ms`, or `until` holds. Returns whether it does. */
  async run(ms: number, until: () => boolean = () => false): Promise<boolean> {
    const end = this.now + ms
    for (;;) {
      if (until()) return true
      const next = this.#queue[0]
      if (next === undefined || next.at > end) break
      pop(this.#queue)
      this.now = Math.max(this.now, next.at)
      await next.run()
    }
    this.now = end
    return until()
  }

  /** Everybody alive is in one group with one member list, and it is exactly they. */
  agreed(nodes: readonly TestNode[] = this.nodes.filter(({ alive, finished }) => alive && !finished)): boolean {
    const tip = nodes[0]?.machine.view?.tip
    if (nodes.length === 0) return true
    // The quick questions first: this is asked after every step, and rooms may be large.
    const together = nodes.every(({ machine: { view, phase } }) => {
      return view !== undefined && tip !== undefined && phase === "connected" && equalBytes(view.tip, tip)
    })
    if (!together || nodes.some(({ machine }) => machine.view?.members.length !== nodes.length)) return false
    const expected = new Set(nodes.map(({ keyId }) => keyId))
    const all = (keyIds: readonly PeerKeyId[]) => new Set(keyIds).size === nodes.length && keyIds.every((id) => expected.has(id))
    return expected.size === nodes.length && nodes.every(({ memberIds }) => all(memberIds))
  }

  /** Time of one hop, ms. */
  hop(): number {
    return this.delay.min + this.random.below(this.delay.spread + 1)
  }

  #duration(): number {
    const { min, spread } = this.work
    return spread === 0 ? min : min + this.random.below(spread + 1)
  }

  /** Feeds it after a hop and `after` ms. */
  later(node: TestNode, event: RoomEvent, after = 0): void {
    this.at(this.now + after + this.hop(), () => this.feed(node, event))
  }

  feed(node: TestNode, event: RoomEvent): void {
    if (!node.alive || node.finished) return
    const actions = node.machine.handle(event, this.now)
    for (const action of actions) this.#perform(node, action)
    if (node.machine.phase === "connected") node.joinedAt ??= this.now
    // As the driver does: a sign of life makes nothing due earlier.
    if (event.type === "heard" && actions.length === 0 && node.wakeAt !== undefined && node.wakeAt > this.now) return
    const wake = node.machine.nextWake()
    if (wake === undefined || (node.wakeAt !== undefined && node.wakeAt <= wake && node.wakeAt > this.now)) return
    node.wakeAt = wake
    this.at(wake, () => {
      if (node.wakeAt !== wake) return
      node.wakeAt = undefined
      this.feed(node, { type: "tick" })
    })
  }

  #perform(node: TestNode, action: RoomAction): void {
    if (action.type !== "op" && action.type !== "send") node.actions.push(action)
    switch (action.type) {
      case "connect":
        this.sessions.connect(node, action.node, action.via, "direct")
        return
      case "openRouted":
        this.sessions.connect(node, action.node, action.via, "routed")
        return
      case "send": {
        const session = this.sessions.open(action.session)
        if (session === undefined) return
        const message = decodeControlMessage(encodeControlMessage(action.message))
        this.sessions.deliver(session, node, { type: "message", session: session.id, message }, action.message.t === "av.mls")
        return
      }
      case "goaway": {
        const session = this.sessions.open(action.session)
        if (session === undefined) return
        this.sessions.deliver(session, node, { type: "goaway", session: session.id, code: action.code }, false)
        this.at(this.now + 60, () => this.sessions.close(session))
        return
      }
      case "op":
        node.busyUntil = Math.max(this.now, node.busyUntil) + (HEAVY.includes(action.op.op) ? this.#duration() : 0)
        this.at(node.busyUntil, async () => {
          const { rights } = node.options
          const context = { group: node.group, signer: { signEd25519: node.identity.sign }, ...(rights && { rights }) }
          const result = await runRoomOp(context, action.id, action.op)
          this.at(this.now + 1, () => this.feed(node, result))
        })
        return
      case "unregister":
        this.unregister(node)
        return
      case "emit":
        node.notices.push({ at: this.now, notice: action.event })
        return
      case "finished":
        node.finished = true
        this.unregister(node)
        return
      default:
    }
  }
}
