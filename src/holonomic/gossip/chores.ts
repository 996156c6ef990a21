/** What a node does again and again: announce, converge, cut witnesses, let contents decay, make room. */
import type { Milliseconds } from "../../wire/types.ts"
import { decayStoreOf } from "../content/decay-port.ts"
import { relievePressure } from "../content/pressure.ts"
import { ConsentDecayScheduler } from "../retention/decay-scheduler.ts"
import { isWorse } from "../retention/headroom.ts"
import type { AutoFold } from "./auto-fold.ts"
import type { ClaimGossip } from "./claim-gossip.ts"
import type { ContentCare } from "./content-care.ts"
import { type NodeContext, unixMs } from "./context.ts"
import type { LoopName } from "./loops.ts"

interface ChoreParts {
  care: ContentCare
  claims: ClaimGossip
  autoFold: AutoFold | undefined
}

export class Chores {
  readonly #context: NodeContext
  readonly #parts: ChoreParts
  /** Content of others is not served: what is left of the device is for its owner. */
  paused = false

  constructor(context: NodeContext, parts: ChoreParts) {
    this.#context = context
    this.#parts = parts
  }

  async run(name: LoopName, nowMs: Milliseconds): Promise<void> {
    switch (name) {
      case "publisher":
        return this.#parts.care.announceAll(nowMs)
      case "converger":
        for (const ref of await this.#context.shelf.store.retryDeletions(unixMs(nowMs))) {
          this.#context.emit({ type: "hard-delete-overdue", ref })
        }
        return this.#parts.care.convergeAll(nowMs)
      case "witness":
        return this.#parts.claims.cut(nowMs)
      case "decay": {
        const scheduler = new ConsentDecayScheduler(decayStoreOf(this.#context.shelf.store), {
          changed: (ref, tier) => {
            this.#context.emit({ type: "tier-changed", ref, tier })
            this.#parts.care.announce(ref, nowMs)
          },
          overdue: (error) => this.#context.emit({ type: "overdue-backlog", error }),
        })
        await scheduler.tick(unixMs(nowMs))
        await this.#parts.autoFold?.tick(nowMs)
        return
      }
      case "headroom":
        return this.#relieve(nowMs)
    }
  }

  async #relieve(nowMs: Milliseconds): Promise<void> {
    const { shelf } = this.#context
    const dropped = await relievePressure(shelf.store, (ref) => {
      const plan = this.#parts.care.lastPlan(ref)
      return { consentUnknown: plan?.evict === "unknown", hasRare: (plan?.rare.length ?? 0) > 0 }
    })
    // Content of others is not served from `stop` on: what is left of the device is for its owner.
    this.paused = isWorse(await shelf.store.headroom(), "crit")
    if (dropped > 0) this.#parts.care.announceAll(nowMs)
  }
}
