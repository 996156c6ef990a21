/** Fetches the states of members that are not known yet, and settings that passed this peer by (RM-7 step 10, RM-19). */
import { equalBytes } from "../wire/bytes.ts"
import type { ControlMessageOf } from "../wire/control-json.ts"
import type { Milliseconds } from "../wire/types.ts"
import type { RoomCore } from "./core.ts"
import type { RoomSession } from "./sessions.ts"
import type { SettingsBook } from "./settings.ts"
import type { StateBook } from "./state-book.ts"

const AGAIN_MS = 2_000
const MAX_TRIES = 5

export class StateSync {
  readonly #core: RoomCore
  readonly #states: StateBook
  readonly #settings: SettingsBook
  readonly #links: () => RoomSession[]
  #next: Milliseconds | undefined
  #tries = 0

  constructor(core: RoomCore, states: StateBook, settings: SettingsBook, links: () => RoomSession[]) {
    this.#core = core
    this.#states = states
    this.#settings = settings
    this.#links = links
  }

  /** Asks now, this session first. */
  ask(session: RoomSession | undefined): void {
    this.#tries = 0
    if (session !== undefined) this.#send(session)
    this.#next = this.#core.now + AGAIN_MS
  }

  /** Members came: their states are expected soon, and asked for when they stay away. */
  expect(): void {
    this.#tries = 0
    this.#next = this.#core.now + AGAIN_MS
  }

  /** A neighbour shows newer settings than ours: they were lost on the way here, so it is asked for them. */
  shown(session: RoomSession, { roomId, settingsVersion }: ControlMessageOf<"room.alive">): void {
    const { room, members, now } = this.#core
    if (settingsVersion <= this.#settings.version || room === undefined || !equalBytes(roomId, room.roomId)) return
    if (!members.has(session.peer.keyId) || now - (session.settingsAskedAt ?? Number.NEGATIVE_INFINITY) < AGAIN_MS) return
    session.settingsAskedAt = now
    this.#send(session)
  }

  tick(): void {
    const core = this.#core
    if (this.#next === undefined || core.now < this.#next) return
    const missing = [...core.members.keys()].some((keyId) => keyId !== core.me && this.#states.get(keyId) === undefined)
    if (!missing || this.#tries >= MAX_TRIES) {
      this.#next = undefined
      return
    }
    const links = this.#links()
    const link = links[this.#tries % Math.max(1, links.length)]
    this.#tries++
    this.#next = core.now + AGAIN_MS
    if (link !== undefined) this.#send(link)
  }

  wake(): Milliseconds | undefined {
    return this.#next
  }

  reset(): void {
    this.#next = undefined
  }

  #send({ id }: RoomSession): void {
    const settingsVersion = this.#settings.version
    this.#core.act({ type: "send", session: id, message: { t: "room.sync?", have: this.#states.versions(), settingsVersion } })
  }
}
