/** Every stream that this page takes from others, and what it knows of the streams it could take. */
import type { PeerKeyId, ReceiverLayerPolicy } from "../wire/types.ts"
import type { RemoteStream } from "./descriptors.ts"
import type { RequestHost } from "./stream-request.ts"
import { type ParentWish, Upstream } from "./upstream.ts"

interface Offer {
  stream: RemoteStream
  publisher: PeerKeyId
}

export class Upstreams {
  readonly #host: RequestHost
  readonly #offers = new Map<string, Offer>()
  readonly #upstreams = new Map<string, Upstream>()
  /** What is asked of us while nobody is known to publish the stream. */
  readonly #early = new Map<string, ReceiverLayerPolicy>()
  /** A stream is about to be asked for: time to say who chooses its parents. */
  onUsed: (upstream: Upstream) => void = () => {}

  constructor(host: RequestHost) {
    this.#host = host
  }

  get(streamKey: string): Upstream | undefined {
    return this.#upstreams.get(streamKey)
  }

  /** Streams that are taken, or that a track holds on to. */
  get all(): readonly Upstream[] {
    return [...this.#upstreams.values()]
  }

  /** Announced bitrate of the smallest picture that somebody offers, Mbit/s; undefined: none is. */
  get leastMbps(): number | undefined {
    const rates = [...this.#offers.values()].flatMap(({ stream: { kind, mbps } }) => (kind === "video" ? (mbps ?? []) : []))
    return rates.length === 0 ? undefined : Math.min(...rates)
  }

  /** A stream that somebody offers now. */
  offer(streamKey: string): Readonly<Offer> | undefined {
    return this.#offers.get(streamKey)
  }

  /** The streams a member offers now, all of them. */
  offered(publisher: PeerKeyId, streams: readonly RemoteStream[]): void {
    const keys = new Set(streams.map(({ streamKey }) => streamKey))
    for (const [key, offer] of this.#offers) {
      if (offer.publisher !== publisher || keys.has(key)) continue
      this.#offers.delete(key)
      const upstream = this.#upstreams.get(key)
      if (upstream?.demanded !== undefined) this.#early.set(key, upstream.demanded)
      upstream?.demand(undefined)
      this.#tidy(key)
    }
    for (const stream of streams) {
      this.#offers.set(stream.streamKey, { stream, publisher })
      const early = this.#early.get(stream.streamKey)
      this.#early.delete(stream.streamKey)
      if (early !== undefined) this.demand(stream.streamKey, early)
    }
  }

  /** The stream as this page takes it, for a track to show; there is one for all who want it. Until {@link release}. */
  claim(stream: RemoteStream, publisher: PeerKeyId): Upstream {
    const upstream = this.#of(stream, publisher)
    upstream.claimed = true
    return upstream
  }

  /** This page lets go of it. @param tell whether the publisher is to hear of it */
  release(streamKey: string, tell: boolean): void {
    const upstream = this.#upstreams.get(streamKey)
    if (upstream === undefined) return
    upstream.claimed = false
    upstream.stop(tell)
    this.#tidy(streamKey)
  }

  /** What others want of a stream through us; undefined: nobody does. A stream nobody publishes is waited for. */
  demand(streamKey: string, policy: ReceiverLayerPolicy | undefined): void {
    const offer = this.#offers.get(streamKey)
    if (policy === undefined) {
      this.#early.delete(streamKey)
      this.#upstreams.get(streamKey)?.demand(undefined)
      this.#tidy(streamKey)
    } else if (offer !== undefined) this.#of(offer.stream, offer.publisher).demand(policy)
    else this.#early.set(streamKey, policy)
  }

  /**
   * Where the streams of a track or a relayed stream are to come from. The place for whoever plans the tree; until then everything
   * comes from its publisher.
   */
  setParents(streamKey: string, parents: readonly ParentWish[]): void {
    this.#upstreams.get(streamKey)?.setParents(parents)
  }

  linkReady(peer: PeerKeyId): void {
    for (const upstream of this.#upstreams.values()) upstream.linkReady(peer)
  }

  linkLost(peer: PeerKeyId): void {
    for (const upstream of this.#upstreams.values()) upstream.linkLost(peer)
  }

  parentLeaving(peer: PeerKeyId, inMs?: number): void {
    for (const upstream of this.#upstreams.values()) upstream.parentLeaving(peer, inMs)
  }

  #of(stream: RemoteStream, publisher: PeerKeyId): Upstream {
    const known = this.#upstreams.get(stream.streamKey)
    if (known !== undefined) return known
    const upstream = new Upstream(stream, publisher, this.#host, (upstream) => this.onUsed(upstream))
    this.#upstreams.set(stream.streamKey, upstream)
    return upstream
  }

  #tidy(streamKey: string): void {
    const upstream = this.#upstreams.get(streamKey)
    if (upstream !== undefined && !upstream.used && !upstream.claimed) this.#upstreams.delete(streamKey)
  }
}
