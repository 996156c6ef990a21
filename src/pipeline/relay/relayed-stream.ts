/** A stream of somebody else that is handed on: what comes from parents goes to children, still sealed (av-mesh 7, D-19, D-39). */
import { MESSAGE_OVERHEAD } from "../../link/pacer.ts"
import { mergePolicies } from "../../membership/policy-merge.ts"
import { RelayDuplicates } from "../../relay/index.ts"
import { decodeChunk } from "../../wire/chunk.ts"
import { type ErrorCode, isAvError } from "../../wire/errors.ts"
import { CODEC_FOUNTAIN, CODEC_OPUS } from "../../wire/layers.ts"
import type { Bytes, PeerKeyId, ReceiverLayerPolicy, SealProfile } from "../../wire/types.ts"
import { DropCounter } from "../mesh/drops.ts"
import { Fanout, type NewSubscriber, type Subscriber } from "../mesh/hop/fanout.ts"
import type { OutStream } from "../mesh/hop/out-stream.ts"
import { PolicyRaises } from "../mesh/hop/raise.ts"
import { sizeOf } from "../mesh/hop/sender.ts"
import type { PlannedLink } from "../mesh/layer-plan.ts"
import { streamKeyOf } from "../mesh/stream-key.ts"
import type { LayersThatFit, MeshRelayedStream } from "../mesh/types.ts"
import { FlowMeter } from "./flow-meter.ts"
import { LayerFit } from "./layer-fit.ts"
import { ObjectGuess } from "./object-guess.ts"

/** A stream is shown to be alive only while a parent of it was heard so lately, ms (D-39). */
const HEARD_MS = 1_000
/** What looks like a keyframe, and what follows it, may wait this much longer in the queue of a link; ms. */
const KEYFRAME_PATIENCE_MS = 350
/** Head room over the most that came in lately. */
const PEAK_MARGIN = 1.25

/** When a neighbour that brings the stream was heard last. */
interface HeardParent {
  peer: PeerKeyId
  started: boolean
  heardAt: number
}

interface RelayedStreamOptions {
  streamId: Bytes
  sealProfile: SealProfile
  now(): number
  parents(): readonly HeardParent[]
  /** Somebody below needs a keyframe. */
  wantKeyframe(): void
  childGone(peer: PeerKeyId): void
  /** A link counter ran out: the child has to subscribe again. */
  exhausted(error: ErrorCode, peer: PeerKeyId): void
}

export class RelayedStream implements OutStream {
  readonly fanout: Fanout
  readonly drops = new DropCounter()
  readonly encoded = { share: 1, pathRate: (now: number) => this.#flow.rate(now) }
  readonly #options: RelayedStreamOptions
  readonly #key: string
  readonly #duplicates = new RelayDuplicates()
  readonly #flow = new FlowMeter()
  readonly #fit = new LayerFit()
  readonly #raises = new PolicyRaises()
  readonly #objects = new ObjectGuess()
  #kind: "audio" | "video" = "video"
  #closed = false
  #chunks = 0
  #bytes = 0
  #copies = 0

  constructor(options: RelayedStreamOptions) {
    this.#options = options
    this.#key = streamKeyOf(options.streamId)
    this.fanout = new Fanout(options.childGone)
  }

  get facts() {
    const { streamId, sealProfile, now } = this.#options
    const peak = this.#flow.peak(now())
    return { streamId, sealProfile, kind: this.#kind, ...(peak === undefined ? {} : { maxBitrate: PEAK_MARGIN * peak }) }
  }

  /** What comes in now, with what lies under the messages; bit/s. */
  get bitrate(): number {
    return this.#flow.rate(this.#options.now())
  }

  get closed(): boolean {
    return this.#closed
  }

  /** What the children want between them; undefined without any. */
  get policy(): ReceiverLayerPolicy | undefined {
    const policies = this.fanout.all().map((child) => this.#raises.wish(child) ?? child.policy)
    return policies.length === 0 ? undefined : mergePolicies(policies)
  }

  subscribe(subscriber: NewSubscriber): void {
    const known = this.fanout.get(subscriber.peer)
    if (known !== undefined) this.#raises.forget(known)
    // A relay sees no keyframes: the child gets what comes and knows itself when it can begin.
    this.fanout.add(subscriber, false)
  }

  setPolicy(peer: PeerKeyId, policy: ReceiverLayerPolicy): boolean {
    const subscriber = this.fanout.get(peer)
    if (subscriber === undefined) return false
    const now = this.#options.now()
    this.#raises.set(subscriber, policy, this.#flow.rate(now), now)
    return true
  }

  unsubscribe(peer: PeerKeyId): boolean {
    const subscriber = this.fanout.get(peer)
    if (subscriber !== undefined) this.#raises.forget(subscriber)
    return this.fanout.remove(peer)
  }

  wantKeyframe(): void {
    this.#options.wantKeyframe()
  }

  sealFailed(error: unknown, peer: PeerKeyId): void {
    const code = isAvError(error) ? error.code : "WorkerFailed"
    this.drops.add(code)
    if (code === "LinkSeqExhausted") this.#options.exhausted(code, peer)
  }

  /**
   * Hands an authentic chunk of a parent to every child but that parent, once however many parents bring it. The bytes are shared, not
   * copied: nobody changes them.
   */
  forward(from: PeerKeyId, innerChunk: Bytes): void {
    const now = this.#options.now()
    const { epoch, chunkSeq, codecId, layer } = decodeChunk(innerChunk)
    if (!this.#duplicates.admit(from, epoch, chunkSeq)) {
      this.#copies += 1
      return
    }
    this.#chunks += 1
    this.#bytes += innerChunk.length
    const audio = codecId === CODEC_OPUS
    this.#kind = audio ? "audio" : "video"
    this.#flow.add(sizeOf({ innerChunk }) + MESSAGE_OVERHEAD, layer.temporal, now)
    const guess = this.#objects.chunk(layer)
    if (layer.temporal === 0 && layer.quality === 0) this.#chooseLayers()
    const context = { streamKey: this.#key, madeAt: now, audio, from, keyframe: guess.keyframe }
    const object = codecId === CODEC_FOUNTAIN ? { ...context, nSource: guess.nSource } : context
    this.fanout.deliver(innerChunk, guess.keyframe ? { ...object, patienceMs: KEYFRAME_PATIENCE_MS } : object)
    this.fanout.flush()
  }

  /** Chunks of this parent turned out to be forged: what it brought counts for nothing. */
  distrust(parent: PeerKeyId): void {
    this.#duplicates.forget(parent)
  }

  tick(now: number): void {
    this.#raises.tick(this.#flow.rate(now), now)
    const heard = this.#options.parents().filter(({ started, heardAt }) => started && now - heardAt <= HEARD_MS)
    // A child that is a parent as well must not be told what it told us.
    this.fanout.tick(now, ({ peer }) => heard.some((parent) => parent.peer !== peer))
  }

  steer(links: readonly PlannedLink[]): void {
    const now = this.#options.now()
    this.#fit.judge(links, this.#flow.rate(now), this.#flow.baseShare, now)
    for (const subscriber of this.fanout.all()) if (this.fits(subscriber.peer) !== "all") subscriber.upperLayers = false
  }

  fits(peer: PeerKeyId): LayersThatFit {
    return this.#fit.of(peer)
  }

  useBy(peer: PeerKeyId, now: number): number {
    return this.#flow.rate(now) * (this.fits(peer) === "all" ? 1 : this.#flow.baseShare)
  }

  stats(): MeshRelayedStream {
    return {
      streamId: this.#options.streamId,
      from: this.#options.parents().map(({ peer }) => peer),
      bitrate: this.bitrate,
      chunks: this.#chunks,
      bytes: this.#bytes,
      duplicates: this.#copies,
      children: this.fanout.all().map((child) => this.#childStats(child)),
      drops: this.drops.snapshot(),
    }
  }

  close(): void {
    this.#closed = true
    this.fanout.clear()
  }

  /** Upper layers begin at a base chunk: what they build on is there. */
  #chooseLayers(): void {
    for (const subscriber of this.fanout.all()) subscriber.upperLayers = this.fits(subscriber.peer) === "all"
  }

  #childStats({ peer, chunks, bytes }: Subscriber): MeshRelayedStream["children"][number] {
    return { peer, chunks, bytes, fits: this.fits(peer) }
  }
}
