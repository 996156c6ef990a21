/** The remote side of media: what others publish becomes subscriptions, streams in the workers and tracks for the application. */
import type { MeshRefusal, MeshSubscribe } from "../pipeline/index.ts"
import type { KnownControlMessage } from "../wire/control-json.ts"
import { AvError } from "../wire/errors.ts"
import { UNCAPPED } from "../wire/layers.ts"
import type { Bytes, PeerKeyId, RandomBytes, ReceiverLayerPolicy } from "../wire/types.ts"
import type { RemoteStream } from "./descriptors.ts"
import type { RoomParticipant } from "./participant.ts"
import type { Subscription, TrackKind, TrackSource } from "./types.ts"

/** Answer to `av.subscribe` is due within this time (D-19.9); then we ask again. */
const ANSWER_MS = 2_000
/** Waiting time before another attempt, doubled up to the maximum. */
const RETRY_MS = 500
const RETRY_MAX_MS = 8_000
/** A silent stream is asked for again after this time, doubled each time up to the maximum. */
const PATIENCE_MS = 5_000
const PATIENCE_MAX_MS = 40_000

/** A track made of a remote stream, and how to let go of it. */
export interface RemoteOutput {
  track: MediaStreamTrack
  setVolume(volume: number): void
  close(): void
}

/** What subscriptions need from the room around them. */
export interface SubscriptionHost {
  random: RandomBytes
  /** Sends to the member over its direct session; false while there is none (media needs a direct link). */
  send(keyId: PeerKeyId, message: KnownControlMessage): boolean
  /** The direct link to a member, if there is one. Key and request of a subscription must go the same way. */
  linkTo(keyId: PeerKeyId): { id: string; send(message: KnownControlMessage): boolean } | undefined
  meshSubscribe(request: MeshSubscribe): Promise<{ ok: true } | { ok: false; error: MeshRefusal }>
  meshUnsubscribe(streamId: Bytes): void
  /** Makes decoder and track. Throws `MediaUnsupported` when this browser cannot decode it. */
  openOutput(keyId: PeerKeyId, stream: RemoteStream): Promise<RemoteOutput>
  setOutputMuted(streamKey: string, muted: boolean): void
  setMaxTemporal(streamKey: string, maxTemporal: number): void
  started(subscription: RemoteSubscription): void
  ended(subscription: RemoteSubscription): void
  mutedChanged(subscription: RemoteSubscription): void
  warn(error: AvError): void
}

/** One remote track of one stream. Changes of the stream id end it and make another. */
export class RemoteSubscription implements Subscription {
  readonly id: string
  readonly kind: TrackKind
  readonly source: TrackSource
  readonly participant: RoomParticipant
  readonly stream: RemoteStream
  readonly #changePolicy: (subscription: RemoteSubscription) => void
  output: RemoteOutput | undefined
  muted: boolean
  policy: ReceiverLayerPolicy = UNCAPPED
  /** Set while a request is under way or accepted. */
  subNonce: Bytes | undefined
  accepted = false
  closed = false
  retryMs = RETRY_MS
  /** Silence after which the stream is asked for again. */
  patienceMs = PATIENCE_MS
  timer: ReturnType<typeof setTimeout> | undefined

  constructor(
    participant: RoomParticipant,
    stream: RemoteStream,
    about: { source: TrackSource; muted: boolean },
    changePolicy: (subscription: RemoteSubscription) => void,
  ) {
    this.id = `${participant.id}/${stream.label}`
    this.kind = stream.kind
    this.source = about.source
    this.muted = about.muted
    this.participant = participant
    this.stream = stream
    this.#changePolicy = changePolicy
  }

  get track(): MediaStreamTrack {
    if (this.output === undefined) throw new AvError("TrackUnknown", { subscription: this.id })
    return this.output.track
  }

  setVolume(volume: number): void {
    this.output?.setVolume(volume)
  }

  setPolicy(policy: ReceiverLayerPolicy): void {
    this.policy = policy
    this.#changePolicy(this)
  }
}

/** All subscriptions of a room. */
export class Subscriptions {
  readonly #host: SubscriptionHost
  readonly #byStream = new Map<string, RemoteSubscription>()

  constructor(host: SubscriptionHost) {
    this.#host = host
  }

  get all(): readonly RemoteSubscription[] {
    return [...this.#byStream.values()]
  }

  byStreamKey(streamKey: string): RemoteSubscription | undefined {
    return this.#byStream.get(streamKey)
  }

  /** The member publishes exactly these streams now. */
  update(participant: RoomParticipant, streams: readonly { stream: RemoteStream; source: TrackSource; muted: boolean }[]): void {
    const wanted = new Map(streams.map((entry) => [entry.stream.streamKey, entry]))
    for (const subscription of this.#of(participant.id)) {
      if (!wanted.has(subscription.stream.streamKey)) this.#close(subscription, true)
    }
    for (const [streamKey, entry] of wanted) {
      const known = this.#byStream.get(streamKey)
      if (known === undefined) this.#open(participant, entry)
      else if (known.participant === participant && known.muted !== entry.muted) {
        known.muted = entry.muted
        this.#host.setOutputMuted(streamKey, entry.muted)
        if (known.output !== undefined) this.#host.mutedChanged(known)
      }
    }
  }

  /** A direct session to this member came up: ask (again) for everything it publishes, with fresh keys. */
  linkReady(keyId: PeerKeyId): void {
    for (const subscription of this.#of(keyId)) {
      subscription.patienceMs = PATIENCE_MS
      this.#request(subscription)
    }
  }

  /** Asks again for one stream, with a fresh key: a counter ran out. */
  ask(streamKey: string): void {
    const subscription = this.#byStream.get(streamKey)
    if (subscription !== undefined) this.#request(subscription)
  }

  /**
   * Nothing came for `silentMs`, not even a keep-alive: asks again, ever more rarely. A fresh key makes everything that is still on its
   * way worthless, so a sender that is only slow must get the time to catch up.
   */
  silent(streamKey: string, silentMs: number): void {
    const subscription = this.#byStream.get(streamKey)
    if (subscription === undefined || !subscription.accepted || silentMs < subscription.patienceMs) return
    subscription.patienceMs = Math.min(PATIENCE_MAX_MS, 2 * subscription.patienceMs)
    this.#request(subscription)
  }

  /** The direct session is gone; the streams wait for the next one. */
  linkLost(keyId: PeerKeyId): void {
    for (const subscription of this.#of(keyId)) {
      clearTimeout(subscription.timer)
      subscription.accepted = false
      subscription.subNonce = undefined
      this.#host.meshUnsubscribe(subscription.stream.streamId)
    }
  }

  /** The member left. */
  forget(keyId: PeerKeyId): void {
    for (const subscription of this.#of(keyId)) this.#close(subscription, false)
  }

  closeAll(): void {
    for (const subscription of this.all) this.#close(subscription, false)
  }

  /** `av.subscribed` or `av.refused` from a member. */
  answered(keyId: PeerKeyId, streamKey: string, subNonce: Bytes, refused: string | undefined): void {
    const subscription = this.#byStream.get(streamKey)
    const current = subscription?.subNonce
    if (subscription === undefined || current === undefined || subscription.participant.id !== keyId) return
    if (!sameBytes(current, subNonce)) return
    clearTimeout(subscription.timer)
    if (refused === undefined) {
      subscription.accepted = true
      subscription.retryMs = RETRY_MS
      return
    }
    this.#retryLater(subscription)
  }

  #of(keyId: PeerKeyId): RemoteSubscription[] {
    return this.all.filter((subscription) => subscription.participant.id === keyId)
  }

  #open(participant: RoomParticipant, entry: { stream: RemoteStream; source: TrackSource; muted: boolean }): void {
    const subscription = new RemoteSubscription(participant, entry.stream, entry, (changed) => this.#sendPolicy(changed))
    this.#byStream.set(entry.stream.streamKey, subscription)
    this.#host.openOutput(participant.id, entry.stream).then(
      (output) => {
        if (subscription.closed) {
          output.close()
          return
        }
        subscription.output = output
        output.setVolume(participant.volume)
        participant.tracks.set(subscription.id, subscription)
        if (subscription.muted) this.#host.setOutputMuted(entry.stream.streamKey, true)
        this.#host.started(subscription)
        this.#request(subscription)
      },
      (error: unknown) => {
        this.#close(subscription, true)
        this.#host.warn(
          error instanceof AvError ? error : new AvError("MediaDecodeFailed", { stream: subscription.id }, { cause: error }),
        )
      },
    )
  }

  #request(subscription: RemoteSubscription): void {
    if (subscription.closed || subscription.output === undefined) return
    clearTimeout(subscription.timer)
    const { stream, participant } = subscription
    const link = this.#host.linkTo(participant.id)
    if (link === undefined) {
      subscription.subNonce = undefined
      return
    }
    const subNonce = this.#host.random(16)
    subscription.subNonce = subNonce
    subscription.accepted = false
    const request: MeshSubscribe = {
      streamId: stream.streamId,
      sealProfile: stream.sealProfile,
      kind: stream.kind,
      codecId: stream.codecId,
      fountain: stream.fountain,
      from: participant.id,
      subNonce,
      link: link.id,
    }
    this.#host.meshSubscribe(request).then(
      (answer) => {
        if (subscription.closed || subscription.subNonce !== subNonce) return
        const sent =
          answer.ok && link.send({ t: "av.subscribe", streamId: stream.streamId, subNonce, policy: subscription.policy })
        if (!sent) {
          subscription.subNonce = undefined
          this.#retryLater(subscription)
          return
        }
        subscription.timer = setTimeout(() => this.#retryLater(subscription), ANSWER_MS)
      },
      () => this.#retryLater(subscription),
    )
  }

  #retryLater(subscription: RemoteSubscription): void {
    if (subscription.closed) return
    clearTimeout(subscription.timer)
    subscription.timer = setTimeout(() => this.#request(subscription), subscription.retryMs)
    subscription.retryMs = Math.min(RETRY_MAX_MS, 2 * subscription.retryMs)
  }

  #sendPolicy(subscription: RemoteSubscription): void {
    const { stream, policy, subNonce, participant } = subscription
    this.#host.setMaxTemporal(stream.streamKey, policy.maxTemporal)
    if (subNonce !== undefined) this.#host.send(participant.id, { t: "av.policy", streamId: stream.streamId, subNonce, policy })
  }

  #close(subscription: RemoteSubscription, tell: boolean): void {
    if (subscription.closed) return
    subscription.closed = true
    clearTimeout(subscription.timer)
    const { stream, participant, subNonce } = subscription
    this.#byStream.delete(stream.streamKey)
    if (participant.tracks.get(subscription.id) === subscription) participant.tracks.delete(subscription.id)
    this.#host.meshUnsubscribe(stream.streamId)
    if (tell && subNonce !== undefined)
      this.#host.send(participant.id, { t: "av.unsubscribe", streamId: stream.streamId, subNonce })
    if (subscription.output === undefined) return
    this.#host.ended(subscription)
    subscription.output.close()
  }
}

function sameBytes(a: Bytes, b: Bytes): boolean {
  return a.length === b.length && a.every((value, index) => value === b[index])
}
