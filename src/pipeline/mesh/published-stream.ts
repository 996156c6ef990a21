/** One of our streams: frames of the publish worker are cut, inner-sealed once, and handed to every subscriber. */
import { BaseShare, EncodedShare, EncoderTarget } from "../../link/encoder-target.ts"
import { burstRepair, publisherRepair } from "../../link/lane-capacity.ts"
import { MESSAGE_OVERHEAD } from "../../link/pacer.ts"
import type { EncodedFrame } from "../../media/types.ts"
import { StreamSealer } from "../../seal/inner/index.ts"
import { AvError, type ErrorCode, isAvError } from "../../wire/errors.ts"
import type { Bytes, PeerKeyId, ReceiverLayerPolicy } from "../../wire/types.ts"
import type { MeshIo } from "./core.ts"
import { DropCounter } from "./drops.ts"
import type { EpochKeys } from "./epoch-keys.ts"
import { Fanout, type NewSubscriber } from "./hop/fanout.ts"
import type { OutStream } from "./hop/out-stream.ts"
import { PolicyRaises } from "./hop/raise.ts"
import { sizeOf } from "./hop/sender.ts"
import { LayerPlan, type PlannedLink } from "./layer-plan.ts"
import { type Packet, packetize } from "./packetize.ts"
import { streamKeyOf } from "./stream-key.ts"
import type { LayersThatFit, MeshPublish, MeshSendStats } from "./types.ts"

/** Frames of one stream that are being sealed; more means the machine does not keep up, and waiting would only add delay. */
const MAX_FRAMES_IN_WORK = 16
/** A stream nobody wants for this long is not encoded, in ms (RM-19). */
const REST_AFTER_MS = 5_000
/** A subscriber that waits for a keyframe has it asked for this often, ms, as long as frames come at all. */
const KEYFRAME_AGAIN_MS = 1_000
const FLOWING_MS = 500
/** Asked for so many times as seldom, as a power of two, when the one subscriber that waits keeps breaking. */
const KEYFRAME_DOUBLINGS = 3
/** An exhausted key or counter is told this often, in ms. */
const EXHAUSTED_EVERY_MS = 1_000
/**
 * A keyframe, and what follows it this closely, may wait this much longer in the queue of a link than STALE_MS: without it
 * nothing that comes later can be shown, and the next one would be no smaller.
 */
const KEYFRAME_PATIENCE_MS = 350
/** With more than this waiting on every link the encoder leaves pictures out, until so much is left; ms. */
const BEHIND_MS = 100
const CAUGHT_UP_MS = 30

export class PublishedStream implements OutStream {
  readonly facts: MeshPublish
  readonly fanout = new Fanout()
  readonly drops = new DropCounter()
  readonly #keys: EpochKeys
  readonly #io: MeshIo
  readonly #key: string
  readonly #port: string
  readonly #sealer: StreamSealer
  /** Frames one after the other, so that they leave in order. */
  readonly #raises = new PolicyRaises()
  readonly encoded = new EncodedShare()
  readonly target = new EncoderTarget()
  readonly #base = new BaseShare()
  readonly #plan: LayerPlan
  #keyframeAt = Number.NEGATIVE_INFINITY
  #askedAt = Number.NEGATIVE_INFINITY
  #frameAt = Number.NEGATIVE_INFINITY
  #line: Promise<void> = Promise.resolve()
  #inWork = 0
  #serial = 0
  #closed = false
  #active: boolean
  #lastWantedAt: number
  #exhaustedToldAt = Number.NEGATIVE_INFINITY
  #frames = 0
  #keyframes = 0
  #encodedBytes = 0
  #chunks = 0
  #droppedFrames = 0

  constructor(stream: MeshPublish, keys: EpochKeys, io: MeshIo) {
    this.facts = stream
    this.#keys = keys
    this.#io = io
    this.#key = streamKeyOf(stream.streamId)
    this.#port = stream.port ?? "publish"
    this.#active = !(stream.idle ?? false)
    this.#lastWantedAt = io.now()
    this.#plan = new LayerPlan(stream.floor)
    this.#sealer = new StreamSealer({ streamId: stream.streamId, keys: keys.sealing, profile: stream.sealProfile })
  }

  get closed(): boolean {
    return this.#closed
  }

  subscribe(subscriber: NewSubscriber): void {
    const known = this.fanout.get(subscriber.peer)
    if (known !== undefined) this.#raises.forget(known)
    this.fanout.add(subscriber, this.facts.kind === "video")
    this.#lastWantedAt = this.#io.now()
    this.#setActive(true)
  }

  /** `false`: there is no such subscriber. More layers may come a moment later, when its link has room for them. */
  setPolicy(peer: PeerKeyId, policy: ReceiverLayerPolicy): boolean {
    const subscriber = this.fanout.get(peer)
    if (subscriber === undefined) return false
    const now = this.#io.now()
    this.#raises.set(subscriber, policy, this.encoded.pathRate(now), now)
    return true
  }

  unsubscribe(peer: PeerKeyId): boolean {
    const subscriber = this.fanout.get(peer)
    if (subscriber !== undefined) this.#raises.forget(subscriber)
    return this.fanout.remove(peer)
  }

  /** Somebody needs a keyframe; the publish worker limits how often it makes one. */
  wantKeyframe(): void {
    this.#askedAt = this.#io.now()
    this.#io.toPublisher(this.#port, { type: "keyframe", streamKey: this.#key })
  }

  /** Takes one encoded frame. It is cut now and sealed as soon as the frame before it was. */
  publish(frameId: number, frame: EncodedFrame): void {
    this.#frames += 1
    this.#encodedBytes += frame.data.byteLength
    if (frame.keyframe && this.facts.kind === "video") this.#keyframes += 1
    if (this.fanout.size === 0) return
    const madeAt = this.#io.now()
    this.#frameAt = madeAt
    try {
      if (this.#inWork >= MAX_FRAMES_IN_WORK) throw new AvError("LimitExceeded", { what: "frames", max: MAX_FRAMES_IN_WORK })
      const { keyframe } = frame
      const length = frame.data.byteLength
      const packets = packetize(this.facts, frameId, frame, (k) => this.#repairs(k, keyframe))
      this.#inWork += 1
      const base = keyframe || frame.temporalId === 0
      const about = { keyframe, base, madeAt, length }
      if (!keyframe && this.facts.kind === "video") this.#base.frame(length, frame.temporalId)
      this.#line = this.#line.then(() => this.#send(packets, about)).finally(() => (this.#inWork -= 1))
    } catch (error) {
      this.#dropFrame(error)
    }
  }

  /** A subscriber's hop could not seal. */
  sealFailed(error: unknown, peer: PeerKeyId): void {
    const code = isAvError(error) ? error.code : "WorkerFailed"
    this.drops.add(code)
    if (code === "LinkSeqExhausted") this.#tellExhausted(code, peer)
  }

  tick(now: number): void {
    this.fanout.tick(now)
    this.#raises.tick(this.encoded.pathRate(now), now)
    const flowing = now - this.#frameAt < FLOWING_MS
    if (flowing && this.facts.kind === "video" && this.fanout.all().some((each) => each.awaitsKeyframe)) this.#askAgain(now)
    if (this.fanout.size > 0) this.#lastWantedAt = now
    else if (now - this.#lastWantedAt >= REST_AFTER_MS) this.#setActive(false)
  }

  stats(): MeshSendStats {
    return {
      streamId: this.facts.streamId,
      kind: this.facts.kind,
      subscribers: this.fanout.peers(),
      frames: this.#frames,
      keyframes: this.#keyframes,
      encodedBytes: this.#encodedBytes,
      chunks: this.#chunks,
      droppedFrames: this.#droppedFrames,
      ...(this.target.told === undefined ? {} : { targetBitrate: this.target.told }),
      ...(this.facts.kind === "video" ? { short: this.#short() } : {}),
      active: this.#active,
    }
  }

  close(): void {
    this.#closed = true
    this.fanout.clear()
  }

  /** A subscriber still waits for a keyframe; after one that did not get through, another must not follow at once. */
  #askAgain(now: number): void {
    const breaks = this.fanout.all().flatMap((each) => (each.awaitsKeyframe ? [each.breaks] : []))
    // Who breaks again and again has a link that is too small: keyframes for it cost everybody else.
    const often = Math.min(KEYFRAME_DOUBLINGS, Math.max(0, Math.min(...breaks) - 1))
    if (now - this.#askedAt >= KEYFRAME_AGAIN_MS * 2 ** often) this.wantKeyframe()
  }

  /** What fits on the links of the subscribers: the encoder gets a new target when it matters, and they the layers they have room for. */
  steer(links: readonly PlannedLink[]): void {
    const now = this.#io.now()
    const takes = this.encoded.pathRate(now) * this.encoded.share
    const told = this.target.offer(this.#plan.plan(links, this.#base.share, now, takes), now)
    if (told !== undefined) this.#io.toPublisher(this.#port, { type: "bitrate", streamKey: this.#key, bps: Math.round(told) })
  }

  fits(peer: PeerKeyId): LayersThatFit {
    return this.#plan.of(peer)
  }

  /** What the stream takes on the path of this subscriber, bit/s. */
  useBy(peer: PeerKeyId, now: number): number {
    return this.encoded.pathRate(now) * (this.fits(peer) === "all" ? 1 : this.#base.share)
  }

  #short(): { peer: PeerKeyId; fits: LayersThatFit }[] {
    return this.fanout.peers().flatMap((peer) => (this.fits(peer) === "all" ? [] : [{ peer, fits: this.fits(peer) }]))
  }

  /** As many as the worst admitted link needs (LL-25); each link then takes what it needs itself. */
  #repairs(nSource: number, keyframe: boolean): number {
    const children = this.fanout.all().map(({ link }) => link.sender.repairInputs())
    return publisherRepair(nSource, keyframe, children) + Math.max(0, ...children.map(burstRepair))
  }

  /** Never rejects: a frame that can not be sealed is dropped and counted, the next one goes on. */
  async #send(packets: Packet[], about: { keyframe: boolean; base: boolean; madeAt: number; length: number }): Promise<void> {
    const { keyframe, base, madeAt, length } = about
    if (this.#closed) return
    const frame = this.#serial++
    this.#sealer.setRosterSize(this.#keys.members)
    let chunks: Bytes[]
    try {
      chunks = await Promise.all(packets.map(({ plaintext, codecId, layer }) => this.#sealer.seal(plaintext, codecId, layer)))
    } catch (error) {
      return this.#dropFrame(error)
    }
    this.#chunks += chunks.length
    if (keyframe) this.fanout.keyframe()
    // Upper layers end and begin at a base frame: what they build on is there.
    if (base) for (const subscriber of this.fanout.all()) subscriber.upperLayers = this.fits(subscriber.peer) === "all"
    const audio = this.facts.kind === "audio"
    if (keyframe) this.#keyframeAt = madeAt
    const patient = !audio && madeAt - this.#keyframeAt < KEYFRAME_PATIENCE_MS
    const patience = patient ? { patienceMs: KEYFRAME_PATIENCE_MS } : {}
    const onBroken = () => this.#askAgain(this.#io.now())
    const context = { streamKey: this.#key, frame, madeAt, audio, keyframe, onBroken, ...patience }
    const onPath = chunks.reduce((sum, chunk) => sum + sizeOf({ innerChunk: chunk }) + MESSAGE_OVERHEAD, 0)
    this.encoded.frame(length, onPath, madeAt)
    chunks.forEach((innerChunk, index) => {
      const nSource = packets[index]?.nSource
      this.fanout.deliver(innerChunk, nSource === undefined ? context : { ...context, nSource })
    })
    this.fanout.flush()
    if (!audio) this.#waitForLinks()
  }

  /** An encoder does not come down as fast as a path may; what it makes too much of would be shed, and then a keyframe is needed. */
  #waitForLinks(): void {
    const links = this.fanout.all().flatMap(({ awaitsKeyframe, link }) => (awaitsKeyframe ? [] : [link.sender.backlogMs]))
    const behind = Math.min(...links)
    if (links.length === 0 || behind < BEHIND_MS) return
    this.#io.toPublisher(this.#port, { type: "wait", streamKey: this.#key, ms: Math.round(behind - CAUGHT_UP_MS) })
  }

  /** One bad frame must not end the line: even an error of another kind (a failing WebCrypto) is only counted. */
  #dropFrame(error: unknown): void {
    const code = isAvError(error) ? error.code : "WorkerFailed"
    this.#droppedFrames += 1
    this.drops.add(code)
    if (code === "DekExhausted") this.#tellExhausted(code)
  }

  #tellExhausted(error: ErrorCode, peer?: PeerKeyId): void {
    const now = this.#io.now()
    if (now - this.#exhaustedToldAt < EXHAUSTED_EVERY_MS) return
    this.#exhaustedToldAt = now
    const event = { type: "exhausted", streamId: this.facts.streamId, error } as const
    this.#io.emit(peer === undefined ? event : { ...event, peer })
  }

  #setActive(active: boolean): void {
    if (this.#active === active) return
    this.#active = active
    this.#io.toPublisher(this.#port, { type: "active", streamKey: this.#key, active })
    this.#io.emit({ type: "stream-active", streamId: this.facts.streamId, active })
  }
}
