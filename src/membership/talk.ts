/** What members say to each other inside the group: opens application messages and gives each to whom it concerns (room.md 2, 5-7). */
import { inviteKey } from "../crypto/room-keys.ts"
import type { OpenedMessage } from "../group/types.ts"
import { toHex } from "../wire/bytes.ts"
import type { ControlMessageOf } from "../wire/control-json.ts"
import { isAvError } from "../wire/errors.ts"
import { decodeRoomMessage, encodeRoomMessage, type RoomMessage, type RoomMessageOf } from "../wire/room-message.ts"
import type { SignedSettings } from "../wire/room-settings.ts"
import type { Bytes, Milliseconds, PeerKeyId, U64 } from "../wire/types.ts"
import type { Carrier, Flooded } from "./carrier.ts"
import type { RoomCore } from "./core.ts"
import { SeenSet } from "./flood.ts"
import type { SettingsBook } from "./settings.ts"
import type { StateBook } from "./state-book.ts"

/** Own chat messages that may have to be sent again after a rollback. */
const KEPT_CHATS = 64
/** What the application says while there is no group to say it to. */
const MAX_WAITING = 64
/** A live peer answers reports about itself, but not each of many. */
const HERE_GAP_MS = 1_000

interface TalkHooks {
  /** Something authentic of a member came. */
  heard(keyId: PeerKeyId, at: Milliseconds): void
  lost(keyId: PeerKeyId, left: boolean, reporter: PeerKeyId): void
  order(order: RoomMessageOf<"room.order">): void
  moved(message: RoomMessageOf<"room.move">): void
  /** Other settings hold now. */
  settings(): void
  /** This peer may seal messages now. */
  ready(): boolean
}

export class Talk {
  readonly #core: RoomCore
  readonly #carrier: Carrier
  readonly #states: StateBook
  readonly #settings: SettingsBook
  readonly #hooks: TalkHooks
  readonly #chats = new SeenSet()
  #said: { message: Bytes; epoch: U64 }[] = []
  #waiting: Bytes[] = []
  #hereAt = Number.NEGATIVE_INFINITY

  constructor(core: RoomCore, carrier: Carrier, states: StateBook, settings: SettingsBook, hooks: TalkHooks) {
    this.#core = core
    this.#carrier = carrier
    this.#states = states
    this.#settings = settings
    this.#hooks = hooks
  }

  /** Opens a message of the present or a kept epoch, passes it on, and acts on it. */
  open(item: Flooded): void {
    const core = this.#core
    core.run(
      "open",
      { bytes: item.message.bytes },
      (opened) => {
        this.#hooks.heard(opened.sender, item.at)
        let message: RoomMessage
        try {
          message = decodeRoomMessage(opened.plaintext)
        } catch (error) {
          if (!isAvError(error)) throw error
          core.count(error.code)
          return
        }
        // A page of states answers one peer; everything else is for all (RM-19).
        if (message.t !== "room.states") this.#carrier.forward(item, true, core.view?.epoch ?? 0n)
        this.#act(message, opened)
      },
      (error) => core.count(`app-${error.code}`),
    )
  }

  /** Says something to the whole room, or keeps it until that is possible. */
  say(message: Bytes, keep: boolean): void {
    if (!this.#hooks.ready()) {
      if (keep && this.#waiting.length < MAX_WAITING) this.#waiting.push(message)
      return
    }
    const epoch = this.#core.view?.epoch ?? 0n
    if (keep) this.#said.push({ message, epoch })
    if (this.#said.length > KEPT_CHATS) this.#said.shift()
    this.#carrier.say(message)
  }

  /** This peer may seal from now on: sends what waited. */
  ready(): void {
    const waiting = this.#waiting
    this.#waiting = []
    for (const message of waiting) this.say(message, true)
  }

  /** Epochs from this one on do not count any more: what was said in them is said again, with the same ids (RM-17). */
  rolledBack(from: U64): void {
    const lost = this.#said.filter(({ epoch }) => epoch >= from)
    this.#said = this.#said.filter(({ epoch }) => epoch < from)
    for (const { message } of lost) this.say(message, true)
  }

  /** Answers `room.sync?` with the states that the asker does not have, in pages on its session only. */
  sync(session: string, message: ControlMessageOf<"room.sync?">): void {
    const { signed, version } = this.#settings
    const settings = signed !== undefined && message.settingsVersion < version ? signed : undefined
    const pages = this.#states.pages(message.have)
    if (pages.length === 0 && settings !== undefined) pages.push([])
    pages.forEach((states, i) => {
      const answer: RoomMessageOf<"room.states"> = { t: "room.states", states, more: i + 1 < pages.length }
      if (i === 0 && settings !== undefined) answer.settings = settings
      this.#carrier.say(encodeRoomMessage(answer), { to: session })
    })
  }

  /** Takes settings of any origin; the signature decides. */
  offerSettings(signed: SignedSettings): void {
    const core = this.#core
    const { room } = core
    if (room === undefined || signed.version < this.#settings.version) return
    core.run("verifySettings", { settings: signed, roomId: room.roomId, root: room.root }, (right) => {
      const verdict = this.#settings.offer(signed, right)
      if (verdict === "refused") core.count("SettingsInvalid")
      if (verdict !== "accepted") return
      const { invite } = this.#settings.current
      if (invite !== undefined) core.replaceInvite(inviteKey(invite.k, core.options.name))
      core.emit({ type: "settings", settings: this.#settings.current, version: this.#settings.version })
      this.#hooks.settings()
    })
  }

  reset(): void {
    this.#said = []
  }

  #act(message: RoomMessage, { sender }: OpenedMessage): void {
    const core = this.#core
    switch (message.t) {
      case "room.state":
        this.#offerState(sender, sender, message.state, message.sig)
        return
      case "room.states":
        for (const [keyId, state, sig] of message.states) if (keyId !== core.me) this.#offerState(undefined, keyId, state, sig)
        if (message.settings !== undefined) this.offerSettings(message.settings)
        return
      case "room.settings":
        this.offerSettings(message)
        return
      case "room.order":
        this.#hooks.order(message)
        return
      case "room.asking":
        core.emit({ type: "asking", keyId: message.keyId, name: message.name })
        return
      case "room.lost":
        if (message.keyId === core.me) {
          this.#here(core.now)
          return
        }
        this.#hooks.lost(message.keyId, message.left, sender)
        return
      case "room.here":
        return
      case "room.move":
        this.#hooks.moved(message)
        return
      case "room.chat":
        if (!this.#chats.admit(`${sender} ${toHex(message.id)}`, core.now)) return
        core.emit({ type: "chat", keyId: sender, id: message.id, text: message.text })
        return
      case "room.data":
        core.emit({ type: "data", keyId: sender, topic: message.topic, bytes: message.bytes })
        return
      case "unknown":
        core.count("room-message-unknown")
    }
  }

  #offerState(sender: PeerKeyId | undefined, keyId: PeerKeyId, bytes: Bytes, sig: Bytes): void {
    const core = this.#core
    const { room } = core
    if (room === undefined || !core.members.has(keyId)) {
      core.count("state-ignored")
      return
    }
    // Pages bring late joiners what floods brought already: what was verified for this leaf, byte for byte, is not verified again.
    if (this.#states.holds(keyId, bytes, sig)) return
    core.run("verifyState", { roomId: room.roomId, keyId, state: bytes, sig }, (signatureOk) => {
      if (!core.members.has(keyId)) return
      const verdict = this.#states.offer({ sender, keyId, bytes, sig, signatureOk })
      const held = this.#states.get(keyId)
      if (verdict === "accepted" && held !== undefined) core.emit({ type: "state", keyId, state: held.state })
      if (verdict === "conflict" || verdict === "ignored") core.count(`state-${verdict}`)
    })
  }

  /** Reported lost, and alive: says so to everybody at once. */
  #here(now: Milliseconds): void {
    if (now - this.#hereAt < HERE_GAP_MS) return
    this.#hereAt = now
    this.say(encodeRoomMessage({ t: "room.here", nonce: this.#core.options.random(16) }), false)
  }
}
