/** Tells which neighbours and subscriptions live and which fell silent. */
import type { Inbound, Inflow } from "../mesh/hop/inbound.ts"
import type { MeshLink } from "../mesh/hop/link.ts"
import type { MeshEvent } from "../mesh/types.ts"

/** A link is told to be alive this often, in ms. */
const HEARD_EVERY_MS = 1_000
/** Silence of a subscription that is worth telling, how often it is told again, and how often that is looked at; ms. */
const SILENT_MS = 1_500
const SILENT_AGAIN_MS = 2_000
const SILENCE_CHECK_MS = 100

export class SignsOfLife {
  readonly #io: { now(): number; emit(event: MeshEvent): void }
  readonly #heardAt = new Map<MeshLink, number>()
  readonly #silentToldAt = new WeakMap<Inflow, number>()
  #checkedAt = Number.NEGATIVE_INFINITY

  constructor(io: { now(): number; emit(event: MeshEvent): void }) {
    this.#io = io
  }

  /** Something authentic came, a keep-alive included. */
  heard(inflow: Inflow): void {
    const now = this.#io.now()
    this.#silentToldAt.delete(inflow)
    if (!inflow.started) {
      inflow.started = true
      this.#io.emit({ type: "stream-started", streamId: inflow.streamId, from: inflow.peer })
    }
    if (now - (this.#heardAt.get(inflow.link) ?? Number.NEGATIVE_INFINITY) < HEARD_EVERY_MS) return
    this.#heardAt.set(inflow.link, now)
    this.#io.emit({ type: "heard", peer: inflow.peer })
  }

  forget(link: MeshLink): void {
    this.#heardAt.delete(link)
  }

  tick(now: number, inbound: Pick<Inbound, "all" | "of" | "retire">): void {
    if (now - this.#checkedAt < SILENCE_CHECK_MS) return
    this.#checkedAt = now
    for (const inflow of inbound.all()) {
      const silentMs = now - inflow.heardAt
      const told = this.#silentToldAt.get(inflow)
      if (silentMs >= SILENT_MS && isReplaced(inflow, inbound.of(inflow.streamKey), now)) {
        inbound.retire(inflow)
        continue
      }
      if (silentMs < SILENT_MS || (told !== undefined && now - told < SILENT_AGAIN_MS)) continue
      this.#silentToldAt.set(inflow, now)
      this.#io.emit({ type: "stream-silent", streamId: inflow.streamId, from: inflow.peer, silentMs })
    }
  }
}

/** The same peer brings the stream over another link. */
function isReplaced(inflow: Inflow, all: readonly Inflow[], now: number): boolean {
  return all.some((other) => other !== inflow && other.peer === inflow.peer && other.started && now - other.heardAt < SILENT_MS)
}
