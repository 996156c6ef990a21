/** Keeps the streams of one publisher in step: one moment of capture is seen and heard at the same time. */

/** Sound waits for a slower picture at most this long; a picture that is slower still is shown when it comes. */
const MAX_AUDIO_HOLD_US = 300_000
/**
 * Picture and sound need not be together to the millisecond: sound that comes up to 60 ms after its picture, or 40 ms before it, is
 * not noticed (EBU R37), and neither has to wait for the other within these bounds. Pictures may use theirs up by our reckoning:
 * it leaves out what pictures take from camera or canvas to us beyond what sound takes, about 7 ms
 * (`npm run bench:skew` measures from end to end).
 */
const PICTURE_AHEAD_US = 41_000
const SOUND_AHEAD_US = 25_000
/** Without a report for this long, sound is not the master any more. */
const FRESH_US = 700_000
const REPORTS = 24
/** Reports of the playout node older than this say nothing about its present delay. */
const REPORT_WINDOW_US = 450_000

interface Wish {
  kind: "audio" | "video"
  offsetUs: number
}

interface Master {
  reports: { atUs: number; offsetUs: number }[]
}

/**
 * An *offset* is local time of presentation minus `pts`, in µs; it includes the unknown difference of the two clocks, which is
 * the same for all streams of one publisher and so cancels out. Each stream states the offset it needs. Sound follows its wish
 * slowly and stays near the pictures; pictures follow their wish and stay near what is really heard.
 */
export class SyncGroup {
  readonly #wishes = new Map<string, Wish>()
  readonly #masters = new Map<string, Master>()

  /** Stream `key` can present everything in time at this offset. */
  wish(key: string, kind: "audio" | "video", offsetUs: number): void {
    this.#wishes.set(key, { kind, offsetUs })
  }

  remove(key: string): void {
    this.#wishes.delete(key)
    this.#masters.delete(key)
  }

  get size(): number {
    return this.#wishes.size
  }

  /** The playout node says that the sound of `ptsUs` is heard at `atUs`. */
  heard(key: string, ptsUs: number, atUs: number): void {
    let master = this.#masters.get(key)
    if (master === undefined) {
      master = { reports: [] }
      this.#masters.set(key, master)
    }
    master.reports.push({ atUs, offsetUs: atUs - ptsUs })
    if (master.reports.length > REPORTS) master.reports.shift()
  }

  /** Sound of this stream stopped or was re-timed: what was heard before says nothing any more. */
  forget(key: string): void {
    this.#masters.delete(key)
  }

  /** The offset sound should take; undefined while no stream has stated a wish. */
  targetUs(): number | undefined {
    const audio = this.#latest("audio")
    const video = this.#latest("video")
    if (audio === undefined) return video
    if (video === undefined) return audio
    return Math.min(Math.max(audio, video - SOUND_AHEAD_US), audio + MAX_AUDIO_HOLD_US)
  }

  /** The offset one audio stream really plays at; undefined without a fresh report. */
  heardUs(key: string, nowUs: number): number | undefined {
    const master = this.#masters.get(key)
    const newest = master?.reports.at(-1)
    if (master === undefined || newest === undefined || nowUs - newest.atUs > FRESH_US) return undefined
    // A report may be delivered late but never early: the smallest recent offset is the nearest to the truth.
    let least = newest.offsetUs
    for (const report of master.reports) {
      if (newest.atUs - report.atUs <= REPORT_WINDOW_US) least = Math.min(least, report.offsetUs)
    }
    return least
  }

  /** The offset pictures take: their own wish, or later where that would be too far ahead of what is heard. */
  videoUs(nowUs: number): number | undefined {
    const video = this.#latest("video")
    const sound = this.soundUs(nowUs) ?? this.#latest("audio")
    if (sound === undefined) return video
    const earliest = sound - PICTURE_AHEAD_US
    return video === undefined ? sound : Math.max(video, earliest)
  }

  /** The offset at which sound of this group is heard now; undefined while it is silent. */
  soundUs(nowUs: number): number | undefined {
    let least: number | undefined
    for (const key of this.#masters.keys()) {
      const offset = this.heardUs(key, nowUs)
      if (offset !== undefined && (least === undefined || offset < least)) least = offset
    }
    return least
  }

  #latest(kind: Wish["kind"]): number | undefined {
    let latest: number | undefined
    for (const wish of this.#wishes.values()) {
      if (wish.kind === kind && (latest === undefined || wish.offsetUs > latest)) latest = wish.offsetUs
    }
    return latest
  }
}
