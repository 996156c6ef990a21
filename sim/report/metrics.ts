/** Everything that is counted while a simulation runs. */
import type { SimPeer } from "../world/peer.ts"
import { Diary } from "./diary.ts"
import { Samples } from "./samples.ts"

/** What travels besides media. */
export type ControlKind =
  | "subscribe"
  | "answer"
  | "unsubscribe"
  | "leaving"
  | "keepAlive"
  | "repeatRequest"
  | "capacity"
  | "linkSetup"

/** A child that lost a parent and has not had as many as before since. */
interface Loss {
  readonly child: SimPeer
  readonly at: number
  readonly graceful: boolean
  /** Live parents that deliver, at most two, before it happened. */
  readonly target: number
}

/** A gap in what could be shown counts from here on, ms: less is covered by a jitter buffer. */
const GAP_MS = 250
/** Width of one point of the curves over time, ms. */
export const SLICE_MS = 1_000

export interface Slice {
  expected: number
  delivered: number
  peers: number
  starved: number
  reparents: number
}

export class Metrics {
  /** Counting begins here: before, everybody is still coming in. */
  begin = Number.POSITIVE_INFINITY
  end = Number.POSITIVE_INFINITY

  readonly latency = new Samples()
  readonly stretch = new Samples()
  readonly steps = new Samples()
  readonly gaps = new Samples()
  readonly firstPicture = new Samples()
  /** From the death of a parent until a new one delivered. */
  readonly reparent = new Samples()
  /** The same where it was the last live parent, until any delivers: the time without a feed. */
  readonly refed = new Samples()
  /** From the goodbye of a parent until a new one delivered. */
  readonly moved = new Samples()
  /** Per receiver that is there at the end. */
  readonly longestGaps = new Samples()
  /** Per second. */
  readonly advertisements = new Samples()
  readonly slices: Slice[] = []

  expected = 0
  delivered = 0
  onTime = 0
  expectedFull = 0
  deliveredFull = 0
  sent = 0
  shed = 0
  repeats = 0
  repeatsRefused = 0
  improvements = 0
  evictions = 0
  starvations = 0
  /** Took a parent again that it had left by choice in the last minute, without having lost one meanwhile … */
  flaps = 0
  /** … and the same after a loss. */
  returnsInNeed = 0
  undampedSwitches = 0
  /** Control traffic counts only while the room is measured; what comes before is the rush of joining. */
  measuring = false
  readonly controlBytes = new Map<ControlKind, number>()
  readonly rushBytes = new Map<ControlKind, number>()
  readonly leaveReasons = new Map<string, number>()
  readonly refusals = new Map<string, number>()
  /** Sum over time of peers in the room, ms. */
  peerMs = 0
  readonly #losses = new Map<number, Loss[]>()
  readonly #unfed = new Map<number, number>()
  /** Losses that were not made good although there was time. */
  unhealed = 0
  readonly diary: Diary

  /** `stories`: of so many of the slowest re-parents it is written down what happened. */
  constructor(stories = 0) {
    this.diary = new Diary(stories)
  }

  counts(now: number): boolean {
    return now >= this.begin && now < this.end
  }

  control(_from: SimPeer, _to: SimPeer, kind: ControlKind, bytes: number): void {
    this.controlSum(kind, bytes)
  }

  /** Bytes on the wire, each copy counted where it is sent. */
  controlSum(kind: ControlKind, bytes: number): void {
    const into = this.measuring ? this.controlBytes : this.rushBytes
    into.set(kind, (into.get(kind) ?? 0) + bytes)
  }

  add(counts: Map<string, number>, what: string): void {
    counts.set(what, (counts.get(what) ?? 0) + 1)
  }

  /** A group could be decoded for the first time. */
  decoded(peer: SimPeer, _group: number, latencyMs: number, steps: number, now: number): void {
    if (peer.playingAt === Number.POSITIVE_INFINITY) {
      peer.playingAt = now
      if (this.counts(now)) this.firstPicture.add(now - peer.joinedAt)
    }
    if (!this.counts(now)) {
      peer.lastDecodedAt = now
      return
    }
    const gap = now - peer.lastDecodedAt
    if (peer.lastDecodedAt > 0 && gap > GAP_MS) this.gaps.add(gap)
    peer.longestGapMs = Math.max(peer.longestGapMs, peer.lastDecodedAt > 0 ? gap : 0)
    peer.lastDecodedAt = now
    this.latency.add(latencyMs)
    this.steps.add(steps)
  }

  /** The slice so many ms after the beginning of measured time. */
  slice(afterMs: number): Slice {
    const at = Math.max(0, Math.floor(afterMs / SLICE_MS))
    while (this.slices.length <= at) this.slices.push({ expected: 0, delivered: 0, peers: 0, starved: 0, reparents: 0 })
    return this.slices[at]!
  }

  parentGone(child: SimPeer, at: number, graceful: boolean, target: number): void {
    if (!this.counts(at)) return
    this.diary.note(child.index, at, `lost a parent, ${graceful ? "goodbye" : "died"}; had ${target}`)
    const losses = this.#losses.get(child.index) ?? []
    losses.push({ child, at, graceful, target })
    if (!graceful && target === 1) this.#unfed.set(child.index, at)
    this.#losses.set(child.index, losses)
  }

  /** The child has so many live parents that deliver. */
  hasParents(child: SimPeer, count: number, now: number): void {
    const unfedAt = this.#unfed.get(child.index)
    if (unfedAt !== undefined && count > 0) {
      this.refed.add(now - unfedAt)
      this.#unfed.delete(child.index)
    }
    const losses = this.#losses.get(child.index)
    if (losses === undefined) return
    const open = losses.filter(({ at, graceful, target }) => {
      if (count < target) return true
      ;(graceful ? this.moved : this.reparent).add(now - at)
      if (!graceful) this.diary.healed(child.index, at, now)
      this.slice(now - this.begin).reparents++
      return false
    })
    if (open.length === 0) this.#losses.delete(child.index)
    else this.#losses.set(child.index, open)
  }

  /** The child itself is gone: nobody waits any more. */
  childGone(child: SimPeer): void {
    this.#losses.delete(child.index)
    this.#unfed.delete(child.index)
  }

  /** At the end: losses that are older than any healing may take. */
  finish(now: number, patienceMs: number): void {
    for (const losses of this.#losses.values()) for (const { at } of losses) if (now - at > patienceMs) this.unhealed++
  }
}
