/** One of our streams: frames of the publish worker are cut, inner-sealed once, and handed to every subscriber. */
import type { EncodedFrame } from "../../media/types.ts"
import { StreamSealer } from "../../seal/inner/index.ts"
import { AvError, type ErrorCode, isAvError } from "../../wire/errors.ts"
import type { Bytes, PeerKeyId } from "../../wire/types.ts"
import type { MeshIo } from "./core.ts"
import { DropCounter } from "./drops.ts"
import type { EpochKeys } from "./epoch-keys.ts"
import { Fanout, type Subscriber } from "./hop/fanout.ts"
import { type Packet, packetize } from "./packetize.ts"
import { streamKeyOf } from "./stream-key.ts"
import type { MeshPublish, MeshSendStats } from "./types.ts"

/** Frames of one stream that are being sealed; more means the machine does not keep up, and waiting would only add delay. */
const MAX_FRAMES_IN_WORK = 16
/** A stream nobody wants for this long is not encoded, in ms (RM-19). */
const REST_AFTER_MS = 5_000
/** An exhausted key or counter is told this often, in ms. */
const EXHAUSTED_EVERY_MS = 1_000

export class PublishedStream {
  readonly facts: MeshPublish
  readonly fanout = new Fanout()
  readonly drops = new DropCounter()
  readonly #keys: EpochKeys
  readonly #io: MeshIo
  readonly #key: string
  readonly #port: string
  readonly #sealer: StreamSealer
  /** Frames one after the other, so that they leave in order. */
  #line: Promise<void> = Promise.resolve()
  #inWork = 0
  #serial = 0
  #closed = false
  #active = true
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
    this.#lastWantedAt = io.now()
    this.#sealer = new StreamSealer({ streamId: stream.streamId, keys: keys.sealing, profile: stream.sealProfile })
  }

  get closed(): boolean {
    return this.#closed
  }

  subscribe(subscriber: Omit<Subscriber, "lastSentAt" | "awaitsKeyframe">): void {
    const video = this.facts.kind === "video"
    this.fanout.add({ ...subscriber, lastSentAt: Number.NEGATIVE_INFINITY, awaitsKeyframe: video })
    this.#lastWantedAt = this.#io.now()
    this.#setActive(true)
    if (video) this.wantKeyframe()
  }

  /** Somebody needs a keyframe; the publish worker limits how often it makes one. */
  wantKeyframe(): void {
    this.#io.toPublisher(this.#port, { type: "keyframe", streamKey: this.#key })
  }

  /** Takes one encoded frame. It is cut now and sealed as soon as the frame before it was. */
  publish(frameId: number, frame: EncodedFrame): void {
    this.#frames += 1
    this.#encodedBytes += frame.data.byteLength
    if (frame.keyframe && this.facts.kind === "video") this.#keyframes += 1
    if (this.fanout.size === 0) return
    const madeAt = this.#io.now()
    try {
      if (this.#inWork >= MAX_FRAMES_IN_WORK) throw new AvError("LimitExceeded", { what: "frames", max: MAX_FRAMES_IN_WORK })
      const packets = packetize(this.facts, frameId, frame)
      this.#inWork += 1
      this.#line = this.#line.then(() => this.#send(packets, frame.keyframe, madeAt)).finally(() => (this.#inWork -= 1))
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
      active: this.#active,
    }
  }

  close(): void {
    this.#closed = true
    this.fanout.clear()
  }

  /** Never rejects: a frame that can not be sealed is dropped and counted, the next one goes on. */
  async #send(packets: Packet[], keyframe: boolean, madeAt: number): Promise<void> {
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
    const audio = this.facts.kind === "audio"
    for (const chunk of chunks) this.fanout.deliver(chunk, { streamKey: this.#key, frame, madeAt, audio })
    this.fanout.flush(this.#io.now())
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
