/**
 * Test helper: room machines on a network with a virtual clock, a rendezvous server, delays, cuts and killed processes. The same seed gives
 * the same run. Messages really pass through their codecs.
 */
import { ed25519PublicKey, ed25519Sign } from "../crypto/ed25519.ts"
import { nodeIdOf, peerKeyIdOf, pqHashOf } from "../crypto/ids.ts"
import { inviteKey, relayKey } from "../crypto/room-keys.ts"
import type { RoomGroup } from "../group/types.ts"
import { toHex } from "../wire/bytes.ts"
import { decodeControlMessage, encodeControlMessage } from "../wire/control-json.ts"
import type { Bytes, NodeId, PeerKeyId, RandomBytes } from "../wire/types.ts"
import { RoomMachine } from "./machine.ts"
import type { RoomRights } from "./rights.ts"
import { runRoomOp } from "./run-op.ts"
import { TestGroup } from "./test-group.ts"
import { type Due, pop, push } from "./test-queue.ts"
import type { RoomAction, RoomEvent, RoomMachineOptions, RoomNotice, RoomPeer, SessionId, Via } from "./types.ts"

/** Seeded generator (mulberry32). */
export function seededRandom(seed: number): { bytes: RandomBytes; below: (limit: number) => number } {
  let state = seed >>> 0
  const next = () => {
    state = (state + 0x6d2b79f5) >>> 0
    let t = state
    t = Math.imul(t ^ (t >>> 15), t | 1)
    t ^= t + Math.imul(t ^ (t >>> 7), t | 61)
    return ((t ^ (t >>> 14)) >>> 0) / 0x1_0000_0000
  }
  return {
    bytes: (length) => Uint8Array.from({ length }, () => Math.floor(next() * 256)),
    below: (limit) => Math.floor(next() * limit),
  }
}

export const START = 1_750_000_000_000
const SECRET: Bytes = new Uint8Array(32).fill(3)
const NAME = "test-room"

/** Hops of a routed frame (control-plane 1.6). */
const ROUTED_TTL = 16

/** Operations with a path of keys and hybrid signatures to make or to check. */
const HEAVY: readonly string[] = ["join", "commit", "stageUpdate", "take", "rollback", "learnLeaves"]

/** A routed session beside a direct one ends after this. */
const ROUTED_LINGER_MS = 10_000

interface Session {
  id: SessionId
  kind: "direct" | "routed"
  ends: [TestNode, TestNode]
  open: boolean
  /** Messages keep their order per direction. */
  last: Map<TestNode, number>
}

export interface TestIdentity {
  peer: RoomPeer
  sign(message: Bytes): Promise<Bytes>
}

/** An identity without a usable ML-DSA key: enough for everything but the real group. */
export function testIdentity(random: RandomBytes): TestIdentity {
  const seed = random(32)
  const entityId = ed25519PublicKey(seed)
  const mlDsaPublicKey = new Uint8Array(1952)
  mlDsaPublicKey.set(random(32))
  const keyId = peerKeyIdOf(entityId, pqHashOf(mlDsaPublicKey))
  return { peer: { entityId, mlDsaPublicKey, keyId, nodeId: nodeIdOf(entityId) }, sign: (message) => ed25519Sign(seed, message) }
}

export interface NodeOptions {
  identity?: TestIdentity
  group?: RoomGroup
  secret?: Bytes
  root?: Bytes
  /** Direct links of this node never come up, or not with these. */
  noDirect?: boolean | ((other: TestNode) => boolean)
  maxNeighbours?: number
  /** Judges tokens; without it the root alone is host. */
  rights?: RoomRights
}

/** One tab: a machine and what a driver would hold. */
export class TestNode {
  readonly label: string
  readonly identity: TestIdentity
  readonly machine: RoomMachine
  readonly group: RoomGroup
  readonly options: NodeOptions
  readonly notices: { at: number; notice: RoomNotice }[] = []
  readonly actions: RoomAction[] = []
  alive = true
  finished = false
  registered = false
  joinedAt: number | undefined
  wakeAt: number | undefined
  busyUntil = 0

  constructor(label: string, identity: TestIdentity, group: RoomGroup, options: NodeOptions, random: RandomBytes) {
    this.label = label
    this.identity = identity
    this.group = group
    this.options = options
    const secret = options.secret ?? SECRET
    const machine: RoomMachineOptions = {
      name: NAME,
      self: identity.peer,
      inviteKey: inviteKey(secret, NAME),
      relayKey: relayKey(secret, NAME),
      displayName: label,
      random,
    }
    if (options.root !== undefined) machine.root = options.root
    if (options.maxNeighbours !== undefined) machine.maxNeighbours = options.maxNeighbours
    this.machine = new RoomMachine(machine)
  }

  get keyId(): PeerKeyId {
    return this.identity.peer.keyId
  }
  get nodeId(): NodeId {
    return this.identity.peer.nodeId
  }
  get tip(): string {
    return this.machine.view === undefined ? "" : toHex(this.machine.view.tip)
  }
  get memberIds(): PeerKeyId[] {
    return this.machine.view?.members.map(({ keyId }) => keyId) ?? []
  }
  saw<T extends RoomNotice["type"]>(type: T): Extract<RoomNotice, { type: T }>[] {
    return this.notices.flatMap(({ notice }) => (notice.type === type ? [notice as Extract<RoomNotice, { type: T }>] : []))
  }
}

function refuses({ options: { noDirect } }: TestNode, other: TestNode): boolean {
  return typeof noDirect === "function" ? noDirect(other) : noDirect === true
}

export class TestNetwork {
  now = START
  serverUp = true
  readonly nodes: TestNode[] = []
  /** Every call and routed session that was asked for. */
  readonly ways: { from: string; to: string; kind: Session["kind"]; via: "server" | "member"; open: boolean }[] = []
  readonly random: ReturnType<typeof seededRandom>
  /** One-way delay bounds in ms. */
  delay = { min: 5, spread: 30 }
  /** How long an operation takes that makes, opens or applies a commit, ms; operations of one node follow each other. */
  work = { min: 0, spread: 0 }
  /** Probability in percent that a flooded message is lost on the way, as if its link had failed just then. */
  lossPercent = 0
  readonly #queue: Due[] = []
  #seq = 0
  #sessions = new Map<SessionId, Session>()
  #cuts: ((a: TestNode, b: TestNode) => boolean)[] = []

  constructor(seed: number) {
    this.random = seededRandom(seed)
  }

  add(label: string, options: NodeOptions = {}): TestNode {
    const identity = options.identity ?? testIdentity(this.random.bytes)
    const { entityId, mlDsaPublicKey } = identity.peer
    const group = options.group ?? new TestGroup({ entityId, mlDsa65: mlDsaPublicKey }, this.random.bytes)
    const node = new TestNode(label, identity, group, options, this.random.bytes)
    this.nodes.push(node)
    this.#feed(node, { type: "start" })
    this.at(this.now + this.#hop(), () => this.register(node))
    return node
  }

  register(node: TestNode): void {
    if (!this.serverUp || !node.alive || node.finished || node.registered) return
    // A repeated REGISTER of the same entity replaces the older one.
    for (const other of this.nodes) if (other.nodeId === node.nodeId) other.registered = false
    node.registered = true
    const others = this.nodes.filter((other) => other !== node && other.registered)
    const nodes = others.map(({ nodeId }) => nodeId)
    this.#later(node, { type: "serverState", connected: true })
    this.#later(node, { type: "roster", nodes, registered: nodes.length + 1 })
    for (const other of others) this.#later(other, { type: "rosterDelta", joined: [node.nodeId], left: [] }, 250)
  }

  unregister(node: TestNode, after = 0): void {
    this.at(this.now + after, () => {
      if (!node.registered) return
      node.registered = false
      for (const other of this.nodes) {
        if (other.registered) this.#later(other, { type: "rosterDelta", joined: [], left: [node.nodeId] }, 250)
      }
    })
  }

  stopServer(): void {
    this.serverUp = false
    for (const node of this.nodes) {
      if (!node.registered) continue
      node.registered = false
      this.#later(node, { type: "serverState", connected: false })
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
    for (const session of [...this.#sessions.values()]) {
      if (session.ends.includes(node)) this.at(this.now + 15_000, () => this.#close(session))
    }
  }

  /** The page is closed by its user. */
  closePage(node: TestNode): void {
    this.#feed(node, { type: "pageHide" })
    node.alive = false
    this.unregister(node, 0)
  }

  /** Cuts everything between the two groups, server included for neither. Returns the way to heal it. */
  cut(separated: (a: TestNode, b: TestNode) => boolean): () => void {
    this.#cuts.push(separated)
    return () => {
      this.#cuts = this.#cuts.filter((cut) => cut !== separated)
    }
  }

  feed(node: TestNode, event: RoomEvent): void {
    this.#feed(node, event)
  }

  at(time: number, run: () => void | Promise<void>): void {
    push(this.#queue, { at: time, seq: this.#seq++, run })
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
    const [first] = nodes
    if (first === undefined) return true
    const expected = nodes.map(({ keyId }) => keyId).sort()
    return nodes.every(
      (node) =>
        node.tip !== "" &&
        node.tip === first.tip &&
        node.machine.phase === "connected" &&
        JSON.stringify([...node.memberIds].sort()) === JSON.stringify(expected),
    )
  }

  #hop(): number {
    return this.delay.min + this.random.below(this.delay.spread + 1)
  }

  #duration(): number {
    const { min, spread } = this.work
    return spread === 0 ? min : min + this.random.below(spread + 1)
  }

  #blocked(a: TestNode, b: TestNode): boolean {
    return this.#cuts.some((cut) => cut(a, b))
  }

  #later(node: TestNode, event: RoomEvent, after = 0): void {
    this.at(this.now + after + this.#hop(), () => this.#feed(node, event))
  }

  #feed(node: TestNode, event: RoomEvent): void {
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
      this.#feed(node, { type: "tick" })
    })
  }

  #perform(node: TestNode, action: RoomAction): void {
    if (action.type !== "op" && action.type !== "send") node.actions.push(action)
    switch (action.type) {
      case "connect":
        this.#connect(node, action.node, action.via, "direct")
        return
      case "openRouted":
        this.#connect(node, action.node, action.via, "routed")
        return
      case "send": {
        const session = this.#sessions.get(action.session)
        if (session === undefined || !session.open) return
        const message = decodeControlMessage(encodeControlMessage(action.message))
        this.#deliver(session, node, { type: "message", session: session.id, message }, action.message.t === "av.mls")
        return
      }
      case "goaway": {
        const session = this.#sessions.get(action.session)
        if (session === undefined || !session.open) return
        this.#deliver(session, node, { type: "goaway", session: session.id, code: action.code }, false)
        this.at(this.now + 60, () => this.#close(session))
        return
      }
      case "op":
        node.busyUntil = Math.max(this.now, node.busyUntil) + (HEAVY.includes(action.op.op) ? this.#duration() : 0)
        this.at(node.busyUntil, async () => {
          const { rights } = node.options
          const context = { group: node.group, signer: { signEd25519: node.identity.sign }, ...(rights && { rights }) }
          const result = await runRoomOp(context, action.id, action.op)
          this.at(this.now + 1, () => this.#feed(node, result))
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

  #connect(from: TestNode, target: NodeId, via: Via, kind: Session["kind"]): void {
    const to = this.nodes.find((node) => node.nodeId === target && node.alive && !node.finished)
    const failed = (after: number) =>
      this.#later(from, { type: kind === "direct" ? "connectFailed" : "routedFailed", node: target }, after)
    if (to === undefined || to === from) {
      failed(2_000)
      return
    }
    const introduced = via === "server" ? this.serverUp && from.registered && to.registered : this.#way(from, to, via, kind)
    this.ways.push({ from: from.label, to: to.label, kind, via: via === "server" ? "server" : "member", open: introduced })
    const possible = kind === "routed" || !(refuses(from, to) || refuses(to, from))
    if (!introduced || !possible || this.#blocked(from, to)) {
      failed(2_000)
      return
    }
    this.at(this.now + 4 * this.#hop(), () => this.#openSession(from, to, kind))
  }

  /** Whether a session leads to somebody: over a member linked to both, over several that pass frames on, or to that very member. */
  #way(from: TestNode, to: TestNode, via: SessionId, kind: Session["kind"]): boolean {
    const session = this.#sessions.get(via)
    const middle = session?.ends.find((end) => end !== from)
    if (session?.open !== true || middle === undefined || !middle.alive) return false
    if (middle === to) return kind === "direct"
    const linked = [...this.#sessions.values()].some(({ open, ends }) => open && ends.includes(middle) && ends.includes(to))
    return linked || (kind === "routed" && session.kind === "direct" && this.#passesOn(from, middle, to))
  }

  /** A routed frame goes from member to member as each of them says. */
  #passesOn(from: TestNode, first: TestNode, to: TestNode): boolean {
    let [before, here] = [from, first]
    for (let hops = 0; hops < ROUTED_TTL; hops++) {
      const next = this.#sessions.get(here.machine.routeTo(to.nodeId, before.nodeId) ?? "")?.ends.find((end) => end !== here)
      if (next === undefined || !next.alive || this.#blocked(here, next)) return false
      if (next === to) return true
      before = here
      here = next
    }
    return false
  }

  /** Labels of those that a node has a direct link to. */
  linksOf(node: TestNode): string[] {
    const direct = [...this.#sessions.values()].filter(({ kind, open, ends }) => kind === "direct" && open && ends.includes(node))
    return [...new Set(direct.map(({ ends }) => (ends.find((end) => end !== node) ?? node).label))]
  }

  /** Cuts the direct link of two nodes as a broken network would; both find out at once. */
  cutLink(a: TestNode, b: TestNode): void {
    for (const session of [...this.#sessions.values()]) {
      if (session.kind === "direct" && session.ends.includes(a) && session.ends.includes(b)) this.#close(session)
    }
  }

  #openSession(a: TestNode, b: TestNode, kind: Session["kind"]): void {
    if (!a.alive || !b.alive || a.finished || b.finished || this.#blocked(a, b)) return
    const open = [...this.#sessions.values()].some((s) => s.open && s.kind === kind && s.ends.includes(a) && s.ends.includes(b))
    if (open) return
    const session: Session = { id: `s${this.#seq++}`, kind, ends: [a, b], open: true, last: new Map() }
    this.#sessions.set(session.id, session)
    const bind = this.random.bytes(32)
    this.#feed(a, { type: "sessionOpen", session: session.id, kind, peer: b.identity.peer, bind })
    this.#feed(b, { type: "sessionOpen", session: session.id, kind, peer: a.identity.peer, bind })
    this.#ping(session)
    if (kind === "direct") this.at(this.now + ROUTED_LINGER_MS, () => this.#endRouted(session))
  }

  /** A direct session takes the place of a routed one. */
  #endRouted({ ends: [a, b], open }: Session): void {
    if (!open) return
    for (const session of [...this.#sessions.values()]) {
      if (session.kind === "routed" && session.ends.includes(a) && session.ends.includes(b)) this.#close(session)
    }
  }

  /** Each end hears the other every two seconds at least; a dead link is noticed by the transport after 12 s. */
  #ping(session: Session): void {
    let silent = 0
    const beat = () => {
      if (!session.open) return
      const [a, b] = session.ends
      if (!a.alive || !b.alive || this.#blocked(a, b)) silent += 2_000
      else silent = 0
      if (silent > 12_000) return this.#close(session)
      if (silent === 0) {
        this.#feed(a, { type: "heard", session: session.id })
        this.#feed(b, { type: "heard", session: session.id })
      }
      this.at(this.now + 2_000, beat)
    }
    this.at(this.now + 2_000, beat)
  }

  #deliver(session: Session, from: TestNode, event: RoomEvent, losable: boolean): void {
    const to = session.ends.find((end) => end !== from)
    if (to === undefined || this.#blocked(from, to)) return
    if (losable && this.random.below(100) < this.lossPercent) return
    const at = Math.max(this.now + this.#hop(), (session.last.get(to) ?? 0) + 1)
    session.last.set(to, at)
    this.at(at, () => {
      if (!this.#blocked(from, to)) this.#feed(to, event)
    })
  }

  #close(session: Session): void {
    if (!session.open) return
    session.open = false
    this.#sessions.delete(session.id)
    for (const end of session.ends) this.#feed(end, { type: "sessionClosed", session: session.id })
  }
}
