/** How good a stream is, from 5 (nothing to complain of) to 0 (nothing comes), and why. Pure: figures and time in, a score out. */
import type { FreezeCause, Quality, QualityLevel, QualityReason } from "./types.ts"

/** What happened to a received picture in one look, about a second. */
export interface PictureSample {
  /** Length of the look. */
  ms: number
  /** Frames that arrived whole, and frames given up. */
  frames: number
  lostFrames: number
  /** Arrived, but not within 150 ms of the fastest of the last minute. */
  lateFrames: number
  /** Arrived, but never shown: too late for its moment, or a reference was missing. */
  skippedFrames: number
  shownFrames: number
  /** Pictures a second as announced, as far as the layers asked for allow; undefined when any pace is right, as for a screen. */
  expectedFps: number | undefined
  /** Time spent in freezes that ended in this look, and how long the picture has stood still now. */
  freezeMs: number
  frozenMs: number
  /** Cause of that, see {@link freezeCause}. */
  cause: FreezeCause
  decodeMs: number
  rttMs: number | undefined
}

/** What happened to received sound in one look. */
interface SoundSample {
  ms: number
  /** Packets that arrived. A sender that is silent sends few; none at all for seconds is a dead stream. */
  frames: number
  silentMs: number
  concealedMs: number
  /** Target of the jitter buffer. */
  bufferMs: number
  rttMs: number | undefined
}

/** What happened to a stream that this page sends, to its best receiver. */
export interface SendSample {
  kind: "audio" | "video"
  /** Pictures a second that the source was asked for, and that it gave; undefined for sound and screens. */
  askedFps: number | undefined
  sourceFps: number
  /** Share of the time between two pictures that the encoder needs for one. */
  encoderLoad: number
  /** Share of pictures that found the encoder busy. */
  droppedShare: number
  /** Steps of size or frame rate that are held back because the encoder fell behind. */
  heldBack: number
  /** What the links allow, of what the encoder would make. */
  allowedShare: number
  /** 0..1, and queueing delay and round trip of the link in ms. */
  loss: number
  queueMs: number
  rttMs: number | undefined
}

/** One look's verdict, before smoothing. */
interface Verdict {
  score: number
  reason: QualityReason
}

type Curve = readonly (readonly [at: number, penalty: number])[]

/*
 * Points off the five, linear in between. Orientation: 1 % of frames lost or late is hardly seen, 5 % is annoying; speech with
 * 3 % made up is still easy to follow, with 10 % it is work; a conversation begins to suffer at about 300 ms there and back.
 */
const LOST: Curve = [[0.003, 0], [0.02, 1], [0.05, 2], [0.15, 3.5], [0.4, 4]] // biome-ignore format: a table
const LATE: Curve = [[0.02, 0], [0.1, 1], [0.4, 2]] // biome-ignore format: a table
const FROZEN: Curve = [[0, 0], [0.15, 1.5], [0.4, 3], [1, 4]] // biome-ignore format: a table
const CONCEALED: Curve = [[0.005, 0], [0.03, 1], [0.08, 2], [0.2, 3.2], [0.5, 4]] // biome-ignore format: a table
const ROUND_TRIP: Curve = [[300, 0], [600, 1], [1_500, 2.5]] // biome-ignore format: a table
const BUFFER: Curve = [[200, 0], [500, 1.5]] // biome-ignore format: a table
const DECODING: Curve = [[1, 0], [2, 1], [4, 2.5]] // biome-ignore format: a table
const SKIPPED: Curve = [[0.05, 0], [0.2, 1], [0.5, 2.5], [1, 4]] // biome-ignore format: a table
const ENCODING: Curve = [[1.2, 0], [2, 1], [4, 2]] // biome-ignore format: a table
const DROPPED: Curve = [[0.1, 0], [0.3, 1], [0.6, 2.5]] // biome-ignore format: a table
const HELD_BACK: Curve = [[0, 0], [1, 0.7], [3, 2]] // biome-ignore format: a table
/** Of what is missing from the whole: pace of the pictures, and bits the network does not take. */
const SLOW_SOURCE: Curve = [[0.25, 0], [0.5, 1], [0.8, 2.5], [1, 4]] // biome-ignore format: a table
const SQUEEZED: Curve = [[0.3, 0], [0.6, 1], [0.85, 2.5], [0.97, 4]] // biome-ignore format: a table
const QUEUE: Curve = [[80, 0], [250, 1], [800, 2.5]] // biome-ignore format: a table

/** A picture that has stood still, or sound that has been away this long, is as bad as it gets; after the second it is dead. */
const BAD_MS = 1_000
const DEAD_MS = 3_000
/** Below this a complaint is not worth a reason. */
const WORTH_NAMING = 0.5

export function assessPicture(sample: PictureSample): Verdict {
  const { frames, lostFrames, lateFrames, skippedFrames, frozenMs, freezeMs, cause, decodeMs, expectedFps, ms } = sample
  if (frozenMs > BAD_MS) return { score: frozenMs > DEAD_MS ? 0 : 1, reason: named(cause) }
  const due = frames + lostFrames
  const fps = (sample.shownFrames * 1_000) / ms
  const frozen = curve(FROZEN, (freezeMs + frozenMs) / ms)
  const network = Math.max(
    curve(LOST, share(lostFrames, due)),
    curve(LATE, share(lateFrames, due)),
    curve(ROUND_TRIP, sample.rttMs ?? 0),
    cause === "network" ? frozen : 0,
    // What was skipped because something before it was lost is the network's doing too.
    lostFrames > 0 ? curve(SKIPPED, share(skippedFrames, due)) : 0,
  )
  const cpu = Math.max(
    curve(DECODING, (decodeMs * fps) / 1_000),
    lostFrames === 0 ? curve(SKIPPED, share(skippedFrames, due)) : 0,
    cause === "cpu" ? frozen : 0,
  )
  const slow = expectedFps === undefined ? 0 : curve(SLOW_SOURCE, 1 - ((due - lateFrames) * 1_000) / ms / expectedFps)
  // Pictures that the network lost or delayed are missing as well: then it is not the source that is slow.
  const source = Math.max(network > 0 ? 0 : slow, cause === "source" ? frozen : 0)
  return verdict({ network, cpu, source })
}

export function assessSound({ silentMs, ms, concealedMs, bufferMs, rttMs }: SoundSample): Verdict {
  if (silentMs > BAD_MS) return { score: silentMs > DEAD_MS ? 0 : 1, reason: "network" }
  const network = Math.max(curve(CONCEALED, concealedMs / ms), curve(BUFFER, bufferMs), curve(ROUND_TRIP, rttMs ?? 0))
  return verdict({ network, cpu: 0, source: 0 })
}

export function assessSending(sample: SendSample): Verdict {
  const { askedFps, sourceFps, kind } = sample
  const network = Math.max(
    kind === "video" ? curve(SQUEEZED, 1 - sample.allowedShare) : 0,
    curve(LOST, sample.loss / 2),
    curve(QUEUE, sample.queueMs),
    curve(ROUND_TRIP, sample.rttMs ?? 0),
  )
  const cpu =
    kind === "video"
      ? Math.max(curve(ENCODING, sample.encoderLoad), curve(DROPPED, sample.droppedShare), curve(HELD_BACK, sample.heldBack))
      : 0
  const source = askedFps === undefined ? 0 : curve(SLOW_SOURCE, 1 - sourceFps / askedFps)
  return verdict({ network, cpu, source })
}

/** What is known about a freeze that ended, or has been going on, since the last look. */
export interface FreezeFacts {
  /** The page was hidden in between: nobody looked, and the browser may have slowed it down. */
  hidden: boolean
  /** How much of the freeze passed at the publisher between the two pictures around it, 0..1; undefined while it goes on. */
  capturedShare: number | undefined
  lostFrames: number
  /** Frames that arrived since the last look. */
  arrived: number
  /** Time to decode one picture, and time between two of them, ms. */
  decodeMs: number
  intervalMs: number
  /** Something else of the same sender came in all the time; undefined when there is nothing else to judge by. */
  othersArrive: boolean | undefined
}

/** Who is to blame for a picture that stood still. */
export function freezeCause(facts: FreezeFacts): FreezeCause {
  const { hidden, capturedShare, lostFrames, arrived, decodeMs, intervalMs, othersArrive } = facts
  if (hidden) return "hidden"
  if (lostFrames > 0) return "network"
  if (capturedShare === undefined) {
    // Frames come and are not shown.
    if (arrived > 2) return "cpu"
    return othersArrive ? "source" : "network"
  }
  // As much time passed between the two captures as between their showing, and no frame is missing: there were none.
  if (capturedShare > 0.7) return "source"
  return decodeMs > 2 * intervalMs ? "cpu" : "network"
}

/** A fall counts at once; what is gone stays in this share of the score per second. */
const KEEP_FALLING = 0.25
/** Better figures must last this long before the score rises, and then it rises by so much a second. */
const HOLD_MS = 2_000
const RISE_PER_S = 0.6
/** Levels begin here; to get out of one again upwards takes a little more, so that nothing flickers. */
const LEVELS: readonly (readonly [QualityLevel, number])[] = [
  ["good", 3.6],
  ["fair", 2.5],
  ["poor", 0.5],
]
const STICKY = 0.25

/** Smooths verdicts of one stream: quickly down, slowly up. */
export class QualityScore {
  #score: number | undefined
  #reason: QualityReason = "none"
  #level: QualityLevel = "good"
  #atMs = 0
  #fellAtMs = 0

  /** The quality now; undefined before the first verdict. */
  get value(): Quality | undefined {
    if (this.#score === undefined) return undefined
    return { score: Math.round(this.#score * 10) / 10, level: this.#level, reason: this.#reason }
  }

  add({ score, reason }: Verdict, nowMs: number): Quality {
    const before = this.#score
    const seconds = before === undefined ? 1 : Math.max(0, nowMs - this.#atMs) / 1_000
    this.#atMs = nowMs
    if (before === undefined) this.#score = score
    else if (score < before) this.#score = score + (before - score) * KEEP_FALLING ** seconds
    else if (nowMs - this.#fellAtMs > HOLD_MS) this.#score = Math.min(score, before + RISE_PER_S * seconds)
    const now = this.#score ?? score
    // A score that hardly differs does not start the waiting anew, or noise would keep it down for ever.
    if (before === undefined || score < before - 0.2) this.#fellAtMs = nowMs
    // While it recovers, the reason is still the old one.
    if (reason !== "none" && score <= now + WORTH_NAMING) this.#reason = reason
    else if (now >= 5 - WORTH_NAMING) this.#reason = "none"
    this.#level = levelOf(now, before === undefined ? undefined : this.#level)
    return this.value ?? { score, level: this.#level, reason }
  }
}

function levelOf(score: number, before: QualityLevel | undefined): QualityLevel {
  const rank = (level: QualityLevel) => LEVELS.findIndex(([name]) => name === level)
  for (const [index, [level, from]] of LEVELS.entries()) {
    const rising = before !== undefined && (rank(before) === -1 || index < rank(before))
    if (score >= from + (rising ? STICKY : 0)) return level
  }
  return "lost"
}

/** The worst of several; undefined of none. */
export function worstQuality(values: readonly (Quality | undefined)[]): Quality | undefined {
  let worst: Quality | undefined
  for (const value of values) if (value !== undefined && (worst === undefined || value.score < worst.score)) worst = value
  return worst
}

function verdict(penalties: { network: number; cpu: number; source: number }): Verdict {
  let reason: QualityReason = "none"
  let most = 0
  for (const name of ["network", "cpu", "source"] as const) {
    if (penalties[name] <= most) continue
    most = penalties[name]
    if (most >= WORTH_NAMING) reason = name
  }
  return { score: Math.max(1, 5 - most), reason }
}

/** Nobody is shown a complaint about a page that is hidden; the score of its pictures rests meanwhile. */
function named(cause: FreezeCause): QualityReason {
  return cause === "hidden" ? "none" : cause
}

function share(part: number, whole: number): number {
  return whole <= 0 ? 0 : Math.min(1, part / whole)
}

function curve(points: Curve, value: number): number {
  let [beforeAt, beforePenalty] = points[0] ?? [0, 0]
  if (!(value > beforeAt)) return beforePenalty
  for (const [at, penalty] of points) {
    if (value <= at) return beforePenalty + ((value - beforeAt) / (at - beforeAt || 1)) * (penalty - beforePenalty)
    beforeAt = at
    beforePenalty = penalty
  }
  return beforePenalty
}
