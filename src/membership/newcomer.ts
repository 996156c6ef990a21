/** How this peer comes into the room: proves the invitation, asks the committer, takes the Welcome, or founds (RM-7, RM-10, RM-11). */
import { invitationProof, roomId as roomIdOf } from "../crypto/room-keys.ts"
import type { GroupView, JoinMaterial } from "../group/types.ts"
import { equalBytes } from "../wire/bytes.ts"
import type { ControlMessageOf } from "../wire/control-json.ts"
import { AvError } from "../wire/errors.ts"
import type { Milliseconds, NodeId, PeerKeyId } from "../wire/types.ts"
import { chooseHead } from "./choice.ts"
import { earliest, type RoomCore, type RoomIdentity } from "./core.ts"
import { knock, type ProvenHead, proveHead } from "./heads.ts"
import { refusalError } from "./refusals.ts"
import { Search } from "./search.ts"
import type { RoomSession } from "./sessions.ts"
import type { SessionId } from "./types.ts"

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

interface Ask {
  session: SessionId
  at: Milliseconds
  pending?: "batch" | "knock" | "committer"
  pendingAt: Milliseconds
}

interface NewcomerHooks {
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
  readonly #search: Search
  #again = false
  #avoid: ReadonlySet<PeerKeyId> = new Set()
  #material: JoinMaterial | undefined
  #preparing = false
  #heads = new Map<SessionId, ProvenHead>()
  #target: ProvenHead | undefined
  #ask: Ask | undefined
  #notBefore: Milliseconds = 0
  #contactedCommitter: Milliseconds | undefined
  #startedAt: Milliseconds = 0
  #firstJoinAt: Milliseconds | undefined
  #warned = false
  #founding = false
  #taking = false

  constructor(core: RoomCore, hooks: NewcomerHooks) {
    this.#core = core
    this.#hooks = hooks
    this.#search = new Search(core, () => hooks.waitingHere())
  }

  /**
   * Starts, or starts over after the group was lost. `nodes` are worth a try besides the roster; heads of `avoid` are not wanted for
   * now: they are still in the group that was left.
   */
  begin(again: boolean, nodes: readonly NodeId[] = [], avoid: ReadonlySet<PeerKeyId> = new Set()): void {
    this.active = true
    this.#again = again
    this.#search.begin(nodes)
    this.#avoid = avoid
    this.#material = undefined
    this.#preparing = false
    this.#heads.clear()
    this.#target = undefined
    this.#ask = undefined
    this.#notBefore = 0
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
    if (this.#firstJoinAt === undefined || [...this.#core.sessions.all()].some(({ isHolder }) => isHolder)) return
    // Nobody of the room is left who could let us in: this is looking for it again, not waiting at its door.
    this.#firstJoinAt = undefined
    this.#search.lostAll()
  }

  /** A link to that node came to nothing. */
  unreachable(node: NodeId): void {
    if (this.active) this.#search.unreachable(node)
  }

  head(session: RoomSession, message: ControlMessageOf<"room.head">): void {
    const head = proveHead(this.#core, session, message)
    if (head !== undefined) this.#search.headSeen()
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
    const { reason, retryMs = 0 } = message
    const asked = this.#ask?.session === session.id
    if (reason === "busy") {
      if (!asked) return
      this.#ask = undefined
      this.#notBefore = this.#core.now + Math.max(JOIN_SPACING_MS, retryMs)
      return
    }
    if (reason === "too-old") return
    // The peer that was asked to let us in decides: somebody who proved the invitation named it. Whoever proved it itself is believed as
    // long as nobody else did; of the others nobody decides alone.
    if (asked || (session.isHolder && session.knockedAt !== undefined && this.#heads.size === 0)) {
      this.#hooks.failed(refusalError(reason, { max: undefined }))
      return
    }
    if (session.knockedAt !== undefined) this.#search.refused(session.peer.nodeId, reason)
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
    const search = this.#search.advance()
    if (search?.result === "failed") {
      this.#hooks.failed(search.error)
      return
    }
    if (search?.result === "found") this.#found()
    if (search?.result === "again") {
      this.#firstJoinAt ??= core.now
      this.#askForHead()
    }
    this.#deadlines()
  }

  wake(): Milliseconds | undefined {
    if (!this.active || this.#founding || this.#taking) return undefined
    const ask = this.#ask
    const silent = !this.#warned && this.#core.roster === undefined && this.#target === undefined
    return earliest(
      silent ? this.#startedAt + NO_ROSTER_MS : undefined,
      this.#target === undefined ? this.#search.wake() : undefined,
      ask === undefined ? undefined : ask.pendingAt + this.#patience(ask),
      this.#target !== undefined && ask === undefined ? Math.max(this.#notBefore, this.#core.now + 100) : undefined,
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
    if (this.#again) this.begin(true, this.#search.extra)
    else this.#hooks.failed(new AvError("JoinTimeout"))
  }

  /** Forgets what is believed about the committer and asks every member again, but those that were asked just now. */
  #askForHead(): void {
    this.#ask = undefined
    this.#contactedCommitter = undefined
    this.#avoid = new Set()
    this.#search.askedAgain()
    for (const session of this.#core.sessions.all()) {
      if (this.#search.hasRefused(session.peer.nodeId)) continue
      if (session.knockedAt !== undefined && this.#core.now - session.knockedAt < JOIN_SPACING_MS) continue
      session.knockedAt = undefined
      this.#heads.delete(session.id)
    }
    this.#target = this.#bestHead()
    this.#prepare()
  }
}
