/** A member's side of the door: answers knocks and requests to join, and keeps count of wrong proofs (RM-3, RM-6, RM-7, RM-36). */
import { checkInvitationProof, invitationProof } from "../crypto/room-keys.ts"
import type { JoinerInput } from "../group/types.ts"
import { equalBytes } from "../wire/bytes.ts"
import type { ControlMessageOf, KnownControlMessage } from "../wire/control-json.ts"
import type { RoomHead } from "../wire/room-head.ts"
import type { Bytes, Milliseconds, NodeId, PeerKeyId } from "../wire/types.ts"
import { answerJoin, type RefuseReason, ROOM_VERSION } from "./admission.ts"
import type { RoomCore } from "./core.ts"
import { KnockLimit } from "./knock-limit.ts"
import type { RoomSession } from "./sessions.ts"
import type { SettingsBook } from "./settings.ts"
import type { SessionId } from "./types.ts"

/** GOAWAY code `policy` (control-plane 0.5). */
const GOAWAY_POLICY = 6
const MAX_HELD_KNOCKS = 64
/** One `room.join` per second and session. */
const JOIN_SPACING_MS = 1_000
/** Waiting knockers are forgotten when they have not asked again for so long. */
const FORGET_KNOCKER_MS = 60_000
const MAX_KNOCKERS = 128
/** Hosts are told again of whoever still waits: one of them may have come later. */
const TELL_AGAIN_MS = 20_000
/** Members say `room.alive` every 5 s. */
const FALLEN_SILENT_MS = 6_000
/** Nodes named in a head. */
const HEAD_PEERS = 8

/** A newcomer that waits for the next commit. */
export interface JoinRequest extends JoinerInput {
  keyId: PeerKeyId
  session: SessionId
}

interface DoorHooks {
  /** The acting committer as seen here; `without` does not count, and whether this peer commits. */
  committer(without?: PeerKeyId): { keyId: PeerKeyId; nodeId: NodeId; iCommit: boolean } | undefined
  /** Adds waiting for the next commit. */
  inBatch(): number
  enqueue(request: JoinRequest): void
  /** A key id that has a leaf asks to come in: what it had is lost. */
  returning(keyId: PeerKeyId): void
  /** A valid order of a host about this newcomer. */
  order(keyId: PeerKeyId): "admit" | "decline" | undefined
  /** It shows a host's token. */
  isHost(entityId: Bytes): boolean
  asking(keyId: PeerKeyId, name: string): void
  classChanged(): void
}

interface Knocker {
  since: Milliseconds
  seen: Milliseconds
  /** When hosts were told last. */
  told: Milliseconds
  /** What it asked last, answered at once when a host has decided. */
  session: SessionId
  message: ControlMessageOf<"room.join">
}

export class Door {
  readonly #core: RoomCore
  readonly #settings: SettingsBook
  readonly #hooks: DoorHooks
  readonly #limit = new KnockLimit()
  /** Knocks that came before this peer was a member. */
  readonly #held = new Map<SessionId, ControlMessageOf<"room.knock">>()
  readonly #knockers = new Map<PeerKeyId, Knocker>()

  constructor(core: RoomCore, settings: SettingsBook, hooks: DoorHooks) {
    this.#core = core
    this.#settings = settings
    this.#hooks = hooks
  }

  knock(session: RoomSession, message: ControlMessageOf<"room.knock">): void {
    const core = this.#core
    if (message.version !== ROOM_VERSION) {
      this.#refuse(session, "version")
      return
    }
    if (core.view === undefined) {
      if (this.#held.size < MAX_HELD_KNOCKS) this.#held.set(session.id, message)
      return
    }
    const { keyId } = session.peer
    const right = (candidate: Bytes) => checkInvitationProof(message.proof, candidate, message.role, session.bind, keyId, core.me)
    const { relayKey } = core.options
    const ofRelay = relayKey !== undefined && right(relayKey) ? relayKey : undefined
    const key = message.role === 1 ? core.keyOfProof(right) : ofRelay
    if (key === undefined) {
      this.#wrongProof(session)
      return
    }
    if (message.role === 1) session.provenKey = key
    if (message.role === 1 || session.proven === undefined) session.proven = message.role === 1 ? "invite" : "relay"
    this.#doubt(session)
    this.#hooks.classChanged()
    const head = this.head(keyId)
    if (head === undefined) return
    session.headSentAt = core.now
    const proof = invitationProof(key, message.role === 1 ? 2 : 4, session.bind, core.me, keyId)
    this.#send(session, { t: "room.head", proof, ...head })
    const { view, room } = core
    if (view === undefined || room === undefined) return
    // The tip tells two branches of one room apart, which a head alone cannot (RM-13).
    this.#send(session, {
      t: "room.alive",
      roomId: room.roomId,
      epoch: view.epoch,
      tip: view.tip,
      settingsVersion: this.#settings.version,
    })
  }

  /** What this peer says about its group; the asker itself is never named as committer. */
  head(asker?: PeerKeyId): RoomHead | undefined {
    const { view, room, sessions, options } = this.#core
    const committer = this.#hooks.committer(asker)
    if (view === undefined || room === undefined || committer === undefined) return undefined
    const peers: NodeId[] = []
    for (const { peer, kind } of sessions.all()) {
      if (peers.length === HEAD_PEERS) break
      if (kind === "direct" && this.#core.members.has(peer.keyId) && peer.keyId !== asker && !peers.includes(peer.nodeId)) {
        peers.push(peer.nodeId)
      }
    }
    if (peers.length === 0) peers.push(options.self.nodeId)
    return {
      instance: room.instance,
      root: room.root,
      epoch: view.epoch,
      size: view.members.length,
      committer: committer.keyId,
      committerNode: committer.nodeId,
      admission: this.#settings.current.admission,
      peers,
    }
  }

  join(session: RoomSession, message: ControlMessageOf<"room.join">): void {
    const core = this.#core
    const { keyId } = session.peer
    if (core.view === undefined || core.room === undefined) return
    if (session.joinedAt !== undefined && core.now - session.joinedAt < JOIN_SPACING_MS) {
      core.count("join-too-often")
      return
    }
    session.joinedAt = core.now
    const key = core.keyOfProof((candidate) => checkInvitationProof(message.proof, candidate, 1, session.bind, keyId, core.me))
    if (key === undefined) {
      this.#wrongProof(session)
      return
    }
    session.provenKey = key
    session.proven = "invite"
    this.#hooks.classChanged()
    if (core.members.has(keyId)) {
      session.returning = true
      this.#hooks.returning(keyId)
    }
    this.#answer(session, message)
  }

  #answer(session: RoomSession, message: ControlMessageOf<"room.join">): void {
    const core = this.#core
    const { keyId, entityId } = session.peer
    if (core.room === undefined) return
    const committer = this.#hooks.committer(keyId)
    const settings = this.#settings.current
    const knocker = this.#knockers.get(keyId)
    const answer = answerJoin(
      {
        keyId,
        version: ROOM_VERSION,
        proofOk: true,
        isHost: equalBytes(entityId, core.room.root) || this.#hooks.isHost(entityId),
        waitedMs: knocker === undefined ? 0 : core.now - knocker.since,
        alreadyWaiting: knocker !== undefined,
      },
      {
        iCommit: committer?.iCommit ?? false,
        admission: settings.admission,
        maxMembers: settings.maxMembers,
        isMember: (id) => core.members.has(id),
        memberCount: core.members.size,
        inBatch: this.#hooks.inBatch(),
        isBarred: (id) => settings.barred.includes(id),
        // Others: whoever was admitted must not stand in its own way.
        waiting: this.#knockers.size - (knocker === undefined ? 0 : 1),
        order: this.#hooks.order(keyId),
      },
    )
    if ("refuse" in answer) {
      if (answer.refuse === "declined") this.#knockers.delete(keyId)
      this.#refuse(session, answer.refuse, answer.retryMs)
      return
    }
    const pending: ControlMessageOf<"room.pending"> = { t: "room.pending", wait: answer.pending }
    if (answer.pending === "committer" && committer !== undefined) pending.committerNode = committer.nodeId
    this.#send(session, pending)
    if (answer.pending === "batch") {
      this.#knockers.delete(keyId)
      const { mlDsaPublicKey } = session.peer
      const keys = { entityId, mlDsa65: mlDsaPublicKey }
      this.#hooks.enqueue({ keyId, session: session.id, record: message.record, binding: message.binding, keys })
    }
    if (answer.pending === "knock") {
      if (knocker === undefined && this.#knockers.size >= MAX_KNOCKERS) return
      const tells = knocker === undefined || core.now - knocker.told >= TELL_AGAIN_MS
      const since = knocker?.since ?? core.now
      const told = tells ? core.now : knocker.told
      this.#knockers.set(keyId, { since, seen: core.now, told, session: session.id, message })
      if (tells) this.#hooks.asking(keyId, message.name ?? "")
    }
  }

  /** A host has decided about a newcomer: whoever waits here need not ask again. */
  decided(keyId: PeerKeyId): void {
    const knocker = this.#knockers.get(keyId)
    const session = knocker && this.#core.sessions.get(knocker.session)
    if (knocker === undefined || session?.provenKey === undefined) return
    if (this.#hooks.committer(keyId)?.iCommit === true) this.#answer(session, knocker.message)
  }

  /** Whoever waits may not have to any more. */
  settingsChanged(): void {
    for (const keyId of [...this.#knockers.keys()]) this.decided(keyId)
  }

  /** This peer is a member now: answers the knocks that waited for that. */
  opened(): void {
    const held = [...this.#held]
    this.#held.clear()
    for (const [id, message] of held) {
      const session = this.#core.sessions.get(id)
      if (session !== undefined) this.knock(session, message)
    }
  }

  /** Nodes that knocked while there was nothing to answer: newcomers like this peer. Only right proofs count. */
  waitingHere(): NodeId[] {
    const { sessions, inviteKey, me } = this.#core
    const nodes: NodeId[] = []
    for (const [id, { role, proof }] of this.#held) {
      const session = sessions.get(id)
      if (session === undefined || role !== 1) continue
      const { keyId, nodeId } = session.peer
      if (checkInvitationProof(proof, inviteKey, 1, session.bind, keyId, me)) nodes.push(nodeId)
    }
    return nodes
  }

  closed(session: SessionId): void {
    this.#held.delete(session)
    this.#limit.forget(session)
  }

  tick(): void {
    for (const [keyId, { seen }] of this.#knockers) {
      if (this.#core.now - seen >= FORGET_KNOCKER_MS) this.#knockers.delete(keyId)
    }
  }

  reset(): void {
    this.#knockers.clear()
  }

  /** A member does not knock, unless it looks for another branch; one that has also fallen silent has lost the group. */
  #doubt(session: RoomSession): void {
    const { members, now } = this.#core
    const { keyId } = session.peer
    if (!members.has(keyId)) return
    if (!session.spoke) {
      session.returning = true
    } else if (now - this.#lastWord(keyId) > FALLEN_SILENT_MS) {
      session.spoke = false
      session.returning = true
      this.#hooks.returning(keyId)
    }
  }

  /** When it last spoke as a member, over whichever session: of several only the best carries what it says. */
  #lastWord(keyId: PeerKeyId): Milliseconds {
    let at = Number.NEGATIVE_INFINITY
    for (const { peer, spoke, spokeAt } of this.#core.sessions.all())
      if (peer.keyId === keyId && spoke) at = Math.max(at, spokeAt)
    return at
  }

  #wrongProof(session: RoomSession): void {
    this.#core.count("wrong-invitation")
    if (this.#limit.wrong(session.id, this.#core.now) === "refuse") {
      this.#refuse(session, "wrong-invitation")
      return
    }
    this.#core.act({ type: "goaway", session: session.id, code: GOAWAY_POLICY })
  }

  #refuse(session: RoomSession, reason: RefuseReason, retryMs?: Milliseconds): void {
    this.#core.count(`refused-${reason}`)
    this.#send(session, retryMs === undefined ? { t: "room.refuse", reason } : { t: "room.refuse", reason, retryMs })
  }

  #send(session: RoomSession, message: KnownControlMessage): void {
    this.#core.act({ type: "send", session: session.id, message })
  }
}
