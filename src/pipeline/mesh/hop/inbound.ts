/**
 * Lane message → link frame → outer open: the part of receiving that a relay shares (av-mesh 4.2, steps 1-4). Nothing here
 * knows a content key; what comes out is sealed for the group.
 */
import { type OuterResult, streamIdOfFrame } from "../../../seal/outer/index.ts"
import type { ErrorCode } from "../../../wire/errors.ts"
import { decodeLaneMessage } from "../../../wire/lane-message.ts"
import { CODEC_OPAQUE } from "../../../wire/layers.ts"
import type { Bytes, PeerKeyId } from "../../../wire/types.ts"
import { DropCounter } from "../drops.ts"
import { streamKeyOf } from "../stream-key.ts"
import type { MeshLinkId } from "../types.ts"
import type { MeshLink } from "./link.ts"

/** After a re-subscribe the previous key still opens for this long, in ms (D-6). */
const PREVIOUS_KEY_MS = 2_000
/** Most messages of one link that are being opened at a time; a flood beyond is dropped before any work. */
export const MAX_OPENING = 512

/** Opens link frames of one subscription; replay window and key are inside. Never rejects. */
export interface HopOpener {
  open(frame: Bytes): Promise<OuterResult>
}

/** One stream from one neighbour. */
export interface Inflow {
  streamId: Bytes
  streamKey: string
  link: MeshLink
  peer: PeerKeyId
  opener: HopOpener
  previous?: { opener: HopOpener; until: number }
  /** When the last authentic message came, or when we began; ms. */
  heardAt: number
  started: boolean
  /** Chunks and bytes that opened; `base`: those that every parent sends alike, see {@link isBaseSource}; `upper`: of upper temporal layers. */
  chunks: number
  base: number
  upper: number
  bytes: number
}

interface InboundSink {
  /** An authentic chunk: header and inner ciphertext. Must not reject because of its content. */
  chunk(inflow: Inflow, innerChunk: Bytes): Promise<void>
  /** Anything authentic, keep-alives included. */
  heard(inflow: Inflow): void
}

export class Inbound {
  readonly laneDrops = new DropCounter()
  readonly outerDrops = new DropCounter()
  readonly #inflows = new Map<string, Map<MeshLinkId, Inflow>>()
  readonly #opening = new Map<MeshLink, number>()
  readonly #sink: InboundSink
  readonly #now: () => number

  constructor(sink: InboundSink, now: () => number) {
    this.#sink = sink
    this.#now = now
  }

  /** Adds a subscription, or gives an existing one a new key. */
  add(streamId: Bytes, link: MeshLink, peer: PeerKeyId, opener: HopOpener): void {
    const streamKey = streamKeyOf(streamId)
    const inflows = this.#inflows.get(streamKey) ?? new Map<MeshLinkId, Inflow>()
    this.#inflows.set(streamKey, inflows)
    const known = inflows.get(link.id)
    if (known === undefined) {
      const counts = { chunks: 0, base: 0, upper: 0, bytes: 0 }
      inflows.set(link.id, { streamId, streamKey, link, peer, opener, heardAt: this.#now(), started: false, ...counts })
    } else {
      known.previous = { opener: known.opener, until: this.#now() + PREVIOUS_KEY_MS }
      known.opener = opener
    }
  }

  /** Ends the stream from this peer, or from all of them. */
  remove(streamKey: string, peer?: PeerKeyId): void {
    const inflows = this.#inflows.get(streamKey)
    if (inflows === undefined) return
    for (const inflow of [...inflows.values()]) if (peer === undefined || inflow.peer === peer) inflows.delete(inflow.link.id)
    if (inflows.size === 0) this.#inflows.delete(streamKey)
  }

  removeLink(link: MeshLink): void {
    for (const [streamKey, inflows] of [...this.#inflows]) {
      inflows.delete(link.id)
      if (inflows.size === 0) this.#inflows.delete(streamKey)
    }
  }

  /** A link that another one to the same peer has taken the place of: its subscription ended at the other end without a word. */
  retire({ streamKey, link }: Inflow): void {
    const inflows = this.#inflows.get(streamKey)
    inflows?.delete(link.id)
    if (inflows?.size === 0) this.#inflows.delete(streamKey)
  }

  /** Streams with a subscription. */
  get streams(): number {
    return this.#inflows.size
  }

  /** Subscriptions of one stream. */
  of(streamKey: string): Inflow[] {
    return [...(this.#inflows.get(streamKey)?.values() ?? [])]
  }

  all(): Inflow[] {
    return [...this.#inflows.values()].flatMap((inflows) => [...inflows.values()])
  }

  /** One message of a media lane. Resolves when it was dealt with; never rejects because of what the peer sent. */
  async message(link: MeshLink, laneId: number, bytes: Bytes): Promise<void> {
    const lane = link.lane(laneId)
    if (lane === undefined) return
    lane.receivedMessages += 1
    lane.receivedBytes += bytes.length
    const frame = this.#parse(link, laneId, bytes)
    if (frame === undefined) return
    const opening = this.#opening.get(link) ?? 0
    if (opening >= MAX_OPENING) return this.#drop(link, "LimitExceeded")
    this.#opening.set(link, opening + 1)
    try {
      await this.#open(link, frame)
    } finally {
      const left = this.#opening.get(link)! - 1
      if (left === 0) this.#opening.delete(link)
      else this.#opening.set(link, left)
    }
  }

  /** The link frame of a data message; everything else is dealt with here. */
  #parse(link: MeshLink, laneId: number, bytes: Bytes): Bytes | undefined {
    try {
      const message = decodeLaneMessage(bytes)
      if (message.type === "report") link.takeReport(message)
      if (message.type === "nack") link.takeNack(message)
      if (message.type === "unknown") link.drops.add("LaneFrameInvalid")
      if (message.type !== "data" && message.type !== "padding") return undefined
      link.countArrival(laneId, message.laneSeq, message.sentUs, bytes.length)
      return message.type === "data" ? message.body : undefined
    } catch (error) {
      link.drops.add(this.laneDrops.caught(error))
      return undefined
    }
  }

  async #open(link: MeshLink, frame: Bytes): Promise<void> {
    const streamId = streamIdOfFrame(frame)
    if (streamId === undefined) return this.#drop(link, "WireTooShort")
    const inflow = this.#inflows.get(streamKeyOf(streamId))?.get(link.id)
    if (inflow === undefined) return this.#drop(link, "UnknownStream")
    const result = await this.#tryKeys(inflow, frame)
    if (result.kind === "dropped") return this.#drop(link, result.error)
    inflow.heardAt = this.#now()
    this.#sink.heard(inflow)
    if (result.kind !== "chunk") return
    inflow.chunks += 1
    inflow.bytes += result.innerChunk.length
    if (isBaseSource(result.innerChunk)) inflow.base += 1
    else if (isUpper(result.innerChunk)) inflow.upper += 1
    await this.#sink.chunk(inflow, result.innerChunk)
  }

  /** The current key, and for a while after a re-subscribe the one before: their counters are unrelated. */
  async #tryKeys(inflow: Inflow, frame: Bytes): Promise<OuterResult> {
    const result = await inflow.opener.open(frame)
    const previous = inflow.previous
    if (result.kind !== "dropped" || previous === undefined) return result
    if (this.#now() >= previous.until) {
      delete inflow.previous
      return result
    }
    const again = await previous.opener.open(frame)
    return again.kind === "dropped" ? result : again
  }

  #drop(link: MeshLink, code: ErrorCode): void {
    this.outerDrops.add(code)
    link.drops.add(code)
  }
}

/** By the clear header. */
function isUpper(chunk: Bytes): boolean {
  return chunk[48] !== CODEC_OPAQUE && chunk[50] !== 0
}

/** By the clear header: no upper layer, and no repair, of which each link gets as much as it needs. */
function isBaseSource(chunk: Bytes): boolean {
  return chunk[48] === CODEC_OPAQUE || (chunk[50] === 0 && chunk[51] === 0)
}
