/** What a host orders: settings of the room, removals, admissions, silence (RM-18, RM-35). The root is host, and who shows its token. */
import { equalBytes } from "../wire/bytes.ts"
import { AvError, isAvError } from "../wire/errors.ts"
import { encodeRoomMessage, type RoomMessageOf } from "../wire/room-message.ts"
import { ORDER_ADMIT, ORDER_DECLINE, ORDER_LABEL, ORDER_MUTE, ORDER_REMOVE, type RoomOrder } from "../wire/room-order.ts"
import { encodeSettingsBody, type RoomSettings, SETTINGS_LABEL, type SignedSettings } from "../wire/room-settings.ts"
import type { Bytes, Milliseconds, PeerKeyId, U64 } from "../wire/types.ts"
import type { RoomCore } from "./core.ts"
import { orderBytes } from "./orders.ts"
import { type SettingsBook, settingsBytes } from "./settings.ts"
import type { Talk } from "./talk.ts"

const ORDER_LIFE_MS = 60_000
/** Orders remembered at once; each is forgotten when it expires. */
const MAX_ORDERS = 256
const MAX_BARRED = 256
/** A removal that did not happen by then does not replace the invitation any more. */
const REMOVAL_MS = 30_000
const NO_LEAF: Bytes = new Uint8Array(32)

interface HostHooks {
  /** A valid order removes this member. */
  remove(keyId: PeerKeyId, order: RoomOrder): void
  /** A newcomer may come in, or not. */
  decided(keyId: PeerKeyId): void
}

export class Host {
  readonly #core: RoomCore
  readonly #talk: Talk
  readonly #settings: SettingsBook
  readonly #hooks: HostHooks
  /** Valid orders 2 and 3 by target. */
  readonly #decisions = new Map<PeerKeyId, { admit: boolean; until: Milliseconds }>()
  /** Members whose removal this peer ordered: when they are out, the invitation is replaced. */
  readonly #removing = new Map<PeerKeyId, Milliseconds>()
  /** Version of the last settings signed here: two that follow each other closely must not have the same. */
  #signedVersion: U64 = 0n
  #wanted: RoomSettings | undefined
  /** What makes this peer a host where it is not the root. */
  chain: Bytes | undefined

  constructor(core: RoomCore, talk: Talk, settings: SettingsBook, hooks: HostHooks) {
    this.#core = core
    this.#talk = talk
    this.#settings = settings
    this.#hooks = hooks
  }

  get isHost(): boolean {
    return this.#core.room !== undefined && (this.chain !== undefined || this.#isRoot)
  }

  get #isRoot(): boolean {
    const { room, options } = this.#core
    return room !== undefined && equalBytes(room.root, options.self.entityId)
  }

  decision(keyId: PeerKeyId): "admit" | "decline" | undefined {
    const decision = this.#decisions.get(keyId)
    if (decision === undefined || decision.until <= this.#core.now) return undefined
    return decision.admit ? "admit" : "decline"
  }

  /** Bars the key, and unless told otherwise replaces the invitation: a new key with the old link would come back. */
  remove(keyId: PeerKeyId, keepInvitation: boolean): void {
    const { now, members } = this.#core
    const leaf = members.get(keyId)?.leafKey
    if (leaf === undefined) return
    this.#order(ORDER_REMOVE, keyId, leaf, "remove")
    if (!this.isHost) return
    const current = this.#latest
    const barred = [...current.barred.filter((id) => id !== keyId).slice(1 - MAX_BARRED), keyId]
    this.set({ ...current, barred })
    if (!keepInvitation && this.#removing.size < MAX_ORDERS) this.#removing.set(keyId, now + REMOVAL_MS)
  }

  /** Whoever was to go is out and cannot read any more what the room says: now the invitation may be replaced. */
  membersChanged(): void {
    const { members, options } = this.#core
    const out = [...this.#removing.keys()].filter((keyId) => !members.has(keyId))
    for (const keyId of out) this.#removing.delete(keyId)
    if (out.length === 0 || !this.isHost) return
    const current = this.#latest
    this.set({ ...current, invite: { k: options.random(32), generation: (current.invite?.generation ?? 0) + 1 } })
  }

  mute(keyId: PeerKeyId): void {
    if (this.#core.members.has(keyId)) this.#order(ORDER_MUTE, keyId, NO_LEAF, "mute")
  }

  decide(keyId: PeerKeyId, admit: boolean): void {
    this.#order(admit ? ORDER_ADMIT : ORDER_DECLINE, keyId, NO_LEAF, "admit")
  }

  /** Signs and sends new settings; they hold here like everywhere when their signature is checked. */
  set(settings: RoomSettings): void {
    const core = this.#core
    const { room } = core
    if (room === undefined || !this.#allowed("settings")) return
    let fitting: { settings: RoomSettings; body: Bytes }
    try {
      fitting = encodeFitting(settings)
    } catch (error) {
      if (!isAvError(error)) throw error
      core.emit({ type: "warning", error })
      return
    }
    const { body } = fitting
    if (this.#settings.version > this.#signedVersion) this.#signedVersion = this.#settings.version
    const version = this.#signedVersion + 1n
    this.#signedVersion = version
    this.#wanted = fitting.settings
    core.run("sign", { label: SETTINGS_LABEL, body: settingsBytes(room.roomId, version, body) }, (sig) => {
      const signed: SignedSettings = { version, body, ...this.#signer, sig }
      this.#talk.offerSettings(signed)
      this.#talk.say(encodeRoomMessage({ t: "room.settings", ...signed }), true)
    })
  }

  change(change: Partial<RoomSettings>): void {
    this.set({ ...this.#latest, ...change })
  }

  /** An order that came through the room: obeyed when it is valid now. */
  take(message: RoomMessageOf<"room.order">): void {
    const core = this.#core
    const { room, members } = core
    const { t: _, ...order } = message
    if (room === undefined) return
    const leaf = order.kind === ORDER_REMOVE ? members.get(order.target)?.leafKey : NO_LEAF
    if (leaf === undefined) return
    core.run("verifyOrder", { order, roomId: room.roomId, root: room.root, leaf, at: core.now }, (valid) => {
      if (valid) this.#obey(order)
      else core.count("OrderInvalid")
    })
  }

  /** The room is another one now. */
  reset(): void {
    this.#removing.clear()
    this.#signedVersion = 0n
    this.#wanted = undefined
  }

  tick(): void {
    for (const [keyId, until] of this.#removing) if (until <= this.#core.now) this.#removing.delete(keyId)
    for (const [keyId, { until }] of this.#decisions) if (until <= this.#core.now) this.#decisions.delete(keyId)
  }

  #obey(order: RoomOrder): void {
    const { me } = this.#core
    if (order.kind === ORDER_REMOVE) this.#hooks.remove(order.target, order)
    else if (order.kind === ORDER_MUTE) {
      if (order.target === me) this.#core.emit({ type: "muteAsked", by: order.entityId })
    } else if (this.#decisions.size < MAX_ORDERS || this.#decisions.has(order.target)) {
      const admit = order.kind === ORDER_ADMIT
      this.#decisions.set(order.target, { admit, until: Number(order.expiresMs) })
      this.#core.emit({ type: "decided", keyId: order.target, admit })
      this.#hooks.decided(order.target)
    }
  }

  /** What holds, or what this peer has signed since and not seen accepted yet. */
  get #latest(): RoomSettings {
    return this.#wanted !== undefined && this.#signedVersion > this.#settings.version ? this.#wanted : this.#settings.current
  }

  get #signer(): { entityId: Bytes; chain?: Bytes } {
    const { entityId } = this.#core.options.self
    return this.chain === undefined || this.#isRoot ? { entityId } : { entityId, chain: this.chain }
  }

  #order(kind: RoomOrder["kind"], target: PeerKeyId, leaf: Bytes, right: string): void {
    const core = this.#core
    const { room } = core
    if (room === undefined || !this.#allowed(right)) return
    const issuedMs = BigInt(Math.floor(core.now + (core.options.writeOffsetMs?.() ?? 0)))
    const facts = { kind, target, issuedMs, expiresMs: issuedMs + BigInt(ORDER_LIFE_MS) }
    core.run("sign", { label: ORDER_LABEL, body: orderBytes(facts, room.roomId, leaf) }, (sig) => {
      const message: RoomMessageOf<"room.order"> = { t: "room.order", ...facts, ...this.#signer, sig }
      // Not judged by this peer's clock, which may be wrong: that is for the others.
      if (core.room !== undefined) this.#obey({ ...facts, ...this.#signer, sig })
      this.#talk.say(encodeRoomMessage(message), true)
    })
  }

  #allowed(right: string): boolean {
    if (this.isHost) return true
    this.#core.emit({ type: "warning", error: new AvError("NotAllowed", { right }) })
    return false
  }
}

/** The oldest bars give way where a body would become too large (RM-34). @throws AvError `SettingsInvalid` */
function encodeFitting(settings: RoomSettings): { settings: RoomSettings; body: Bytes } {
  for (let fitting = settings; ; fitting = { ...fitting, barred: fitting.barred.slice(1) }) {
    try {
      return { settings: fitting, body: encodeSettingsBody(fitting) }
    } catch (error) {
      if (!isAvError(error) || fitting.barred.length === 0 || !("max" in error.details)) throw error
    }
  }
}
