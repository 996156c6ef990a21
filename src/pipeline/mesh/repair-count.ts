/**
 * Counts the frames that repair symbols saved. With several lanes a repair symbol often comes before the last source symbol,
 * so a frame counts only when the source symbols it did without have not come within a moment; later ones were sent again.
 */
import type { MediaPayload } from "../../wire/media-payload.ts"
import { FRAME_WINDOW } from "./frame-joiner.ts"

/** Lanes are apart by less than this, ms. */
const OVERTAKING_MS = 30

export class RepairCount {
  frames = 0
  /** Source symbols that were rebuilt and have not come, by frame; in order of completion. */
  readonly #missing = new Map<number, { count: number; since: number }>()

  /** A frame was completed; `rebuilt` of its source symbols were not there. */
  completed(frameId: number, rebuilt: number, now: number): void {
    this.#missing.set(frameId, { count: rebuilt, since: now })
    if (this.#missing.size <= FRAME_WINDOW) return
    const [oldest, { count }] = this.#missing.entries().next().value!
    this.#missing.delete(oldest)
    if (count > 0) this.frames += 1
  }

  /** A symbol of a frame that is complete or given up. Its body starts with `symbol_id` and `n_source` (D-31). */
  late({ frameId, body }: MediaPayload, now: number): void {
    const missing = this.#missing.get(frameId)
    if (missing === undefined || now - missing.since > OVERTAKING_MS || body.length < 4) return
    const symbolId = (body[0]! << 8) | body[1]!
    const nSource = (body[2]! << 8) | body[3]!
    if (symbolId < nSource) missing.count -= 1
  }
}
