/** The remote side of media: what others publish becomes subscriptions, by member and track. */
import { streamKeyOf } from "../pipeline/index.ts"
import type { Bytes, PeerKeyId } from "../wire/types.ts"
import type { RoomParticipant } from "./participant.ts"
import { RemoteSubscription, type SubscriptionHost } from "./remote-subscription.ts"
import type { RemoteTrack } from "./remote-track.ts"
import { Upstreams } from "./upstreams.ts"

/** All subscriptions of a room. */
export class Subscriptions {
  /** Where the streams come from, those included that are only handed on. */
  readonly upstreams: Upstreams
  readonly #host: SubscriptionHost
  readonly #byId = new Map<string, RemoteSubscription>()

  constructor(host: SubscriptionHost) {
    this.#host = host
    this.upstreams = new Upstreams(host)
  }

  get all(): readonly RemoteSubscription[] {
    return [...this.#byId.values()]
  }

  byStreamKey(streamKey: string): RemoteSubscription | undefined {
    for (const subscription of this.#byId.values()) if (subscription.has(streamKey)) return subscription
    return undefined
  }

  /** The member publishes exactly these tracks now. */
  update(participant: RoomParticipant, tracks: readonly RemoteTrack[]): void {
    const streams = tracks.flatMap((track) => track.streams)
    this.upstreams.offered(participant.id, streams)
    const wanted = new Map(tracks.map((track) => [`${participant.id}/${track.label}`, track]))
    for (const subscription of this.#of(participant.id)) {
      const track = wanted.get(subscription.id)
      if (track === undefined || mustEnd(subscription, participant, track)) this.#close(subscription, true)
    }
    for (const [id, track] of wanted) {
      const known = this.#byId.get(id)
      if (known !== undefined) known.update(track)
      else if (track.streams.length > 0) {
        const subscription = new RemoteSubscription(participant, track, this.upstreams, this.#host)
        this.#byId.set(id, subscription)
        subscription.settle()
      }
    }
  }

  /** What this page can show is known now, or another than before. */
  decodesChanged(): void {
    for (const subscription of this.all) subscription.settle()
  }

  /** A direct session to this member came up: ask (again) for everything that comes from it, with fresh keys. */
  linkReady(keyId: PeerKeyId): void {
    this.upstreams.linkReady(keyId)
    for (const subscription of this.#of(keyId)) subscription.linkReady()
  }

  /** Asks again for one stream, with a fresh key: a counter ran out. */
  ask(streamKey: string, from?: PeerKeyId): void {
    this.upstreams.get(streamKey)?.again(from)
  }

  /** Nothing came from this parent for `silentMs`, not even a keep-alive. */
  silent(streamKey: string, from: PeerKeyId, silentMs: number): void {
    this.upstreams.get(streamKey)?.silent(from, silentMs)
  }

  /** The direct session is gone; the streams wait for the next one. */
  linkLost(keyId: PeerKeyId): void {
    this.upstreams.linkLost(keyId)
  }

  /** The member left. */
  forget(keyId: PeerKeyId): void {
    for (const subscription of this.#of(keyId)) this.#close(subscription, false)
    this.upstreams.offered(keyId, [])
    this.upstreams.parentLeaving(keyId)
  }

  closeAll(): void {
    for (const subscription of this.all) this.#close(subscription, false)
  }

  /** `av.subscribed` from a member. */
  granted(keyId: PeerKeyId, streamId: Bytes, subNonce: Bytes): void {
    const upstream = this.upstreams.get(streamKeyOf(streamId))
    if (upstream !== undefined) upstream.granted(keyId, subNonce)
    else this.#host.send(keyId, { t: "av.unsubscribe", streamId, subNonce })
  }

  /** `av.refused` from a member. */
  refused(keyId: PeerKeyId, streamKey: string, subNonce: Bytes, refused: string): void {
    const publisherRefuses = this.upstreams.get(streamKey)?.answered(keyId, subNonce, refused) === true
    if (publisherRefuses && refused === "CapacityExceeded") this.byStreamKey(streamKey)?.tooLarge(streamKey)
  }

  /** The first picture of a stream is on its track. */
  pictureCame(streamKey: string): void {
    this.byStreamKey(streamKey)?.pictureCame(streamKey)
  }

  #of(keyId: PeerKeyId): RemoteSubscription[] {
    return this.all.filter((subscription) => subscription.participant.id === keyId)
  }

  #close(subscription: RemoteSubscription, tell: boolean): void {
    this.#byId.delete(subscription.id)
    subscription.close(tell)
  }
}

/** A picture may change its streams; sound that does is another track, for a playout node belongs to one stream. */
function mustEnd(subscription: RemoteSubscription, participant: RoomParticipant, track: RemoteTrack): boolean {
  if (subscription.participant !== participant || subscription.kind !== track.kind || subscription.source !== track.source)
    return true
  return track.kind === "audio" && subscription.stream.streamKey !== track.streams[0]?.streamKey
}
