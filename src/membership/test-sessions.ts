/** Test helper: the sessions between the nodes of a {@link TestNetwork}: ways to open them, cuts, silence, and messages in their order. */
import type { NodeId } from "../wire/types.ts"
import type { TestNode } from "./test-node.ts"
import type { RoomEvent, SessionId, Via } from "./types.ts"

/** Hops of a routed frame (control-plane 1.6). */
const ROUTED_TTL = 16

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

function refuses({ options: { noDirect } }: TestNode, other: TestNode): boolean {
  return typeof noDirect === "function" ? noDirect(other) : noDirect === true
}

/** What the sessions ask of the network around them. */
interface World {
  readonly now: number
  readonly nodes: readonly TestNode[]
  readonly serverUp: boolean
  readonly lossPercent: number
  readonly random: { bytes(length: number): Uint8Array; below(limit: number): number }
  at(time: number, run: () => void): void
  feed(node: TestNode, event: RoomEvent): void
  /** Feeds it after a hop and `after` ms. */
  later(node: TestNode, event: RoomEvent, after?: number): void
  /** Time of one hop, ms. */
  hop(): number
  /** Counts up. */
  number(): number
}

export class TestSessions {
  /** Every call and routed session that was asked for. */
  readonly ways: { from: string; to: string; kind: Session["kind"]; via: "server" | "member"; open: boolean }[] = []
  readonly #world: World
  readonly #sessions = new Map<SessionId, Session>()
  #cuts: ((a: TestNode, b: TestNode) => boolean)[] = []

  constructor(world: World) {
    this.#world = world
  }

  /** Those of one node. */
  of(node: TestNode): Session[] {
    return [...this.#sessions.values()].filter(({ ends }) => ends.includes(node))
  }

  open(id: SessionId): Session | undefined {
    const session = this.#sessions.get(id)
    return session?.open ? session : undefined
  }

  /** Begins a call or a routed session, as the room machine asks for it. */
  connect(from: TestNode, target: NodeId, via: Via, kind: Session["kind"]): void {
    const to = this.#world.nodes.find((node) => node.nodeId === target && node.alive && !node.finished)
    const failed = (after: number) =>
      this.#world.later(from, { type: kind === "direct" ? "connectFailed" : "routedFailed", node: target }, after)
    if (to === undefined || to === from) {
      failed(2_000)
      return
    }
    const introduced =
      via === "server" ? this.#world.serverUp && from.registered && to.registered : this.#way(from, to, via, kind)
    this.ways.push({ from: from.label, to: to.label, kind, via: via === "server" ? "server" : "member", open: introduced })
    const possible = kind === "routed" || !(refuses(from, to) || refuses(to, from))
    if (!introduced || !possible || this.#blocked(from, to)) {
      failed(2_000)
      return
    }
    this.#world.at(this.#world.now + 4 * this.#world.hop(), () => this.#openSession(from, to, kind))
  }

  deliver(session: Session, from: TestNode, event: RoomEvent, losable: boolean): void {
    const to = session.ends.find((end) => end !== from)
    if (to === undefined || this.#blocked(from, to)) return
    if (losable && this.#world.random.below(100) < this.#world.lossPercent) return
    const at = Math.max(this.#world.now + this.#world.hop(), (session.last.get(to) ?? 0) + 1)
    session.last.set(to, at)
    this.#world.at(at, () => {
      if (!this.#blocked(from, to)) this.#world.feed(to, event)
    })
  }

  /** Cuts everything between the two groups, server included for neither. Returns the way to heal it. */
  cut(separated: (a: TestNode, b: TestNode) => boolean): () => void {
    this.#cuts.push(separated)
    return () => {
      this.#cuts = this.#cuts.filter((cut) => cut !== separated)
    }
  }

  /** Labels of those that a node has a direct link to. */
  linksOf(node: TestNode): string[] {
    const direct = this.of(node).filter(({ kind, open }) => kind === "direct" && open)
    return [...new Set(direct.map(({ ends }) => (ends.find((end) => end !== node) ?? node).label))]
  }

  /** Cuts the direct link of two nodes as a broken network would; both find out at once. */
  cutLink(a: TestNode, b: TestNode): void {
    this.#closeAll(a, b, "direct")
  }

  close(session: Session): void {
    if (!session.open) return
    session.open = false
    this.#sessions.delete(session.id)
    for (const end of session.ends) this.#world.feed(end, { type: "sessionClosed", session: session.id })
  }

  #openSession(a: TestNode, b: TestNode, kind: Session["kind"]): void {
    if (!a.alive || !b.alive || a.finished || b.finished || this.#blocked(a, b)) return
    if (this.of(a).some((session) => session.open && session.kind === kind && session.ends.includes(b))) return
    const session: Session = { id: `s${this.#world.number()}`, kind, ends: [a, b], open: true, last: new Map() }
    this.#sessions.set(session.id, session)
    const bind = this.#world.random.bytes(32)
    this.#world.feed(a, { type: "sessionOpen", session: session.id, kind, peer: b.identity.peer, bind })
    this.#world.feed(b, { type: "sessionOpen", session: session.id, kind, peer: a.identity.peer, bind })
    this.#ping(session)
    if (kind === "direct") this.#world.at(this.#world.now + ROUTED_LINGER_MS, () => this.#endRouted(session))
  }

  /** A direct session takes the place of a routed one. */
  #endRouted({ ends: [a, b], open }: Session): void {
    if (!open) return
    this.#closeAll(a, b, "routed")
  }

  /** Each end hears the other every two seconds at least; a dead link is noticed by the transport after 12 s. */
  #ping(session: Session): void {
    let silent = 0
    const beat = () => {
      if (!session.open) return
      const [a, b] = session.ends
      if (!a.alive || !b.alive || this.#blocked(a, b)) silent += 2_000
      else silent = 0
      if (silent > 12_000) return this.close(session)
      if (silent === 0) {
        this.#world.feed(a, { type: "heard", session: session.id })
        this.#world.feed(b, { type: "heard", session: session.id })
      }
      this.#world.at(this.#world.now + 2_000, beat)
    }
    this.#world.at(this.#world.now + 2_000, beat)
  }

  /** Whether a session leads to somebody: over a member linked to both, over several that pass frames on, or to that very member. */
  #way(from: TestNode, to: TestNode, via: SessionId, kind: Session["kind"]): boolean {
    const session = this.#sessions.get(via)
    const middle = session?.ends.find((end) => end !== from)
    if (session?.open !== true || middle === undefined || !middle.alive) return false
    if (middle === to) return kind === "direct"
    const linked = this.of(middle).some(({ open, ends }) => open && ends.includes(to))
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

  #blocked(a: TestNode, b: TestNode): boolean {
    return this.#cuts.some((cut) => cut(a, b))
  }

  #closeAll(a: TestNode, b: TestNode, wanted: Session["kind"]): void {
    for (const session of this.of(a)) if (session.kind === wanted && session.ends.includes(b)) this.close(session)
  }
}
