/** A subscriber wants more layers than before: switched on only when its link has room for them (link-lanes LL-12, "Probing"). */
import type { ReceiverLayerPolicy } from "../../../wire/types.ts"
import type { Subscriber } from "./fanout.ts"

/** After a probe that failed the next one comes this much later, ms. */
const AGAIN_MS = 10_000
/** Layers that are not sent yet are taken to need this share of what is. */
const EXTRA_SHARE = 0.5

interface Raise {
  policy: ReceiverLayerPolicy
  /** No probe before this; ms. */
  notBefore: number
  probing: boolean
}

/** The raises that wait, of the subscribers of one stream. */
export class PolicyRaises {
  readonly #waiting = new Map<Subscriber, Raise>()

  /** Less is done at once; more when the link has shown that it carries it. @param use bit/s the stream takes on a link now */
  set(subscriber: Subscriber, policy: ReceiverLayerPolicy, use: number, now: number): void {
    this.#waiting.delete(subscriber)
    if (!raises(subscriber.policy, policy) || hasRoom(subscriber, use)) {
      subscriber.policy = policy
      return
    }
    this.#waiting.set(subscriber, { policy, notBefore: now, probing: false })
    this.tick(use, now)
  }

  /** What the subscriber asked for and does not get yet. */
  wish(subscriber: Subscriber): ReceiverLayerPolicy | undefined {
    return this.#waiting.get(subscriber)?.policy
  }

  /** The subscription ended or began anew. */
  forget(subscriber: Subscriber): void {
    this.#waiting.delete(subscriber)
  }

  tick(use: number, now: number): void {
    for (const [subscriber, raise] of this.#waiting) {
      if (subscriber.link.closed) this.#waiting.delete(subscriber)
      else if (!raise.probing && now >= raise.notBefore) this.#probe(subscriber, raise, use, now)
    }
  }

  #probe(subscriber: Subscriber, raise: Raise, use: number, now: number): void {
    raise.probing = true
    const { probe, rate } = subscriber.link.sender
    probe.start(EXTRA_SHARE * use, rate.target, now, (fits) => this.#probed(subscriber, raise, fits, now))
  }

  #probed(subscriber: Subscriber, raise: Raise, fits: boolean, startedAt: number): void {
    if (this.#waiting.get(subscriber) !== raise) return
    raise.probing = false
    raise.notBefore = startedAt + AGAIN_MS
    if (!fits) return
    subscriber.policy = raise.policy
    this.#waiting.delete(subscriber)
  }
}

function raises(from: ReceiverLayerPolicy, to: ReceiverLayerPolicy): boolean {
  return to.maxTemporal > from.maxTemporal || to.maxSpatial > from.maxSpatial
}

function hasRoom({ link }: Subscriber, use: number): boolean {
  const { rate } = link.sender
  return rate.mode !== "compete" && rate.target >= (1 + EXTRA_SHARE) * use
}
