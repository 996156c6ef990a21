/** Sees when a link as a whole is in trouble: all video lanes suspect beside a living audio lane, or nothing answered at all (LL-16). */

/** The same trouble is told again this often while it lasts, ms. */
const SUSPECT_AGAIN_MS = 5_000
/** Silence that is worth telling, and how often it is told again, ms. */
const SILENT_MS = 1_500
const SILENT_AGAIN_MS = 2_000
/** Without an answer for this long the path is at fault and not a lane, ms. */
const PATH_DOWN_MS = 700

export type LinkAlarm = { type: "lanes-suspect" } | { type: "path-silent"; silentMs: number }

interface LaneState {
  /** Open video lanes, and those among them that are in full use. */
  video: number
  videoInUse: number
  /** Open video lanes that are suspect or dead. */
  videoSuspect: number
  audioLives: boolean
}

export class LinkTrouble {
  #unansweredSince: number | undefined
  #silentToldAt = Number.NEGATIVE_INFINITY
  #suspectToldAt = Number.NEGATIVE_INFINITY
  #baseOnly = false

  /** Nothing but base layers is to be sent: the video lanes are in trouble, or just coming back. */
  get baseOnly(): boolean {
    return this.#baseOnly
  }

  /** Nothing is answered on any lane: no single one is to blame. */
  pathDown(now: number): boolean {
    return this.#unansweredSince !== undefined && now - this.#unansweredSince >= PATH_DOWN_MS
  }

  /** A message went out that the peer answers with a report; any lane. */
  sent(now: number): void {
    this.#unansweredSince ??= now
  }

  /** A report came. */
  answered(): void {
    this.#unansweredSince = undefined
    this.#silentToldAt = Number.NEGATIVE_INFINITY
  }

  /** @param awayMs how long this thread did not run: nobody could answer us then */
  tick(now: number, lanes: LaneState, awayMs: number): LinkAlarm[] {
    if (this.#unansweredSince !== undefined) this.#unansweredSince = Math.min(now, this.#unansweredSince + awayMs)
    return [...this.#lanes(now, lanes), ...this.#silence(now)]
  }

  #lanes(now: number, { video, videoInUse, videoSuspect, audioLives }: LaneState): LinkAlarm[] {
    if (videoInUse > 0) this.#baseOnly = false
    if (video === 0 || videoSuspect < video || !audioLives) return []
    this.#baseOnly = true
    if (now - this.#suspectToldAt < SUSPECT_AGAIN_MS) return []
    this.#suspectToldAt = now
    return [{ type: "lanes-suspect" }]
  }

  #silence(now: number): LinkAlarm[] {
    if (this.#unansweredSince === undefined) return []
    const silentMs = now - this.#unansweredSince
    if (silentMs < SILENT_MS || now - this.#silentToldAt < SILENT_AGAIN_MS) return []
    this.#silentToldAt = now
    return [{ type: "path-silent", silentMs }]
  }
}
