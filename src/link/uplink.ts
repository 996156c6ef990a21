/**
 * Shares the uplink of a node between its links. Every link has a controller of its own, which sees only its own path; what
 * they have in common is the way out of this machine (link-lanes LL-12, "Several links of a node").
 */
import { FULL_MS, MIN_RATE } from "./rate-controller.ts"

/** Links that fill up within this time of each other fill up at the same place, ms. */
const TOGETHER_MS = 300
/** And only when they carry this share of what leaves the node. */
const TOGETHER_SHARE = 0.5
/**
 * Links that carry less than this share of what they could use do not fill an uplink: what waits there waits for the processor,
 * at this end or at the other one.
 */
const USED_SHARE = 0.45
/** What was measured may grow by this share per second, and is forgotten after this time without another sight of it, ms. */
const GROWTH = 0.08
const FORGET_MS = 30_000

/** One link as the uplink sees it; rates in bit/s over its video lanes. */
export interface UplinkUser {
  /** What its own controller allows. */
  rate: number
  /** What arrived lately. */
  delivered: number
  /** Most that its streams can use. */
  needs: number
  /** Queueing delay of its path, ms. */
  queueMs: number
  /** It has nothing to send: what it may send is taken from nobody. */
  idle?: boolean
}

export class NodeUplink {
  #limit: number
  #measured: number | undefined
  #seenAt = 0
  #grownAt = 0
  readonly #fullAt = new WeakMap<object, number>()

  /** @param limit what the node may use altogether where that is known, bit/s */
  constructor(limit = Number.POSITIVE_INFINITY) {
    this.#limit = limit
  }

  /** Takes effect with the next {@link share}. @param limit bit/s, infinite for none */
  limitTo(limit: number): void {
    this.#limit = limit
  }

  /** What leaves this node at most, bit/s; infinite where nothing has shown a limit. */
  get capacity(): number {
    return Math.min(this.#limit, this.#measured ?? Number.POSITIVE_INFINITY)
  }

  /** A target for each link, bit/s: together never more than the capacity, and none more than it needs. */
  share<T extends object>(links: ReadonlyMap<T, UplinkUser>, now: number): Map<T, number> {
    this.#measure(links, now)
    const busy = [...links].filter(([, { idle }]) => idle !== true)
    const caps = fairShares(
      busy.map(([, { rate, needs }]) => Math.min(rate, needs)),
      this.capacity,
    )
    const shares = new Map([...links].map(([link, { needs }]) => [link, Math.min(needs, this.capacity)]))
    busy.forEach(([link, { needs }], index) => {
      shares.set(link, Math.min(needs, caps[index]!))
    })
    return shares
  }

  /** Several links that fill up together show where the uplink ends: at what they all deliver then. */
  #measure(links: ReadonlyMap<object, UplinkUser>, now: number): void {
    if (this.#measured !== undefined) {
      this.#measured *= 1 + (GROWTH * Math.max(0, now - this.#grownAt)) / 1_000
      if (now - this.#seenAt > FORGET_MS) this.#measured = undefined
    }
    this.#grownAt = now
    let total = 0
    let full = 0
    let count = 0
    let usable = 0
    let active = 0
    for (const [link, { rate, needs, delivered, queueMs }] of links) {
      if (queueMs > FULL_MS) this.#fullAt.set(link, now)
      total += delivered
      if (delivered > 0) {
        usable += Math.min(rate, needs)
        active += 1
      }
      if (delivered === 0 || now - (this.#fullAt.get(link) ?? Number.NEGATIVE_INFINITY) > TOGETHER_MS) continue
      full += delivered
      count += 1
    }
    if (count < 2 || full < TOGETHER_SHARE * total || total < USED_SHARE * usable) return
    // No link goes below its least rate either.
    this.#measured = Math.max(total, active * MIN_RATE)
    this.#seenAt = now
  }
}

/**
 * Divides `capacity`: nobody who asks for little gets less than it asks for while others get more (max-min fairness). What is
 * left over goes to all in equal parts, as room to grow.
 */
export function fairShares(wants: readonly number[], capacity: number): number[] {
  if (capacity === Number.POSITIVE_INFINITY) return wants.map(() => Number.POSITIVE_INFINITY)
  const order = wants.map((_, index) => index).sort((a, b) => wants[a]! - wants[b]!)
  const shares = wants.map(() => 0)
  let left = Math.max(0, capacity)
  order.forEach((index, done) => {
    shares[index] = Math.min(wants[index]!, left / (order.length - done))
    left -= shares[index]!
  })
  return shares.map((share) => share + left / Math.max(1, shares.length))
}
