/** From the rates of links to the targets of encoders (link-lanes LL-12, "To the encoder"), and the share of every link. */
import type { NodeUplink, UplinkUser } from "../../link/uplink.ts"
import type { Subscriber } from "./hop/fanout.ts"
import type { MeshLink } from "./hop/link.ts"
import type { SteeredStream } from "./hop/out-stream.ts"

/** A link this young may still be far below what it carries; where others are served it does not slow them down. Ms. */
const YOUNG_MS = 1_500
/** Head room of a link over what its streams can use at most: frames differ in size, and none shall wait for the pacer. */
const NEEDS_MARGIN = 2
/** What is worth probing for. */
const WISH_MARGIN = 1.5
/** A subscriber without upper layers, whose link is not driven hard by the rest, has it probed this often, ms. */
const PROBE_EVERY_MS = 10_000
const PROBE_AGAIN_MS = 3_000

/**
 * Tells every encoder what its subscribers' links have room for: one encoder serves them all, and who has less than the others
 * gets fewer layers before the others get less (see {@link LayerPlan}). A link that is silent, or that has only just begun to
 * measure, does not slow the encoder where there is another.
 */
export class Steering {
  readonly #uplink: NodeUplink
  readonly #probeAt = new WeakMap<MeshLink, number>()

  constructor(uplink: NodeUplink) {
    this.#uplink = uplink
  }

  /** @param links all of the node, those without a stream included */
  steer(streams: Iterable<SteeredStream>, links: Iterable<MeshLink>, now: number): void {
    const video = [...streams].filter((stream) => stream.facts.kind === "video" && stream.fanout.size > 0)
    const onLink = new Map<MeshLink, SteeredStream[]>()
    for (const stream of video) {
      for (const { link } of stream.fanout.all()) onLink.set(link, [...(onLink.get(link) ?? []), stream])
    }
    this.#divide(links, onLink, now)
    for (const stream of video) {
      const subscribers = stream.fanout.all()
      stream.steer(
        subscribers.map((subscriber) => {
          const { peer, link } = subscriber
          const bps = roomFor(subscriber, stream, onLink.get(link)!, now) * stream.encoded.share
          return { peer, bps, settled: isSettled(link, now) }
        }),
      )
      for (const subscriber of subscribers) this.#probe(subscriber, stream, now)
    }
  }

  /** No link is driven beyond what its streams need, nor all of them beyond what the node can send. */
  #divide(links: Iterable<MeshLink>, onLink: ReadonlyMap<MeshLink, readonly SteeredStream[]>, now: number): void {
    const users = new Map<MeshLink, UplinkUser>()
    for (const link of links) {
      const { rate } = link.sender
      const needs = (onLink.get(link) ?? []).reduce((sum, stream) => sum + mostOnPath(stream), 0)
      if (Number.isFinite(needs)) rate.wish(WISH_MARGIN * needs)
      const known = needs > 0 ? NEEDS_MARGIN * needs : Number.POSITIVE_INFINITY
      const idle = !onLink.has(link)
      users.set(link, { rate: rate.allowed, delivered: rate.delivered, needs: known, queueMs: rate.queueNowMs, idle })
    }
    for (const [link, cap] of this.#uplink.share(users, now)) link.sender.rate.capTo(cap)
  }

  /** The base layer alone may leave most of a link unused; then only padding shows whether the rest would fit by now. */
  #probe({ peer, link }: Subscriber, stream: SteeredStream, now: number): void {
    const { rate, probe } = link.sender
    const wanted = stream.fits(peer) === "base" ? stream.encoded.pathRate(now) : 0
    if (rate.target >= wanted || !rate.mayProbe(now) || now < (this.#probeAt.get(link) ?? 0)) return
    this.#probeAt.set(link, now + PROBE_EVERY_MS)
    probe.start(wanted, rate.target, now, (fits) => {
      if (!fits) return
      rate.proved(rate.delivered)
      this.#probeAt.set(link, now + PROBE_AGAIN_MS)
    })
  }
}

function isSettled(link: MeshLink, now: number): boolean {
  const { rate } = link.sender
  return !rate.suspectedDead && (rate.mode !== "startup" || now - link.createdAt > YOUNG_MS)
}

/** What a stream can take on the path of one subscriber, bit/s. */
function mostOnPath(stream: SteeredStream): number {
  return (stream.facts.maxBitrate ?? Number.POSITIVE_INFINITY) / stream.encoded.share
}

/** What a link has for one of its streams: all of it less what the others use, but never less than an equal part. */
function roomFor({ peer, link }: Subscriber, stream: SteeredStream, streams: readonly SteeredStream[], now: number): number {
  const { rate } = link.sender
  // What is lost is sent a second time.
  const usable = rate.target / (1 + rate.losses.loss)
  const equal = usable / streams.length
  const others = streams.filter((other) => other !== stream).map((other) => Math.min(equal, other.useBy(peer, now)))
  return usable - others.reduce((sum, used) => sum + used, 0)
}
