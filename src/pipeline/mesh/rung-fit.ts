/** Which subscribers would be better served by a smaller rung of the same track (D-37), because their link has too little for this one. */
import type { PeerKeyId } from "../../wire/types.ts"
import type { Subscriber } from "./hop/fanout.ts"
import type { MeshLink } from "./hop/link.ts"
import type { PublishedStream } from "./published-stream.ts"

/** It must have been too little for this long, ms: one bad moment is no reason. */
const TOO_LITTLE_MS = 2_000
/** A receiver that stays all the same is told again after this time, ms. */
const AGAIN_MS = 5_000
/** A link this young still finds out what it carries, ms. */
const YOUNG_MS = 4_000

interface Watched {
  since: number | undefined
  toldAt: number
}

/** One per mesh; asked every time the encoders are steered. */
export class RungFit {
  readonly #watched = new Map<PublishedStream, Map<PeerKeyId, Watched>>()

  /** Calls `tell` for each subscriber whose share of its link has been below the floor of the stream for too long. */
  check(streams: Iterable<PublishedStream>, now: number, tell: (stream: PublishedStream, to: Subscriber) => void): void {
    const all = [...streams]
    for (const stream of this.#watched.keys()) if (!all.includes(stream)) this.#watched.delete(stream)
    for (const stream of all) {
      if (stream.facts.floor === undefined) continue
      const before = this.#watched.get(stream)
      const next = new Map<PeerKeyId, Watched>()
      for (const subscriber of stream.fanout.all()) {
        const { peer, link } = subscriber
        const watched = before?.get(peer) ?? { since: undefined, toldAt: Number.NEGATIVE_INFINITY }
        const tooLittle = now - link.createdAt > YOUNG_MS && encodedShare(link, stream, all, now) < stream.facts.floor
        watched.since = tooLittle ? (watched.since ?? now) : undefined
        next.set(peer, watched)
        if (watched.since === undefined || now - watched.since < TOO_LITTLE_MS || now - watched.toldAt < AGAIN_MS) continue
        watched.toldAt = now
        tell(stream, subscriber)
      }
      this.#watched.set(stream, next)
    }
  }
}

/** What the link leaves to a stream after everything else that runs over it, in bit/s of encoded media. */
function encodedShare(link: MeshLink, stream: PublishedStream, streams: readonly PublishedStream[], now: number): number {
  const usable = link.sender.rate.target / (1 + link.sender.rate.losses.loss)
  let others = 0
  for (const other of streams) {
    const counts = other !== stream && other.facts.kind === "video" && other.fanout.all().some((each) => each.link === link)
    if (counts) others += other.encoded.pathRate(now)
  }
  return Math.max(0, usable - others) * stream.encoded.share
}
