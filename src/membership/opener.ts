/** Opens what members say inside the group. A newcomer lets it wait until it knows who is behind each leaf (RM-7 step 11). */
import type { Flooded } from "./carrier.ts"
import type { Life } from "./life.ts"

/** Messages kept while a newcomer checks the leaves. */
const MAX_UNOPENED = 256

export class Opener {
  readonly #life: Life
  #waiting: Flooded[] = []

  constructor(life: Life) {
    this.#life = life
  }

  /** A message of the present or a kept epoch. */
  open(item: Flooded): void {
    const { core, leaves, talk } = this.#life
    if (leaves.verifying) {
      if (this.#waiting.length < MAX_UNOPENED) this.#waiting.push(item)
      else core.count("app-unopened-dropped")
      return
    }
    if (item.head.content === "proposal") this.#proposal(item)
    else talk.open(item)
  }

  /** Leaves were verified: if all are, what waited is looked at; its epoch may be over by now. */
  again(): void {
    if (this.#life.leaves.verifying) return
    const waiting = this.#waiting
    this.#waiting = []
    for (const item of waiting) this.#life.track.take(item)
  }

  reset(): void {
    this.#waiting = []
  }

  /** The only proposal of this protocol is a member's own Remove (RM-15). */
  #proposal(item: Flooded): void {
    const life = this.#life
    const { core, carrier } = life
    core.run("openProposal", { bytes: item.message.bytes }, ({ sender, kind }) => {
      carrier.forward(item, true, core.view?.epoch ?? 0n)
      if (kind === "leave" && sender !== core.me) life.wantsToLeave(sender)
      else life.heardFrom(sender, item.at)
    })
  }
}
