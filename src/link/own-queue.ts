/**
 * Tells a queue that we filled ourselves from one that somebody else keeps full. When the capacity of a path falls to a quarter,
 * its queue can not drain within the second after which the controller believes in a competitor; taking its share from then
 * on, it would keep the queue full for ever. So a contest begins with giving way for a moment: a queue that shrinks is ours.
 */
import { MIN_RATE, type RateMode } from "./rate-controller.ts"

/** While giving way only this share of what arrives is sent, and of the least rate where that little arrives, ... */
const GIVE_WAY_SHARE = 0.4
/** ... and after this time the queue must have shrunk by so much of what that alone would drain, ms. */
const JUDGE_AFTER_MS = 300
const SHRUNK_SHARE = 0.3
/** Below this the queue is gone, ms. */
const GONE_MS = 10
/**
 * A queue of at least the first that shrank to less than the second, and no further, is gone too, ms: on a slower path a
 * message takes longer, and that is no queue.
 */
const LARGE_MS = 80
const REST_MS = 40
/** The queue is waited for so long at most, ms. */
const MOST_WAIT_MS = 4_000
/** A queue that stays is looked at again after this, then ever more seldom, ms. */
const AGAIN_MS = 5_000
const AGAIN_MOST_MS = 40_000
/** What was found out about a competitor holds for so long after the last contest, ms. */
const REMEMBERED_MS = 20_000

interface Look {
  now: number
  /** Queueing delay, ms, and round trip with it. */
  q: number
  rtt: number
  mode: RateMode
  /** Bit/s that arrive. */
  delivered: number
}

interface OwnQueueVerdict {
  /** What to send at most for now, bit/s. */
  limit: number
  /** The path has no queue any more, although its delay is not what it was: the present one is its shortest. */
  newBase: boolean
  /** The test has just ended: the queue is somebody else's, and what we gave up for it is to be taken back. */
  theirs: boolean
}

interface Test {
  since: number
  /** Nothing shows before this, ms: what stood in the queue when we began was sent before. */
  from: number
  /** The queue at the last judgement, and at its largest; ms. */
  q: number
  largest: number
  limit: number
}

const NOTHING: OwnQueueVerdict = { limit: Number.POSITIVE_INFINITY, newBase: false, theirs: false }

export class OwnQueue {
  #test: Test | undefined
  #notBefore = Number.NEGATIVE_INFINITY
  #againMs = AGAIN_MS
  #contestAt = Number.NEGATIVE_INFINITY

  /** Takes one look per report. */
  look({ now, q, rtt, mode, delivered }: Look): OwnQueueVerdict {
    if (mode !== "compete") {
      if (now - this.#contestAt > REMEMBERED_MS) {
        this.#againMs = AGAIN_MS
        this.#notBefore = Number.NEGATIVE_INFINITY
      }
      this.#test = undefined
      return NOTHING
    }
    this.#contestAt = now
    if (this.#test === undefined) {
      if (now < this.#notBefore) return NOTHING
      this.#test = { since: now, from: now + rtt, q, largest: q, limit: GIVE_WAY_SHARE * Math.max(delivered, MIN_RATE) }
    } else if (now < this.#test.from) {
      const { since, from } = this.#test
      const largest = Math.max(this.#test.largest, q)
      this.#test = { ...this.#test, from: Math.max(from, Math.min(since + rtt, since + MOST_WAIT_MS)), q: largest, largest }
    } else if (now - this.#test.from >= JUDGE_AFTER_MS) {
      const drained = (1 - GIVE_WAY_SHARE) * (now - this.#test.from)
      if (q > GONE_MS && this.#test.q - q < SHRUNK_SHARE * drained) {
        const rest = this.#test.largest >= LARGE_MS && q < REST_MS
        return rest ? { limit: this.#test.limit, newBase: true, theirs: false } : this.#giveUp(now)
      }
      this.#test = { ...this.#test, from: now, q }
    }
    return { limit: this.#test.limit, newBase: false, theirs: false }
  }

  #giveUp(now: number): OwnQueueVerdict {
    this.#test = undefined
    this.#notBefore = now + this.#againMs
    this.#againMs = Math.min(AGAIN_MOST_MS, 2 * this.#againMs)
    return { ...NOTHING, theirs: true }
  }
}
