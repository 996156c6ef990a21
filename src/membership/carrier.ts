/** Carries group messages over the links of the room: floods, forwards, and sends what this peer says (RM-16). */
import { sha256Sync } from "../crypto/hash.ts"
import type { MessageHead } from "../group/types.ts"
import { toHex } from "../wire/bytes.ts"
import type { ControlMessageOf, KnownControlMessage } from "../wire/control-json.ts"
import type { AvError } from "../wire/errors.ts"
import type { Bytes, Milliseconds, U64 } from "../wire/types.ts"
import type { RoomCore } from "./core.ts"
import { FloodGate, mayForward } from "./flood.ts"
import type { RoomSession } from "./sessions.ts"
import type { SessionId } from "./types.ts"

type MlsMessage = ControlMessageOf<"av.mls">

/** An `av.mls` message that passed the first look and waits for the proof of its authenticity. */
export interface Flooded {
  message: MlsMessage
  head: MessageHead
  hash: Bytes
  from: SessionId
  /** When it arrived: it says that its author was alive before that, not when it could be opened. */
  at: Milliseconds
  /** Passed on already, unread. */
  forwarded: boolean
}

/** GOAWAY code `limit` (control-plane 0.5). */
const GOAWAY_LIMIT = 7

export class Carrier {
  readonly #core: RoomCore
  readonly #gate = new FloodGate()

  constructor(core: RoomCore) {
    this.#core = core
  }

  /** The best session with each member that has one, and with relays. */
  roomLinks(): RoomSession[] {
    const core = this.#core
    const best = new Map<string, RoomSession>()
    for (const session of core.sessions.all()) {
      const { keyId } = session.peer
      if (keyId === core.me) continue
      if (session.returning || (!core.members.has(keyId) && session.proven !== "relay")) continue
      const other = best.get(keyId)
      if (other === undefined || session.kind === "direct" || other.kind === "routed") best.set(keyId, session)
    }
    return [...best.values()]
  }

  send(session: SessionId, message: KnownControlMessage): void {
    this.#core.act({ type: "send", session, message })
  }

  toLinks(message: KnownControlMessage, except?: SessionId): void {
    const from = except === undefined ? undefined : this.#core.sessions.get(except)?.peer.keyId
    for (const link of this.roomLinks()) if (link.peer.keyId !== from) this.send(link.id, message)
  }

  /**
   * First look at a message of a neighbour: budget and seen-set. Undefined when there is nothing more to do with it. A `solicited` one
   * is looked at again although it was seen, not passed on then, and does not count: this peer asked for it.
   */
  admit(session: SessionId, message: MlsMessage, head: MessageHead, solicited: boolean): Flooded | undefined {
    const core = this.#core
    const hash = sha256Sync(message.bytes)
    const facts = { id: toHex(hash), commit: head.content === "commit", bytes: message.bytes.length, solicited }
    const verdict = this.#gate.admit(session, facts, core.now)
    if (verdict === "fresh") return { message, head, hash, from: session, at: core.now, forwarded: false }
    if (verdict === "seen" && solicited) return { message, head, hash, from: session, at: core.now, forwarded: true }
    if (verdict !== "seen") core.count(`flood-${verdict}`)
    if (verdict === "close") core.act({ type: "goaway", session, code: GOAWAY_LIMIT })
    return undefined
  }

  /** Passes a message on when the rules allow it; `authentic` is false while nobody has looked inside. */
  forward(item: Flooded, authentic: boolean, mine: U64): void {
    if (item.forwarded || !mayForward({ role: "member", epoch: mine }, { epoch: item.head.epoch, authentic })) return
    item.forwarded = true
    this.toLinks(item.message, item.from)
  }

  /** Floods group bytes of this peer. */
  flood(kind: MlsMessage["kind"], bytes: Bytes, records?: Bytes[]): void {
    const core = this.#core
    if (core.room === undefined) return
    this.#gate.own(toHex(sha256Sync(bytes)), core.now)
    this.toLinks(mlsMessage(core.room.roomId, kind, bytes, records))
  }

  /** Seals an application message and floods it, or sends it to one session only. */
  say(plaintext: Bytes, options: { to?: SessionId; done?: () => void; failed?: (error: AvError) => void } = {}): void {
    const core = this.#core
    const { to, done, failed = (error: AvError) => core.count(error.code) } = options
    core.run(
      "protect",
      { plaintext },
      (bytes) => {
        if (to === undefined) this.flood("app", bytes)
        else if (core.room !== undefined) this.send(to, mlsMessage(core.room.roomId, "app", bytes))
        done?.()
      },
      failed,
    )
  }

  forget(session: SessionId): void {
    this.#gate.forget(session)
  }
}

export function mlsMessage(roomId: Bytes, kind: MlsMessage["kind"], bytes: Bytes, records?: readonly Bytes[]): MlsMessage {
  const message: MlsMessage = { t: "av.mls", roomId, kind, bytes }
  if (records !== undefined && records.length > 0) message.records = [...records]
  return message
}
