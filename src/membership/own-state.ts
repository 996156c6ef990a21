/** What this member says about itself: collects changes, signs them, and sends them no more often than allowed (RM-19). */
import { isAvError } from "../wire/errors.ts"
import { encodeParticipantState, nextStateVersion, type ParticipantState, rttClass } from "../wire/participant-state.ts"
import { encodeRoomMessage } from "../wire/room-message.ts"
import type { Milliseconds, NodeId, U64 } from "../wire/types.ts"
import type { Carrier } from "./carrier.ts"
import type { RoomCore } from "./core.ts"
import type { StateBook } from "./state-book.ts"
import type { LocalState } from "./types.ts"

/** At most 4 changes per second. */
const GAP_MS = 250
/** Changes of `links` alone. */
const LINKS_GAP_MS = 10_000

export class OwnState {
  readonly #core: RoomCore
  readonly #carrier: Carrier
  readonly #book: StateBook
  readonly #ready: () => boolean
  #local: LocalState
  #version: U64 | undefined
  #rtt: ReadonlyMap<NodeId, Milliseconds> = new Map()
  #dirty = true
  #linksDirty = false
  #sentAt = Number.NEGATIVE_INFINITY
  #signing = false

  /** `ready`: whether this peer may seal messages now. */
  constructor(core: RoomCore, carrier: Carrier, book: StateBook, ready: () => boolean) {
    this.#core = core
    this.#carrier = carrier
    this.#book = book
    this.#ready = ready
    this.#local = { name: core.options.displayName ?? "", tracks: [], relay: true }
  }

  /** `urgent`: a mute, which must not wait. */
  set(local: LocalState, urgent: boolean): void {
    this.#local = local
    this.#dirty = true
    if (urgent) this.#sentAt = Number.NEGATIVE_INFINITY
    this.tick()
  }

  rtt(rttMs: ReadonlyMap<NodeId, Milliseconds>): void {
    this.#rtt = rttMs
    this.#linksDirty = true
  }

  linksChanged(): void {
    this.#linksDirty = true
  }

  /** The room or the leaf is another one: the state is signed and sent again. */
  again(): void {
    this.#dirty = true
    this.#signing = false
    this.#sentAt = Number.NEGATIVE_INFINITY
  }

  tick(): void {
    const due = this.wake()
    if (due !== undefined && due <= this.#core.now) this.#publish()
  }

  wake(): Milliseconds | undefined {
    if (this.#signing || !this.#ready()) return undefined
    if (this.#dirty) return Math.max(this.#sentAt + GAP_MS, 0)
    return this.#linksDirty ? this.#sentAt + LINKS_GAP_MS : undefined
  }

  /** The last word: a state without streams (RM-15). `done` comes when it is on its way, or cannot be sent. */
  farewell(done: () => void): void {
    this.#local = { ...this.#local, tracks: [] }
    this.#signing = false
    if (!this.#ready()) {
      done()
      return
    }
    this.#publish(done)
  }

  #publish(done: () => void = () => {}): void {
    const core = this.#core
    const { room } = core
    if (room === undefined) {
      done()
      return
    }
    this.#dirty = false
    this.#linksDirty = false
    this.#sentAt = core.now
    this.#version = nextStateVersion(this.#version, core.now)
    let bytes: Uint8Array
    try {
      bytes = encodeParticipantState(this.#compose(this.#version))
    } catch (error) {
      if (!isAvError(error)) throw error
      core.emit({ type: "warning", error })
      done()
      return
    }
    this.#signing = true
    core.run(
      "signState",
      { roomId: room.roomId, keyId: core.me, state: bytes },
      (sig) => {
        this.#signing = false
        const verdict = this.#book.offer({ sender: core.me, keyId: core.me, bytes, sig, signatureOk: true })
        const held = this.#book.get(core.me)
        if (verdict === "accepted" && held !== undefined) core.emit({ type: "state", keyId: core.me, state: held.state })
        this.#carrier.say(encodeRoomMessage({ t: "room.state", state: bytes, sig }), {
          done,
          failed: (error) => {
            core.count(error.code)
            this.#dirty = true
            done()
          },
        })
      },
      (error) => {
        this.#signing = false
        this.#dirty = true
        core.count(error.code)
        done()
      },
    )
  }

  #compose(version: U64): ParticipantState {
    const links: [NodeId, number][] = []
    for (const { peer, kind } of this.#core.sessions.all()) {
      if (kind !== "direct" || !this.#core.members.has(peer.keyId) || links.some(([node]) => node === peer.nodeId)) continue
      links.push([peer.nodeId, rttClass(this.#rtt.get(peer.nodeId) ?? 1)])
    }
    return { ...this.#local, version, links: links.slice(0, 256) }
  }
}
