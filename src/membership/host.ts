/** What a host orders: settings of the room, removals, admissions (RM-18, RM-35). Until tokens are built, the root is the only host. */
import { equalBytes } from "../wire/bytes.ts"
import { AvError, isAvError } from "../wire/errors.ts"
import { encodeRoomMessage, type RoomMessageOf } from "../wire/room-message.ts"
import { ORDER_ADMIT, ORDER_DECLINE, ORDER_LABEL, ORDER_MUTE, ORDER_REMOVE, type RoomOrder } from "../wire/room-order.ts"
import { encodeSettingsBody, type RoomSettings, SETTINGS_LABEL, type SignedSettings } from "../wire/room-settings.ts"
import type { Bytes, Milliseconds, PeerKeyId } from "../wire/types.ts"
import type { RoomCore } from "./core.ts"
import { orderBytes } from "./orders.ts"
import { type SettingsBook, settingsBytes } from "./settings.ts"
import type { Talk } from "./talk.ts"

const ORDER_LIFE_MS = 60_000
/** Orders remembered at once; each is forgotten when it expires. */
const MAX_ORDERS = 256
const MAX_BARRED = 256
const NO_LEAF: Bytes = new Uint8Array(32)

export interface HostHooks {
  /** A valid order removes this member. */
  remove(keyId: PeerKeyId, order: RoomOrder): void
}

export class Host {
  readonly #core: RoomCore
  readonly #talk: Talk
  readonly #settings: SettingsBook
  readonly #hooks: HostHooks
  /** Valid orders 2 and 3 by target. */
  readonly #decisions = new Map<PeerKeyId, { admit: boolean; until: Milliseconds }>()

  constructor(core: RoomCore, talk: Talk, settings: SettingsBook, hooks: HostHooks) {
    this.#core = core
    this.#talk = talk
    this.#settings = settings
    this.#hooks = hooks
  }

  get isHost(): boolean {
    const { room, options } = this.#core
    return room !== undefined && equalBytes(room.root, options.self.entityId)
  }

  decision(keyId: PeerKeyId): "admit" | "decline" | undefined {
    const decision = this.#decisions.get(keyId)
    if (decision === undefined || decision.until <= this.#core.now) return undefined
    return decision.admit ? "admit" : "decline"
  }

  remove(keyId: PeerKeyId): void {
    const leaf = this.#core.members.get(keyId)?.leafKey
    if (leaf === undefined) return
    this.#order(ORDER_REMOVE, keyId, leaf, "remove")
    if (!this.isHost) return
    // Bars the key, and replaces the invitation: a new key with the old link would come back otherwise.
    const { current } = this.#settings
    const barred = [...current.barred.filter((id) => id !== keyId).slice(1 - MAX_BARRED), keyId]
    const generation = (current.invite?.generation ?? 0) + 1
    this.set({ ...current, barred, invite: { k: this.#core.options.random(32), generation } })
  }

  decide(keyId: PeerKeyId, admit: boolean): void {
    this.#order(admit ? ORDER_ADMIT : ORDER_DECLINE, keyId, NO_LEAF, "admit")
  }

  /** Signs and sends new settings; they hold here like everywhere when their signature is checked. */
  set(settings: RoomSettings): void {
    const core = this.#core
    const { room } = core
    if (room === undefined || !this.#allowed("settings")) return
    let body: Bytes
    try {
      body = encodeSettingsBody(settings)
    } catch (error) {
      if (!isAvError(error)) throw error
      core.emit({ type: "warning", error })
      return
    }
    const version = this.#settings.version + 1n
    core.run("sign", { label: SETTINGS_LABEL, body: settingsBytes(room.roomId, version, body) }, (sig) => {
      const signed: SignedSettings = { version, body, entityId: core.options.self.entityId, sig }
      this.#talk.offerSettings(signed)
      this.#talk.say(encodeRoomMessage({ t: "room.settings", ...signed }), true)
    })
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

  tick(): void {
    for (const [keyId, { until }] of this.#decisions) if (until <= this.#core.now) this.#decisions.delete(keyId)
  }

  #obey(order: RoomOrder): void {
    const { me } = this.#core
    if (order.kind === ORDER_REMOVE) this.#hooks.remove(order.target, order)
    else if (order.kind === ORDER_MUTE) {
      if (order.target === me) this.#core.emit({ type: "muteAsked", by: order.entityId })
    } else if (this.#decisions.size < MAX_ORDERS || this.#decisions.has(order.target)) {
      this.#decisions.set(order.target, { admit: order.kind === ORDER_ADMIT, until: Number(order.expiresMs) })
    }
  }

  #order(kind: RoomOrder["kind"], target: PeerKeyId, leaf: Bytes, right: string): void {
    const core = this.#core
    const { room } = core
    if (room === undefined || !this.#allowed(right)) return
    const issuedMs = BigInt(Math.floor(core.now))
    const facts = { kind, target, issuedMs, expiresMs: issuedMs + BigInt(ORDER_LIFE_MS) }
    core.run("sign", { label: ORDER_LABEL, body: orderBytes(facts, room.roomId, leaf) }, (sig) => {
      const message: RoomMessageOf<"room.order"> = { t: "room.order", ...facts, entityId: core.options.self.entityId, sig }
      this.take(message)
      this.#talk.say(encodeRoomMessage(message), true)
    })
  }

  #allowed(right: string): boolean {
    if (this.isHost) return true
    this.#core.emit({ type: "warning", error: new AvError("NotAllowed", { right }) })
    return false
  }
}
