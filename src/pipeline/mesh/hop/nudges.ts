/**
 * Empty padding that follows what was sent on a lane where messages are lost. It shows the other end at once what is missing there,
 * and above all it shows it to the association below: that one takes a chunk for lost only after three later ones, keeps its place
 * in the window until then, and when the window is full of such chunks it stands still until its timer ends, 400 ms.
 */

/** From this loss on, 0..1, whatever was sent is followed by padding; below it only what lost something. */
const ALWAYS_FROM = 0.04
/** From this loss on twice: a loss among the padding must not count. */
const TWICE_FROM = 0.07
/** So much later, ms, and so often after a loss. */
const AFTER_MS = 5
const AFTER_LOSS = 2

export class Nudges {
  readonly #lanes = new Map<number, { at: number; left: number }>()

  /** A message went out on this lane. @param loss of what we send, 0..1 */
  sent(laneId: number, loss: number, now: number): void {
    if (loss >= ALWAYS_FROM) this.#lanes.set(laneId, { at: now + AFTER_MS, left: loss >= TWICE_FROM ? 2 : 1 })
  }

  /** The other end misses something on this lane. */
  lost(laneId: number, loss: number, now: number): void {
    if (loss < ALWAYS_FROM) this.#lanes.set(laneId, { at: now, left: AFTER_LOSS })
  }

  /** The lanes that get padding now. */
  due(now: number): number[] {
    const due: number[] = []
    for (const [laneId, lane] of this.#lanes) {
      if (now < lane.at) continue
      due.push(laneId)
      lane.at = now + AFTER_MS
      lane.left -= 1
      if (lane.left <= 0) this.#lanes.delete(laneId)
    }
    return due
  }
}
