/** Who is behind each leaf: asks for evidence, hands it on, and knows when every leaf is verified (D-43, RM-7 steps 9-11). */
import { nodeIdOf, peerKeyIdOf, pqHashOf } from "../crypto/ids.ts"
import type { LeafEvidence, PeerKeys } from "../group/types.ts"
import { AvError } from "../wire/errors.ts"
import type { Milliseconds, NodeId, PeerKeyId } from "../wire/types.ts"
import { AnswerLimit } from "./answer-limit.ts"
import { earliest, type RoomCore } from "./core.ts"
import type { RoomSession } from "./sessions.ts"
import type { SessionId } from "./types.ts"

const ASK_AGAIN_MS = 1_500
/** A newcomer leaves when a leaf is still unproven after this. */
const GIVE_UP_MS = 10_000
const PER_MESSAGE = 64
/** Answers to `av.leaf?` that one session may have in a second; each can be 400 KB. */
const ANSWERS_PER_SECOND = 8

interface LeafHooks {
  /** More leaves are verified than before. */
  learned(): void
  /** All are: this peer may seal (D-43 d). */
  verified(): void
  failed(error: AvError): void
  links(): RoomSession[]
}

export class Leaves {
  readonly #core: RoomCore
  readonly #hooks: LeafHooks
  readonly #nodes = new Map<PeerKeyId, NodeId>()
  readonly #keys = new Map<PeerKeyId, PeerKeys>()
  #verifying: { since: Milliseconds; asked: Milliseconds; turn: number; first: SessionId } | undefined
  #checking = false
  readonly #answers = new AnswerLimit(ANSWERS_PER_SECOND)

  constructor(core: RoomCore, hooks: LeafHooks) {
    this.#core = core
    this.#hooks = hooks
  }

  /** A newcomer still waits for evidence about some member. */
  get verifying(): boolean {
    return this.#verifying !== undefined
  }

  /** The node of a member, once its entity key is known. */
  nodeOf(keyId: PeerKeyId): NodeId | undefined {
    if (keyId === this.#core.me) return this.#core.options.self.nodeId
    return this.#nodes.get(keyId) ?? this.#core.sessions.ofKey(keyId)?.peer.nodeId
  }

  /** The long-term keys of another member, once they are known. */
  keysOf(keyId: PeerKeyId): PeerKeys | undefined {
    if (!this.#core.members.has(keyId)) return undefined
    const peer = this.#core.sessions.ofKey(keyId)?.peer
    return this.#keys.get(keyId) ?? (peer && { entityId: peer.entityId, mlDsa65: peer.mlDsaPublicKey })
  }

  keyOf(node: NodeId): PeerKeyId | undefined {
    for (const keyId of this.#core.members.keys()) if (this.nodeOf(keyId) === node) return keyId
    return undefined
  }

  /** Checks all leaves of a group just joined. */
  begin(session: SessionId): void {
    const { now } = this.#core
    this.#verifying = { since: now, asked: now - ASK_AGAIN_MS, turn: 0, first: session }
    this.#check()
  }

  /** The member list changed: learns the nodes of new members, forgets those of old ones. */
  membersChanged(): void {
    const core = this.#core
    for (const keyId of this.#nodes.keys()) if (!core.members.has(keyId)) this.#forget(keyId)
    const unknown = [...core.members.keys()].filter((keyId) => !this.#nodes.has(keyId))
    for (let at = 0; at < unknown.length; at += PER_MESSAGE) {
      core.run("evidence", { keyIds: unknown.slice(at, at + PER_MESSAGE) }, (leaves) => {
        this.#remember(leaves)
        if (leaves.length > 0) this.#hooks.learned()
      })
    }
  }

  ask(keyIds: readonly PeerKeyId[], session: SessionId): void {
    for (let at = 0; at < keyIds.length; at += PER_MESSAGE) {
      this.#core.act({ type: "send", session, message: { t: "av.leaf?", keyIds: keyIds.slice(at, at + PER_MESSAGE) } })
    }
  }

  answer(session: SessionId, keyIds: readonly PeerKeyId[]): void {
    const core = this.#core
    if (!this.#answers.admit(session, core.now)) {
      core.count("leaf-too-often")
      return
    }
    if (core.view === undefined) return
    core.run("evidence", { keyIds: [...keyIds] }, (leaves) => {
      if (leaves.length > 0) core.act({ type: "send", session, message: { t: "av.leaf", leaves } })
    })
  }

  /** Evidence from a peer; what does not verify is dropped by the group. */
  got(leaves: readonly LeafEvidence[]): void {
    const core = this.#core
    core.run("learnLeaves", { leaves: [...leaves] }, (verdicts) => {
      const good = leaves.filter((_, i) => verdicts[i]?.verified === true)
      if (good.length < leaves.length) core.count("LeafIdentityUnverified")
      if (good.length === 0) return
      this.#remember(good)
      this.#check()
      this.#hooks.learned()
    })
  }

  closed(session: SessionId): void {
    this.#answers.forget(session)
  }

  tick(): void {
    const verifying = this.#verifying
    if (verifying !== undefined && this.#core.now - verifying.asked >= ASK_AGAIN_MS) this.#check()
  }

  wake(): Milliseconds | undefined {
    const verifying = this.#verifying
    return verifying === undefined ? undefined : earliest(verifying.asked + ASK_AGAIN_MS, verifying.since + GIVE_UP_MS)
  }

  reset(): void {
    this.#nodes.clear()
    this.#keys.clear()
    this.#verifying = undefined
    this.#checking = false
  }

  #remember(leaves: readonly LeafEvidence[]): void {
    for (const { entityId, mlDsa65 } of leaves) {
      const keyId = peerKeyIdOf(entityId, pqHashOf(mlDsa65))
      if (!this.#core.members.has(keyId)) continue
      this.#nodes.set(keyId, nodeIdOf(entityId))
      this.#keys.set(keyId, { entityId, mlDsa65 })
    }
  }

  #forget(keyId: PeerKeyId): void {
    this.#nodes.delete(keyId)
    this.#keys.delete(keyId)
  }

  #check(): void {
    if (this.#verifying === undefined || this.#checking) return
    this.#checking = true
    this.#core.run(
      "unverified",
      {},
      (keyIds) => {
        this.#checking = false
        this.#checked(keyIds)
      },
      (error) => {
        this.#checking = false
        this.#core.count(error.code)
      },
    )
  }

  #checked(keyIds: readonly PeerKeyId[]): void {
    const verifying = this.#verifying
    const core = this.#core
    if (verifying === undefined) return
    if (keyIds.length === 0) {
      this.#verifying = undefined
      this.#hooks.verified()
      return
    }
    if (core.now - verifying.since >= GIVE_UP_MS) {
      this.#verifying = undefined
      this.#hooks.failed(new AvError("LeafIdentityUnverified", { key_id: keyIds[0] }))
      return
    }
    if (core.now - verifying.asked < ASK_AGAIN_MS) return
    verifying.asked = core.now
    // The inviter first, then whoever else has a link.
    const links = this.#hooks.links()
    const inviter = core.sessions.get(verifying.first)
    const session = verifying.turn === 0 && inviter !== undefined ? inviter : links[verifying.turn % Math.max(1, links.length)]
    verifying.turn++
    if (session !== undefined) this.ask(keyIds, session.id)
  }
}
