/** From the rates of links to the targets of encoders (link-lanes LL-12, "To the encoder"). */
import type { MeshLink } from "./hop/link.ts"
import type { PublishedStream } from "./published-stream.ts"

/** A link this young may still be far below what it carries; where others are served it does not slow them down. Ms. */
const YOUNG_MS = 1_500

/**
 * Tells every encoder how much the slowest of its subscribers' links takes. One encoder serves them all, so a link that is
 * silent, or that has only just begun to measure, does not count where there is another.
 */
export function steer(streams: Iterable<PublishedStream>, now: number): void {
  const video = [...streams].filter((stream) => stream.facts.kind === "video" && stream.fanout.size > 0)
  const onLink = new Map<MeshLink, PublishedStream[]>()
  for (const stream of video) {
    for (const { link } of stream.fanout.all()) onLink.set(link, [...(onLink.get(link) ?? []), stream])
  }
  for (const stream of video) {
    const links = stream.fanout.all().map(({ link }) => link)
    const settled = links.filter((link) => isSettled(link, now))
    const counting = settled.length > 0 ? settled : links
    const rates = counting.map((link) => shareOf(link, stream, onLink.get(link)!, now))
    stream.steer(Math.min(...rates) * stream.encoded.share)
  }
}

function isSettled(link: MeshLink, now: number): boolean {
  const { rate } = link.sender
  return !rate.suspectedDead && (rate.mode !== "startup" || now - link.createdAt > YOUNG_MS)
}

/** What a link has for one of its streams: all of it less what the others use, but never less than an equal part. */
function shareOf(link: MeshLink, stream: PublishedStream, streams: readonly PublishedStream[], now: number): number {
  const { rate } = link.sender
  // What is lost is sent a second time.
  const usable = rate.target / (1 + rate.losses.loss)
  const equal = usable / streams.length
  const others = streams.filter((other) => other !== stream).map((other) => Math.min(equal, other.encoded.pathRate(now)))
  return usable - others.reduce((sum, used) => sum + used, 0)
}
