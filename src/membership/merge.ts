/** Two groups of one name, or two branches of one group: finds the other one, compares, and moves over when it wins (RM-11, RM-13). */
import type { GroupView } from "../group/types.ts"
import { compareUtf8, equalBytes } from "../wire/bytes.ts"
import type { ControlMessageOf } from "../wire/control-json.ts"
import type { RoomMessageOf } from "../wire/room-message.ts"
import type { Milliseconds, NodeId, U64 } from "../wire/types.ts"
import type { CatchUp } from "./catch-up.ts"
import { chooseHead } from "./choice.ts"
import { earliest, type RoomCore } from "./core.ts"
import { knock, type ProvenHead, proveHead } from "./heads.ts"
import type { Leaves } from "./leaves.ts"
import type { RoomSession } from "./sessions.ts"
import type { SessionId } from "./types.ts"

/** A registered node that is neither a member nor joining is looked at after this. */
const STRAY_MS = 5_000
/** Between two looks at who is registered and not in the room: that takes a walk over all members. */
const SURVEY_MS = 250
/** A request to join counts this long as being on the way in. */
const JOINING_MS = 15_000
/** Somebody who knocked and did not ask to join may be a member of another group: knock back. */
const KNOCK_BACK_MS = 1_500
/** Between two looks at the same node. */
const LOOK_AGAIN_MS = 10_000
/** An answer must come in this time. */
const PROBE_MS = 3_000
/** For so long after it was found out. */
const PARTED_MS = 20_000
/** Nodes kept an eye on; a ROSTER names at most 256. */
const MAX_STRAYS = 512

interface MergeHooks {
  iCommit(): boolean
  /** The other group wins: tell the own one, leave it, join there. */
  move(head: ProvenHead): void
}

export class Merge {
  readonly #core: RoomCore
  readonly #leaves: Leaves
  readonly #catchUp: CatchUp
  readonly #hooks: MergeHooks
  readonly #strays = new Map<NodeId, Milliseconds>()
  /** When and at what state of things that was last looked for. */
  #survey: { at: Milliseconds; view: GroupView | undefined; rosterVersion: number } | undefined
  readonly #looked = new Map<NodeId, Milliseconds>()
  /** Sessions on which a knock of ours waits for its head, or for the tip that follows it. */
  readonly #probes = new Map<SessionId, { at: Milliseconds; head?: ProvenHead }>()
  /** No commits were found that lead from our state in this epoch to that of the peer. */
  readonly #parted = new Map<SessionId, { epoch: U64; at: Milliseconds }>()
  /** Nodes to be knocked at as soon as a session is there. */
  readonly #wanted = new Map<NodeId, Milliseconds>()

  constructor(core: RoomCore, leaves: Leaves, catchUp: CatchUp, hooks: MergeHooks) {
    this.#core = core
    this.#leaves = leaves
    this.#catchUp = catchUp
    this.#hooks = hooks
  }

  /** The peer seems to be on another branch of our room. */
  branched(session: RoomSession): void {
    const { view, now } = this.#core
    if (view !== undefined) this.#parted.set(session.id, { epoch: view.epoch, at: now })
    this.probe(session)
  }

  /** Knocks at a peer to learn which group it is in. */
  probe(session: RoomSession): void {
    const { now } = this.#core
    const looked = this.#looked.get(session.peer.nodeId)
    if (this.#probes.has(session.id) || (looked !== undefined && now - looked < PROBE_MS)) return
    this.#looked.set(session.peer.nodeId, now)
    this.#probes.set(session.id, { at: now })
    knock(this.#core, session)
  }

  /** The answer to a knock of ours while we are a member. */
  head(session: RoomSession, message: ControlMessageOf<"room.head">): void {
    const probe = this.#probes.get(session.id)
    if (probe === undefined) return
    const head = proveHead(this.#core, session, message)
    if (head === undefined) {
      this.#probes.delete(session.id)
      return
    }
    probe.head = head
    const { room } = this.#core
    // Of one room only the tips differ, and the tip comes with the `room.alive` that follows.
    if (room !== undefined && !equalBytes(head.room.roomId, room.roomId)) this.#compare(session, head)
  }

  /** A `room.alive` of a peer that is being looked at. */
  alive(session: RoomSession): void {
    const head = this.#probes.get(session.id)?.head
    if (head !== undefined) this.#compare(session, head)
  }

  /** A member says that its group moves: see for ourselves. */
  moved(message: RoomMessageOf<"room.move">): void {
    for (const node of [message.committerNode, ...message.peers]) {
      if (this.#wanted.size < MAX_STRAYS) this.#want(node)
    }
  }

  opened(session: RoomSession): void {
    if (this.#wanted.delete(session.peer.nodeId)) this.probe(session)
  }

  closed(session: SessionId): void {
    this.#probes.delete(session)
    this.#parted.delete(session)
  }

  tick(): void {
    const core = this.#core
    if (core.view === undefined) return
    for (const [session, { at }] of this.#probes) if (core.now - at >= PROBE_MS) this.#probes.delete(session)
    for (const [session, { at }] of this.#parted) if (core.now - at >= PARTED_MS) this.#parted.delete(session)
    for (const [node, at] of this.#looked) if (core.now - at >= LOOK_AGAIN_MS) this.#looked.delete(node)
    for (const [node, at] of this.#wanted) if (core.now - at >= 2 * PROBE_MS) this.#wanted.delete(node)
    this.#knockBack()
    if (this.#survey !== undefined && core.now - this.#survey.at < SURVEY_MS) return
    this.#survey = { at: core.now, view: core.view, rosterVersion: core.rosterVersion }
    this.#lookForStrays()
  }

  wake(): Milliseconds | undefined {
    const { view, rosterVersion } = this.#core
    const survey = this.#survey
    const changed = survey !== undefined && (survey.view !== view || survey.rosterVersion !== rosterVersion)
    let time = changed ? survey.at + SURVEY_MS : undefined
    for (const at of this.#strays.values()) time = earliest(time, Math.max(at + STRAY_MS, this.#core.now + 1_000))
    for (const session of this.#core.sessions.all()) {
      if (this.#owesJoin(session)) time = earliest(time, Math.max(session.headSentAt! + KNOCK_BACK_MS, this.#core.now + 250))
    }
    for (const { at } of this.#probes.values()) time = earliest(time, at + PROBE_MS)
    return time
  }

  reset(): void {
    this.#strays.clear()
    this.#survey = undefined
    this.#probes.clear()
    this.#parted.clear()
    this.#wanted.clear()
    this.#looked.clear()
  }

  #compare(session: RoomSession, head: ProvenHead): void {
    const { view, room, options } = this.#core
    this.#probes.delete(session.id)
    if (view === undefined || room === undefined) return
    const mine = { root: room.root, size: view.members.length, id: room.roomId, own: true }
    const theirs = { root: head.room.root, size: head.size, id: head.room.roomId, own: false }
    if (equalBytes(mine.id, theirs.id)) {
      const shown = this.#catchUp.shown(session.id)
      if (shown === undefined || !equalBytes(shown.roomId, room.roomId) || equalBytes(shown.tip, view.tip)) return
      // Whoever is only behind or ahead on our branch is settled by commits. A slow page is behind for seconds while others remove and add.
      if (shown.epoch < view.epoch ? this.#catchUp.wasAt(shown) !== false : !this.#isParted(session.id, shown.epoch)) return
      const member = this.#core.members.has(session.peer.keyId)
      if (member && shown.epoch < view.epoch) return
      if (member && this.#catchUp.alone()) {
        this.#hooks.move(head)
        return
      }
      mine.id = view.tip
      theirs.id = shown.tip
    }
    if (!chooseHead([mine, theirs], options.root).own) this.#hooks.move(head)
  }

  /** That nothing leads to one later state means that nothing leads to the others either. */
  #isParted(session: SessionId, epoch: U64): boolean {
    const mine = this.#core.view?.epoch ?? 0n
    for (const [id, parted] of this.#parted) if (parted.epoch === mine && (id === session || epoch > mine)) return true
    return false
  }

  #want(node: NodeId): void {
    const core = this.#core
    if (node === core.options.self.nodeId) return
    const session = core.sessions.ofNode(node)
    if (session !== undefined) {
      this.probe(session)
      return
    }
    if (this.#wanted.has(node)) return
    this.#wanted.set(node, core.now)
    const via = core.serverConnected ? "server" : undefined
    if (via === undefined) return
    core.act({ type: "connect", node, via })
    core.act({ type: "openRouted", node, via })
  }

  /** Proved the invitation, got our head, and did not ask to join: a member of ours may be one of another group by now. */
  #owesJoin(session: RoomSession): boolean {
    const { headSentAt, proven, peer, joinedAt } = session
    if (headSentAt === undefined || proven !== "invite") return false
    return (joinedAt === undefined || joinedAt < headSentAt) && !this.#looked.has(peer.nodeId)
  }

  #knockBack(): void {
    for (const session of this.#core.sessions.all()) {
      if (this.#owesJoin(session) && this.#core.now - session.headSentAt! >= KNOCK_BACK_MS) this.probe(session)
    }
  }

  /** The committer looks at nodes that are registered but not in the room; the lower node id knocks. */
  #lookForStrays(): void {
    const core = this.#core
    const joining = new Set<NodeId>()
    for (const { joinedAt, peer } of core.sessions.all()) {
      if (joinedAt !== undefined && core.now - joinedAt < JOINING_MS) joining.add(peer.nodeId)
    }
    const members = new Set([...core.members.keys()].map((keyId) => this.#leaves.nodeOf(keyId)))
    for (const node of this.#strays.keys()) {
      if (core.roster?.has(node) !== true || members.has(node) || joining.has(node)) this.#strays.delete(node)
    }
    for (const node of core.roster ?? []) {
      if (members.has(node) || joining.has(node) || this.#strays.has(node) || this.#strays.size >= MAX_STRAYS) continue
      this.#strays.set(node, core.now)
    }
    if (!this.#hooks.iCommit()) return
    for (const [node, since] of this.#strays) {
      if (core.now - since < STRAY_MS || this.#looked.has(node)) continue
      // The lower node id knocks; when it does not, the other one does.
      if (compareUtf8(core.options.self.nodeId, node) > 0 && core.now - since < 2 * STRAY_MS) continue
      this.#want(node)
    }
  }
}
