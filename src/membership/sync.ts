/** Fetches the states of members that are not known yet, and settings that passed this peer by (RM-7 step 10, RM-19). */
import { equalBytes } from "../wire/bytes.ts"
import type { ControlMessageOf } from "../wire/control-json.ts"
import type { Milliseconds, U64 } from "../wire/types.ts"
import { earliest, type RoomCore } from "./core.ts"
import type { RoomSession } from "./sessions.ts"
import type { SettingsBook } from "./settings.ts"
import type { StateBook } from "./state-book.ts"
import type { SessionId } from "./types.ts"

const AGAIN_MS = 2_000
const MAX_TRIES = 5

export class StateSync {
  readonly #core: RoomCore
  readonly #states: StateBook
  readonly #settings: SettingsBook
  readonly #links: () => RoomSession[]
  #next: Milliseconds | undefined
  #tries = 0
  #askedAt: Milliseconds = Number.NEGATIVE_INFINITY
  /** Sessions to be asked, one after the other: new ones, and those that show these settings. Bounded by the sessions. */
  readonly #worth = new Map<SessionId, U64 | "new">()

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

  /**
   * A session with a member is there: it may know more than came here. A newcomer opens many at once, and each of its neighbours would answer
   * with every state there is: they are asked one after the other, and the later ones have nothing to add.
   */
  met(session: RoomSession): void {
    this.expect()
    this.#worth.set(session.id, "new")
    this.#askNext()
  }

  /** Members came: their states are expected soon, and asked for when they stay away. */
  expect(): void {
    this.#tries = 0
    this.#next = this.#core.now + AGAIN_MS
  }

  /** A neighbour shows newer settings than ours: they were lost on the way here, so it is asked for them when its turn comes. */
  shown(session: RoomSession, { roomId, settingsVersion }: ControlMessageOf<"room.alive">): void {
    const { room, members } = this.#core
    if (settingsVersion <= this.#settings.version || room === undefined || !equalBytes(roomId, room.roomId)) return
    if (!members.has(session.peer.keyId)) return
    this.#worth.set(session.id, settingsVersion)
    this.#askNext()
  }

  closed(session: SessionId): void {
    this.#worth.delete(session)
  }

  tick(): void {
    const core = this.#core
    this.#askNext()
    if (this.#next === undefined || core.now < this.#next) return
    const missing = [...core.members.keys()].some((keyId) => keyId !== core.me && this.#states.get(keyId) === undefined)
    if (!missing || this.#tries >= MAX_TRIES) {
      this.#next = undefined
      return
    }
    if (core.now - this.#askedAt < AGAIN_MS) {
      this.#next = this.#askedAt + AGAIN_MS
      return
    }
    const links = this.#links()
    const link = links[this.#tries % Math.max(1, links.length)]
    this.#tries++
    this.#next = core.now + AGAIN_MS
    if (link !== undefined) this.#send(link)
  }

  wake(): Milliseconds | undefined {
    return this.#worth.size === 0 ? this.#next : earliest(this.#next, this.#askedAt + AGAIN_MS)
  }

  reset(): void {
    this.#next = undefined
    this.#worth.clear()
    this.#askedAt = Number.NEGATIVE_INFINITY
  }

  /** Asks the one that was asked longest ago, if ever; of several the one that came first. */
  #askNext(): void {
    const { sessions, now } = this.#core
    if (this.#worth.size === 0 || now - this.#askedAt < AGAIN_MS) return
    let next: RoomSession | undefined
    for (const [id, why] of this.#worth) {
      const session = sessions.get(id)
      if (session === undefined || (why !== "new" && why <= this.#settings.version)) this.#worth.delete(id)
      else if (next === undefined || (session.syncedAt ?? 0) < (next.syncedAt ?? 0)) next = session
    }
    // Newer settings are shown again with the next sign of life, if this comes to nothing.
    if (next !== undefined) this.#send(next)
  }

  #send(session: RoomSession): void {
    const settingsVersion = this.#settings.version
    this.#worth.delete(session.id)
    session.syncedAt = this.#core.now
    this.#askedAt = this.#core.now
    this.#core.act({
      type: "send",
      session: session.id,
      message: { t: "room.sync?", have: this.#states.versions(), settingsVersion },
    })
  }
}
