/** Chunks that came before, told before they are handed on and without the content key (D-19.7). */
import { REPLAY_WIDTH_LANES, ReplayWindow } from "../seal/outer/index.ts"
import type { U64 } from "../wire/types.ts"

/** Epochs remembered per parent: the current one and the one before (av-mesh 8.9). */
const MAX_EPOCHS = 2
/** Parents remembered per stream; nobody has more at a time. */
const MAX_PARENTS = 8

/**
 * One per stream. A relay cannot tell a good chunk from one that its parent made up, so every parent has windows of its own: numbers
 * that are far ahead, or epochs that do not exist, make only the liar's own chunks look old.
 */
export class RelayDuplicates {
  readonly #parents = new Map<string, Map<U64, ReplayWindow>>()

  /** `true`: nobody has brought this chunk yet, and it is not too old to tell. */
  admit(parent: string, epoch: U64, chunkSeq: U64): boolean {
    for (const [other, windows] of this.#parents) {
      if (other !== parent && windows.get(epoch)?.check(chunkSeq) === "Duplicate") return false
    }
    return this.#window(parent, epoch).admit(chunkSeq) === "Fresh"
  }

  /** The parent is none any more, or what it brought was not genuine: others may bring the same numbers again. */
  forget(parent: string): void {
    this.#parents.delete(parent)
  }

  #window(parent: string, epoch: U64): ReplayWindow {
    let windows = this.#parents.get(parent)
    if (windows === undefined) {
      windows = new Map()
      this.#parents.set(parent, windows)
      dropFirst(this.#parents, MAX_PARENTS)
    }
    let window = windows.get(epoch)
    if (window === undefined) {
      window = new ReplayWindow(REPLAY_WIDTH_LANES)
      windows.set(epoch, window)
      dropFirst(windows, MAX_EPOCHS)
    }
    return window
  }
}

function dropFirst(map: Map<unknown, unknown>, max: number): void {
  if (map.size > max) map.delete(map.keys().next().value)
}
