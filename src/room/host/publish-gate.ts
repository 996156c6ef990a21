/** Lets through the streams of those who may publish (RM-18). Where the room asks for a token, a state without one lists nothing for us. */
import type { ParticipantState } from "../../wire/index.ts"
import type { Bytes, PeerKeyId } from "../../wire/types.ts"

interface PublishGateHost {
  /** Whether the room asks for tokens now. */
  asks(): boolean
  /** Whether this chain shows the member's right to publish, now. */
  mayPublish(keyId: PeerKeyId, chain: Bytes | undefined): Promise<boolean>
  apply(keyId: PeerKeyId, state: ParticipantState): void
}

interface Held {
  state: ParticipantState
  /** Whether its tracks were applied last; undefined: nothing was. */
  open: boolean | undefined
  run: number
}

export class PublishGate {
  readonly #host: PublishGateHost
  readonly #held = new Map<PeerKeyId, Held>()

  constructor(host: PublishGateHost) {
    this.#host = host
  }

  /** The latest state of a member. */
  state(keyId: PeerKeyId, state: ParticipantState): void {
    const run = (this.#held.get(keyId)?.run ?? 0) + 1
    const held: Held = { state, open: undefined, run }
    this.#held.set(keyId, held)
    this.#judge(keyId, held)
  }

  /** What decides may have changed: settings, floors, the time. */
  again(): void {
    for (const [keyId, held] of this.#held) this.#judge(keyId, held)
  }

  forget(keyId: PeerKeyId): void {
    this.#held.delete(keyId)
  }

  /** Latest states, whatever their right. */
  get states(): ReadonlyMap<PeerKeyId, ParticipantState> {
    return new Map([...this.#held].map(([keyId, { state }]) => [keyId, state]))
  }

  #judge(keyId: PeerKeyId, held: Held): void {
    if (!this.#host.asks()) {
      this.#settle(keyId, held, true)
      return
    }
    const run = ++held.run
    void this.#host.mayPublish(keyId, held.state.chain).then((open) => {
      // Somebody who left, a newer state or a later question: this answer is not wanted any more.
      if (this.#held.get(keyId) === held && held.run === run && this.#host.asks()) this.#settle(keyId, held, open)
    })
  }

  #settle(keyId: PeerKeyId, held: Held, open: boolean): void {
    if (held.open === open) return
    held.open = open
    this.#host.apply(keyId, open ? held.state : { ...held.state, tracks: [] })
  }
}
