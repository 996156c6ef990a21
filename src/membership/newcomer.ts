/** How this peer comes into the room: finds members, proves the invitation, asks the committer, takes the Welcome (RM-7, RM-10, RM-11). */
import { invitationProof, roomId as roomIdOf } from "../crypto/room-keys.ts"
import type { GroupView, JoinMaterial } from "../group/types.ts"
import { equalBytes } from "../wire/bytes.ts"
import type { ControlMessageOf } from "../wire/control-json.ts"
import { AvError } from "../wire/errors.ts"
import type { Milliseconds, NodeId, PeerKeyId } from "../wire/types.ts"
import { chooseHead } from "./choice.ts"
import { ALL_NEW_MS, allNew, pickNodes } from "./contacts.ts"
import { earliest, type RoomCore, type RoomIdentity } from "./core.ts"
import { knock, type ProvenHead, proveHead } from "./heads.ts"
import { refusalError } from "./refusals.ts"
import type { RoomSession } from "./sessions.ts"
import type { SessionId } from "./types.ts"

const HEAD_WAIT_MS = 8_000
const ANSWER_WAIT_MS = 3_000
const WELCOME_WAIT_MS = 5_000
const JOIN_TIMEOUT_MS = 30_000
/** A waiting newcomer asks again this often, so that a new committer learns of it. */
const ASK_AGAIN_MS = 10_000
/** The peer that will commit says so before it may: ask it again after this. */
const NOT_YET_MS = 700
/** One `room.join` per second and session is allowed. */
const JOIN_SPACING_MS = 1_050
/** Without a server, roster or session for so long, the application hears about it. */
const NO_ROSTER_MS = 5_000
/** With a lower node id among other newcomers, this peer waits a little longer before it founds. */
const FOUND_PATIENCE_MS = 4_000

interface Ask {
  session: SessionId
  at: Milliseconds
  pending?: "batch" | "knock" | "committer"
  pendingAt: Milliseconds
}

export interface NewcomerHooks {
  founded(view: GroupView, room: RoomIdentity): void
  welcomed(view: GroupView, room: RoomIdentity, session: RoomSession): void
  failed(error: AvError): void
  /** Nodes that knocked here while this peer had nothing to answer. */
  waitingHere(): readonly NodeId[]
  /** Runs a task that changes the group. */
  exclusive(task: (release: () => void) => void): void
}

export class Newcomer {
  active = false
  readonly #core: RoomCore
  readonly #hooks: NewcomerHooks
  #again = false
  #extra: NodeId[] = []
  #avoid: ReadonlySet<PeerKeyId> = new Set()
  #material: JoinMaterial | undefined
  #preparing = false
  #heads = new Map<SessionId, ProvenHead>()
  #target: ProvenHead | undefined
  #ask: Ask | undefined
  #notBefore: Milliseconds = 0
  #tried = new Set<NodeId>()
  #round: Milliseconds | undefined
  #contactedCommitter: Milliseconds | undefined
  #startedAt: Milliseconds = 0
  #firstJoinAt: Milliseconds | undefined
  #warned = false
  #founding = false
  #taking = false

  constructor(core: RoomCore, hooks: NewcomerHooks) {
    this.#core = core
    this.#hooks = hooks
  }

  /**
   * Starts, or starts over after the group was lost. `nodes` are worth a try besides the roster; heads of `avoid` are not wanted for
   * now: they are still in the group that was left.
   */
  begin(again: boolean, nodes: readonly NodeId[] = [], avoid: ReadonlySet<PeerKeyId> = new Set()): void {
    this.active = true
    this.#again = again
    this.#extra = [...nodes]
    this.#avoid = avoid
    this.#material = undefined
    this.#preparing = false
    this.#heads.clear()
    this.#target = undefined
    this.#ask = undefined
    this.#notBefore = 0
    this.#tried.clear()
    this.#round = undefined
    this.#contactedCommitter = undefined
    this.#startedAt = this.#core.now
    this.#firstJoinAt = undefined
    this.#founding = false
    this.#taking = false
    for (const session of this.#core.sessions.all()) session.knockedAt = undefined
    this.#prepare()
    this.advance()
  }

  end(): void {
    this.active = false
  }

  /** A session was closed. */
  closed(id: SessionId): void {
    this.#heads.delete(id)
    if (this.#target?.from === id) this.#target = this.#bestHead()
    if (this.#ask?.session === id) this.#askForHead()
  }

  head(session: RoomSession, message: ControlMessageOf<"room.head">): void {
    const head = proveHead(this.#core, session, message)
    if (head === undefined || this.#avoid.has(session.peer.keyId)) return
    this.#heads.set(session.id, head)
    const best = this.#bestHead()
    if (best === undefined) return
    const changed = this.#target === undefined || !equalBytes(best.room.roomId, this.#target.room.roomId)
    if (!changed) return
    // A better group than the one asked so far: what was asked there does not matter any more.
    if (this.#target !== undefined) this.#ask = undefined
    this.#target = best
    this.advance()
  }

  pending(session: RoomSession, message: ControlMessageOf<"room.pending">): void {
    const ask = this.#ask
    if (ask === undefined || ask.session !== session.id) return
    ask.pending = message.wait
    ask.pendingAt = this.#core.now
    if (message.wait === "knock") this.#core.setPhase("waiting", "knock")
    if (message.wait === "batch") {
      // The package may be in a commit from now on: a later request needs a fresh one (RM-9).
      this.#material = undefined
      this.#prepare()
      return
    }
    if (message.wait !== "committer") return
    const node = message.committerNode
    this.#ask = undefined
    this.#notBefore = this.#core.now + NOT_YET_MS
    if (this.#target !== undefined && node !== undefined && node !== this.#core.options.self.nodeId) {
      this.#target = { ...this.#target, committerNode: node }
      this.#contactedCommitter = undefined
    }
    this.advance()
  }

  refused(session: RoomSession, message: ControlMessageOf<"room.refuse">): void {
    if (message.reason === "busy") {
      this.#ask = undefined
      this.#notBefore = this.#core.now + Math.max(JOIN_SPACING_MS, message.retryMs ?? 0)
      return
    }
    if (message.reason === "too-old") return
    const asked = this.#ask?.session === session.id
    // A refusal counts from the peer that was asked to let us in, or when nobody else has shown that it knows the invitation.
    if (!asked && (session.knockedAt === undefined || this.#heads.size > 0)) return
    this.#hooks.failed(refusalError(message.reason, { max: undefined }))
  }

  welcome(session: RoomSession, message: ControlMessageOf<"av.welcome">): void {
    const core = this.#core
    const head = [...this.#heads.values()].find(({ room }) => equalBytes(room.roomId, message.roomId))
    if (head === undefined) {
      core.count("RoomIdMismatch")
      return
    }
    if (this.#taking || !session.isHolder) {
      core.count("welcome-ignored")
      return
    }
    this.#taking = true
    const { entityId, mlDsaPublicKey } = session.peer
    this.#hooks.exclusive((release) => {
      core.run(
        "join",
        {
          roomId: head.room.roomId,
          envelope: message.envelope,
          inviter: { entityId, mlDsa65: mlDsaPublicKey },
          proof: message.proof,
          inviteKey: core.inviteKey,
          records: message.records ?? [],
        },
        (view) => {
          this.active = false
          this.#hooks.welcomed(view, head.room, session)
          release()
        },
        (error) => {
          this.#taking = false
          core.count(error.code)
          release()
          this.#askForHead()
        },
      )
    })
  }

  /** Does whatever can be done now. Called after every event. */
  advance(): void {
    if (!this.active || this.#founding || this.#taking) return
    const core = this.#core
    this.#knockAll()
    if (this.#target !== undefined) {
      this.#askCommitter(this.#target)
      this.#deadlines()
      return
    }
    if (!this.#warned && core.roster === undefined && core.now - this.#startedAt >= NO_ROSTER_MS) {
      this.#warned = true
      core.emit({ type: "warning", error: new AvError("ServerUnreachable") })
    }
    this.#contact()
    this.#deadlines()
  }

  wake(): Milliseconds | undefined {
    if (!this.active || this.#founding || this.#taking) return undefined
    const ask = this.#ask
    const silent = !this.#warned && this.#core.roster === undefined && this.#target === undefined
    return earliest(
      silent ? this.#startedAt + NO_ROSTER_MS : undefined,
      this.#target === undefined && this.#round !== undefined ? this.#nextRound() : undefined,
      ask === undefined ? undefined : ask.pendingAt + this.#patience(ask),
      this.#target !== undefined && ask === undefined ? Math.max(this.#notBefore, this.#core.now + 100) : undefined,
      this.#target === undefined && this.#hooks.waitingHere().length > 0 ? this.#core.now + ALL_NEW_MS : undefined,
      this.#firstJoinAt === undefined ? undefined : this.#firstJoinAt + JOIN_TIMEOUT_MS,
    )
  }

  #prepare(): void {
    if (this.#preparing || this.#material !== undefined) return
    this.#preparing = true
    this.#core.run(
      "prepareJoin",
      {},
      (material) => {
        this.#preparing = false
        this.#material = material
        this.advance()
      },
      (error) => {
        this.#preparing = false
        this.#hooks.failed(error)
      },
    )
  }

  #bestHead(): ProvenHead | undefined {
    const heads = [...this.#heads.values()]
    if (heads.length === 0) return undefined
    const choices = heads.map((head) => ({ root: head.room.root, size: head.size, id: head.room.roomId, head }))
    return chooseHead(choices, this.#core.options.root).head
  }

  #knockAll(): void {
    for (const session of this.#core.sessions.all()) if (session.knockedAt === undefined) knock(this.#core, session)
  }

  /** Contacts the next nodes, or founds when there are none (RM-7 step 3, RM-10). */
  #contact(): void {
    const core = this.#core
    if (core.roster === undefined && this.#extra.length === 0) {
      this.#round = undefined
      return
    }
    if (allNew(core, this.#hooks.waitingHere())) {
      this.#found()
      return
    }
    if (this.#round !== undefined && core.now < this.#nextRound()) return
    const nodes = pickNodes(core, this.#extra, this.#tried)
    if (nodes.length === 0) {
      this.#nobody()
      return
    }
    nodes.forEach((node, i) => {
      this.#tried.add(node)
      if (core.sessions.ofNode(node) !== undefined) return
      core.act({ type: "connect", node, via: "server" })
      if (i === 0) core.act({ type: "openRouted", node, via: "server" })
    })
    this.#round = core.now
  }

  #nextRound(): Milliseconds {
    return (this.#round ?? 0) + HEAD_WAIT_MS
  }

  /** Nobody is left to ask. */
  #nobody(): void {
    const core = this.#core
    // Without the server nobody founds: the room may exist where we cannot see it.
    if (!core.serverConnected || core.roster === undefined) {
      this.#tried.clear()
      this.#round = core.now
      return
    }
    const own = core.options.self.nodeId
    const lower = this.#hooks.waitingHere().some((node) => node < own)
    const since = this.#round === undefined ? 0 : core.now - this.#nextRound()
    if (lower && since < FOUND_PATIENCE_MS) return
    this.#found()
  }

  #found(): void {
    const core = this.#core
    this.#founding = true
    const { name, root = core.options.self.entityId } = core.options
    const instance = core.options.random(16)
    const room: RoomIdentity = { roomId: roomIdOf(name, instance, root), instance, root }
    this.#hooks.exclusive((release) => {
      core.run(
        "found",
        { roomId: room.roomId },
        (view) => {
          this.active = false
          this.#hooks.founded(view, room)
          release()
        },
        (error) => {
          release()
          this.#hooks.failed(error)
        },
      )
    })
  }

  /** Sends `room.join` to the acting committer as soon as there is a session with it (RM-7 step 6). */
  #askCommitter(target: ProvenHead): void {
    const core = this.#core
    if (this.#ask !== undefined || core.now < this.#notBefore || this.#material === undefined) return
    const session = core.sessions.ofNode(target.committerNode)
    if (session === undefined) {
      this.#reachCommitter(target)
      return
    }
    const { record, binding } = this.#material
    const { displayName } = core.options
    const proof = invitationProof(core.inviteKey, 1, session.bind, core.me, session.peer.keyId)
    const message: ControlMessageOf<"room.join"> = { t: "room.join", proof, record, binding }
    if (displayName !== undefined) message.name = displayName
    core.act({ type: "send", session: session.id, message })
    this.#ask = { session: session.id, at: core.now, pendingAt: core.now }
    this.#notBefore = core.now + JOIN_SPACING_MS
    this.#firstJoinAt ??= core.now
  }

  #reachCommitter(target: ProvenHead): void {
    const core = this.#core
    if (this.#contactedCommitter === undefined) {
      const via = core.serverConnected ? "server" : target.from
      core.act({ type: "connect", node: target.committerNode, via })
      core.act({ type: "openRouted", node: target.committerNode, via })
      this.#contactedCommitter = core.now
      this.#firstJoinAt ??= core.now
    } else if (core.now - this.#contactedCommitter >= ANSWER_WAIT_MS) {
      this.#askForHead()
    }
  }

  #patience(ask: Ask): Milliseconds {
    if (ask.pending === undefined) return ANSWER_WAIT_MS
    return ask.pending === "knock" ? ASK_AGAIN_MS : WELCOME_WAIT_MS
  }

  #deadlines(): void {
    const core = this.#core
    const ask = this.#ask
    if (ask !== undefined && core.now - ask.pendingAt >= this.#patience(ask)) this.#askForHead()
    if (core.phase === "waiting" || this.#firstJoinAt === undefined) return
    if (core.now - this.#firstJoinAt < JOIN_TIMEOUT_MS) return
    if (this.#again) this.begin(true, this.#extra)
    else this.#hooks.failed(new AvError("JoinTimeout"))
  }

  /** Forgets what is believed about the committer and asks every member again. */
  #askForHead(): void {
    this.#ask = undefined
    this.#target = undefined
    this.#contactedCommitter = undefined
    this.#heads.clear()
    this.#avoid = new Set()
    this.#round = this.#core.now
    for (const session of this.#core.sessions.all()) {
      if (session.knockedAt !== undefined && this.#core.now - session.knockedAt >= JOIN_SPACING_MS) session.knockedAt = undefined
    }
    this.#prepare()
  }
}
