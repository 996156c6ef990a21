/** One subscribed stream: inner open, then frames out of symbols and fragments, for the receive worker. */
import { FountainAssembler } from "../../fountain/index.ts"
import type { EncodedFrame } from "../../media/types.ts"
import { type ContentKeys, InnerOpener, type InnerResult } from "../../seal/inner/index.ts"
import { AvError } from "../../wire/errors.ts"
import { decodeMediaPayload, type MediaPayload, PAYLOAD_KIND_FOUNTAIN } from "../../wire/media-payload.ts"
import type { Bytes, PeerKeyId } from "../../wire/types.ts"
import type { MeshIo } from "./core.ts"
import { FrameAges } from "./frame-ages.ts"
import { FrameJoiner, type JoinedFrame } from "./frame-joiner.ts"
import { OnTimeCount } from "./on-time.ts"
import { contentKindOf, MAX_FRAME_BYTES } from "./packetize.ts"
import { RepairCount } from "./repair-count.ts"
import { streamKeyOf } from "./stream-key.ts"
import { TailWatch } from "./tail-watch.ts"
import type { MeshReceiveStats, MeshSubscribe } from "./types.ts"

/** Requests for a keyframe go up at most this often, in ms (RM-19). */
const KEYFRAME_EVERY_MS = 300
const MAX_PTS = BigInt(Number.MAX_SAFE_INTEGER)

export class ReceivedStream {
  readonly #facts: MeshSubscribe
  readonly #io: MeshIo
  readonly #key: string
  readonly #port: string
  readonly #opener: InnerOpener
  readonly #objects = new FountainAssembler()
  readonly #repairs = new RepairCount()
  readonly #ages = new FrameAges()
  readonly #onTime = new OnTimeCount()
  readonly #tails = new TailWatch()
  readonly #joiner: FrameJoiner
  #closed = false
  /** When the part came that is being taken. */
  #cameAt = 0
  #keyframeAt = Number.NEGATIVE_INFINITY
  #temporal: number | undefined
  #chunks = 0
  #receivedBytes = 0
  #duplicates = 0
  #frames = 0
  #keyframes = 0
  #lostFrames = 0
  #keyframeRequests = 0

  constructor(stream: MeshSubscribe, keys: ContentKeys, io: MeshIo) {
    this.#facts = stream
    this.#io = io
    this.#key = streamKeyOf(stream.streamId)
    this.#port = stream.port ?? "receive"
    this.#opener = new InnerOpener({ streamId: stream.streamId, keys, profile: stream.sealProfile })
    this.#joiner = new FrameJoiner({
      // Video numbers have gaps of their own: layers that were not subscribed, frames the encoder left out.
      sparse: stream.kind === "video",
      maxFrameBytes: MAX_FRAME_BYTES,
      onLost: (frameId) => this.#lost(frameId),
      onUnreported: (count) => {
        this.#lostFrames += count
      },
      onRestart: () => {
        this.#objects.reset()
        this.#tails.clear()
      },
    })
  }

  /** Steps 6-9 of av-mesh 4.2. Never rejects. */
  open(innerChunk: Bytes): Promise<InnerResult> {
    return this.#opener.open(innerChunk)
  }

  /**
   * Takes an authentic plaintext.
   * @param cameAt when its chunk came; earlier than now when it had to wait for its key, ms
   * @returns how long its frame had been waiting for it, ms: 0 for the first part, and when the frame was complete without it
   * @throws AvError `PayloadVersion`, `PayloadInvalid`, `DecodeFailed`: a member sent something that is no media of this stream.
   */
  deliver(temporalId: number, plaintext: Bytes, cameAt: number): number {
    if (this.#closed) return 0
    this.#chunks += 1
    this.#receivedBytes += plaintext.length
    const payload = decodeMediaPayload(plaintext)
    if (payload.ptsUs > MAX_PTS) throw new AvError("PayloadInvalid", { why: "time" })
    const own = contentKindOf(this.#facts)
    this.#cameAt = cameAt
    const awaited = this.#joiner.wants(payload.frameId) ? this.#ages.part(payload.frameId, this.#io.now()) : 0
    if (payload.kind === PAYLOAD_KIND_FOUNTAIN) this.#symbol(payload, own, temporalId)
    else if (payload.kind === own) this.#part(payload, payload.body, temporalId, false)
    else throw new AvError("PayloadInvalid", { why: "kind", kind: payload.kind })
    return awaited
  }

  countDuplicate(): void {
    this.#duplicates += 1
  }

  /** `true` when a request for a keyframe may go up now; counts it. */
  keyframeDue(): boolean {
    const now = this.#io.now()
    if (now - this.#keyframeAt < KEYFRAME_EVERY_MS) return false
    this.#keyframeAt = now
    this.#keyframeRequests += 1
    return true
  }

  /** `true` when the end of a frame seems lost: ask for what may have followed the last messages. */
  tailLost(): boolean {
    return this.#tails.due(this.#io.now())
  }

  stats(from: PeerKeyId[], held: number): MeshReceiveStats {
    return {
      streamId: this.#facts.streamId,
      kind: this.#facts.kind,
      from,
      chunks: this.#chunks,
      receivedBytes: this.#receivedBytes,
      duplicates: this.#duplicates,
      frames: this.#frames,
      keyframes: this.#keyframes,
      repairedFrames: this.#repairs.frames,
      lostFrames: this.#lostFrames,
      within100: this.#onTime.within100,
      within150: this.#onTime.within150,
      within250: this.#onTime.within250,
      transit: [...this.#onTime.transit],
      keyframeRequests: this.#keyframeRequests,
      held,
      ...(this.#temporal === undefined ? {} : { layer: { spatial: 0, temporal: this.#temporal } }),
    }
  }

  close(): void {
    this.#closed = true
    this.#objects.reset()
  }

  #symbol(payload: MediaPayload, own: number, temporalId: number): void {
    if (!this.#joiner.wants(payload.frameId)) {
      this.#repairs.late(payload, this.#io.now())
      return
    }
    this.#joiner.begin(payload.frameId)
    const refused = this.#objects.stats.refused
    const object = this.#objects.add(payload)
    if (this.#objects.stats.refused > refused) throw new AvError("PayloadInvalid", { why: "symbol" })
    if (object === undefined) {
      this.#tails.part(payload.frameId, this.#io.now())
      return
    }
    this.#tails.done(payload.frameId)
    if (object.contentKind !== own) throw new AvError("PayloadInvalid", { why: "content kind", kind: object.contentKind })
    this.#repairs.completed(payload.frameId, object.repaired, this.#io.now())
    // The assembler has put the objects of the frame together already.
    this.#part({ ...payload, fragIndex: 0, fragCount: 1 }, object.content, temporalId, object.repaired > 0)
  }

  #part(payload: MediaPayload, bytes: Bytes, temporalId: number, repaired: boolean): void {
    const { frameId, fragIndex, fragCount, ptsUs, keyframe, discontinuity, aux } = payload
    const part = { frameId, ptsUs, keyframe, discontinuity, aux, temporalId, repaired, bytes, index: fragIndex, count: fragCount }
    const { verdict, frame } = this.#joiner.add(part)
    if (verdict === "mismatch") throw new AvError("PayloadInvalid", { why: "fragment", frameId })
    if (frame !== undefined) this.#emit(frame)
  }

  #emit(joined: JoinedFrame): void {
    const { frameId, keyframe, temporalId, repaired, data, aux } = joined
    const audio = this.#facts.kind === "audio"
    this.#frames += 1
    this.#onTime.complete(Number(joined.ptsUs) / 1_000, this.#io.timeOrigin + this.#io.now())
    this.#temporal = temporalId
    if (keyframe && !audio) this.#keyframes += 1
    const frame: EncodedFrame = { ptsUs: Number(joined.ptsUs), keyframe, temporalId, data }
    if (audio) frame.durationMs = aux === 0 ? 2.5 : aux
    if (joined.discontinuity) frame.discontinuity = true
    const arrivalUs = Math.round((this.#io.timeOrigin + this.#cameAt) * 1_000)
    this.#io.toReceiver(this.#port, { type: "frame", streamKey: this.#key, frameId, frame, arrivalUs, repaired })
  }

  #lost(frameId: number): void {
    this.#lostFrames += 1
    this.#tails.done(frameId)
    this.#io.toReceiver(this.#port, { type: "lost", streamKey: this.#key, frameId })
  }
}
