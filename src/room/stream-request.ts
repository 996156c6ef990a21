/** Asks one parent for one stream and keeps it coming: with a fresh key each time, patient with a slow sender (D-19.9). */
import type { MeshRefusal, MeshSubscribe } from "../pipeline/index.ts"
import type { KnownControlMessage } from "../wire/control-json.ts"
import type { Bytes, PeerKeyId, RandomBytes, ReceiverLayerPolicy } from "../wire/types.ts"
import type { RemoteStream } from "./descriptors.ts"

/** Answer to `av.subscribe` is due within this time; then we ask again. */
const ANSWER_MS = 2_000
/** Waiting time before another attempt, doubled up to the maximum. */
const RETRY_MS = 500
const RETRY_MAX_MS = 8_000
/** A silent stream is asked for again after this time, doubled each time up to the maximum. */
const PATIENCE_MS = 5_000
const PATIENCE_MAX_MS = 40_000
/** Requests without an answer that are taken back at the end; a parent has forgotten older ones. */
const MAX_EARLIER = 4

/** What requests need from the room around them. */
export interface RequestHost {
  random: RandomBytes
  /** Sends to the member over its direct session; false while there is none (media needs a direct link). */
  send(keyId: PeerKeyId, message: KnownControlMessage): boolean
  /** The direct link to a member, if there is one. Key and request of a subscription must go the same way. */
  linkTo(keyId: PeerKeyId): { id: string; send(message: KnownControlMessage): boolean } | undefined
  meshSubscribe(request: MeshSubscribe): Promise<{ ok: true } | { ok: false; error: MeshRefusal }>
  /** The stream no longer comes from this neighbour. */
  meshUnsubscribe(streamId: Bytes, from: PeerKeyId): void
  /** Whether frames of the stream are for this page, or only for those it is handed on to. */
  meshDeliver(streamId: Bytes, deliver: boolean): void
}

/** What is asked of the parent, as it is when the request goes out. */
interface RequestTerms {
  policy(): ReceiverLayerPolicy
  deliver(): boolean
  /** Where else the stream can be had, the publisher last (D-45). */
  via: readonly PeerKeyId[]
  /** Symbols `[from, to)` of each object (D-29). */
  symbolRange?: readonly [from: number, to: number]
}

export class StreamRequest {
  readonly stream: RemoteStream
  readonly #from: PeerKeyId
  readonly #host: RequestHost
  readonly #terms: RequestTerms
  #wanted = false
  /** Set while a request is under way or accepted. */
  #subNonce: Bytes | undefined
  #accepted = false
  /** Earlier ones that the parent may still serve, whatever became of the present one: it was accepted, or never answered. */
  #earlier: Bytes[] = []
  #retryMs = RETRY_MS
  #patienceMs = PATIENCE_MS
  #timer: ReturnType<typeof setTimeout> | undefined

  constructor(stream: RemoteStream, from: PeerKeyId, terms: RequestTerms, host: RequestHost) {
    this.stream = stream
    this.#from = from
    this.#terms = terms
    this.#host = host
  }

  get accepted(): boolean {
    return this.#accepted
  }

  get symbolRange(): RequestTerms["symbolRange"] {
    return this.#terms.symbolRange
  }

  start(): void {
    if (this.#wanted) return
    this.#wanted = true
    this.#retryMs = RETRY_MS
    this.#patienceMs = PATIENCE_MS
    this.#ask()
  }

  /** @param tell whether the parent is to hear of it */
  stop(tell: boolean): void {
    if (!this.#wanted) return
    this.#wanted = false
    clearTimeout(this.#timer)
    this.#takeBackEarlier()
    const { streamId } = this.stream
    const subNonce = this.#subNonce
    this.#subNonce = undefined
    this.#accepted = false
    this.#host.meshUnsubscribe(streamId, this.#from)
    if (tell && subNonce !== undefined) this.#host.send(this.#from, { t: "av.unsubscribe", streamId, subNonce })
  }

  /** A direct session came up: ask (again), with a fresh key. */
  linkReady(): void {
    this.#patienceMs = PATIENCE_MS
    this.again()
  }

  /** The direct session is gone; the stream waits for the next one. */
  linkLost(): void {
    if (!this.#wanted) return
    clearTimeout(this.#timer)
    this.#accepted = false
    this.#subNonce = undefined
    this.#earlier = []
    this.#host.meshUnsubscribe(this.stream.streamId, this.#from)
  }

  /** Asks again, with a fresh key: a counter ran out, or nothing comes. */
  again(): void {
    if (this.#wanted) this.#ask()
  }

  /**
   * Nothing came for `silentMs`, not even a keep-alive: asks again, ever more rarely. A fresh key makes everything that is still on its
   * way worthless, so a sender that is only slow must get the time to catch up.
   */
  silent(silentMs: number): void {
    if (!this.#accepted || silentMs < this.#patienceMs) return
    this.#patienceMs = Math.min(PATIENCE_MAX_MS, 2 * this.#patienceMs)
    this.again()
  }

  /**
   * `av.subscribed` or `av.refused`. True when the parent does not want to send this stream (any more); unless {@link stop}
   * follows, a request that was not accepted is repeated after a while.
   */
  answered(subNonce: Bytes, refused: string | undefined): boolean {
    const current = this.#subNonce
    if (current === undefined || !sameBytes(current, subNonce)) return false
    if (refused === undefined) {
      clearTimeout(this.#timer)
      this.#accepted = true
      this.#takeBackEarlier()
      this.#retryMs = RETRY_MS
      return false
    }
    // It knows nothing of what it had accepted (any more).
    if (this.#accepted && refused === "SubscriberNotFound") {
      this.#ask()
      return false
    }
    // What was accepted goes on until we leave it: a publisher only says that a smaller rung would do better.
    if (!this.#accepted) this.#retryLater()
    return true
  }

  /** Whether this is the nonce of the present request. */
  is(subNonce: Bytes): boolean {
    return this.#subNonce !== undefined && sameBytes(this.#subNonce, subNonce)
  }

  policyChanged(): void {
    const subNonce = this.#subNonce
    if (subNonce === undefined) return
    this.#host.send(this.#from, { t: "av.policy", streamId: this.stream.streamId, subNonce, policy: this.#terms.policy() })
  }

  /** What was asked before the present request must not take its place, should it come late. */
  #takeBackEarlier(): void {
    const { streamId } = this.stream
    for (const subNonce of this.#earlier.splice(0)) this.#host.send(this.#from, { t: "av.unsubscribe", streamId, subNonce })
  }

  #ask(): void {
    clearTimeout(this.#timer)
    const link = this.#host.linkTo(this.#from)
    this.#accepted = false
    if (link === undefined) {
      this.#subNonce = undefined
      return
    }
    const subNonce = this.#host.random(16)
    if (this.#subNonce !== undefined) this.#earlier = [...this.#earlier, this.#subNonce].slice(-MAX_EARLIER)
    this.#subNonce = subNonce
    const { streamId, sealProfile, kind, codecId, fountain } = this.stream
    const { via, symbolRange } = this.#terms
    const about = { from: this.#from, subNonce, link: link.id, deliver: this.#terms.deliver() }
    const request: MeshSubscribe = { streamId, sealProfile, kind, codecId, fountain, ...about }
    const range = symbolRange === undefined ? {} : { symbolRange: [...symbolRange] as [number, number] }
    const options = { ...(via.length > 0 ? { via: [...via] } : {}), ...range }
    this.#host.meshSubscribe(request).then(
      (answer) => {
        if (this.#subNonce !== subNonce) return
        const sent = answer.ok && link.send({ t: "av.subscribe", streamId, subNonce, policy: this.#terms.policy(), ...options })
        if (!sent) {
          this.#subNonce = undefined
          this.#retryLater()
          return
        }
        this.#timer = setTimeout(() => this.#retryLater(), ANSWER_MS)
      },
      () => this.#retryLater(),
    )
  }

  #retryLater(): void {
    if (!this.#wanted) return
    clearTimeout(this.#timer)
    this.#timer = setTimeout(() => this.again(), this.#retryMs)
    this.#retryMs = Math.min(RETRY_MAX_MS, 2 * this.#retryMs)
  }
}

function sameBytes(a: Bytes, b: Bytes): boolean {
  return a.length === b.length && a.every((value, index) => value === b[index])
}
