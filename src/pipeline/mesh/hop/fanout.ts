/** Hands inner-sealed chunks of one stream to its subscribers. Knows no content key: publishers and relays use it alike. */
import { relayForwards } from "../../../link/lane-capacity.ts"
import { inSymbolRange, Roster, SymbolIndex } from "../../../relay/index.ts"
import { decodeChunk } from "../../../wire/chunk.ts"
import { CODEC_OPAQUE, LAYER_BASE } from "../../../wire/layers.ts"
import type { Bytes, ChunkLayer, PeerKeyId, ReceiverLayerPolicy } from "../../../wire/types.ts"
import type { MeshLink } from "./link.ts"
import type { HopSealer } from "./sender.ts"

/** A subscription without media gets a keep-alive this often, in ms (D-6). */
const KEEP_ALIVE_MS = 500
/** Breaks this far apart have nothing to do with each other, ms. */
const BREAKS_TOGETHER_MS = 10_000

/** A subscription as it was asked for. */
export interface NewSubscriber {
  peer: PeerKeyId
  link: MeshLink
  sealer: HopSealer
  /** Of the request; tells one subscription of a peer from the next. */
  subNonce: Bytes
  policy: ReceiverLayerPolicy
  /** Symbols `[from, to)` of each fountain object (D-29); without it all. */
  symbolRange?: readonly [from: number, to: number]
}

export interface Subscriber extends NewSubscriber {
  /** When the last message was handed to the link; ms. */
  lastSentAt: number
  /** Nothing but the next keyframe is of use; only a publisher can tell. */
  awaitsKeyframe: boolean
  /** `false`: the link has no room for more than the base layer. */
  upperLayers: boolean
  /** How often in a row it was left without a base frame, and when last; ms. */
  breaks: number
  brokenAt: number
  /** Chunks and bytes handed to the link. */
  chunks: number
  bytes: number
}

/** What goes with a chunk on its way out. */
interface ChunkContext {
  streamKey: string
  /** Serial number of the frame, see `Queued`; undefined at a relay. */
  frame?: number
  /** When the frame was made or the chunk came in; ms. */
  madeAt: number
  /** Goes to the audio lane, at once or not at all. */
  audio: boolean
  /** Of a fountain symbol: source symbols of its object. With it each subscriber gets the repair its link needs. */
  nSource?: number
  keyframe?: boolean
  patienceMs?: number
  /** Whom a relay has the chunk from. */
  from?: PeerKeyId
  /** A subscriber was left without a base frame and gets nothing until the next keyframe. */
  onBroken?(): void
}

export class Fanout {
  readonly #roster = new Roster<Subscriber>()
  readonly #onRemoved: (peer: PeerKeyId) => void
  /** Follows the stream while somebody wants only some of its symbols. */
  #symbols: SymbolIndex | undefined

  /** @param onRemoved hears of subscriptions that ended, not of those that were replaced */
  constructor(onRemoved: (peer: PeerKeyId) => void = () => {}) {
    this.#onRemoved = onRemoved
  }

  get size(): number {
    return this.#roster.size
  }

  get(peer: PeerKeyId): Subscriber | undefined {
    return this.#roster.get(peer)
  }

  /** Adds, or replaces the subscription of the same peer. `waits`: nothing before the next keyframe is of use to it. */
  add(subscriber: NewSubscriber, waits: boolean): void {
    const known = this.#roster.get(subscriber.peer)
    let slot = known?.sealer
    if (known?.link === subscriber.link && slot instanceof SealerSlot) slot.sealer = subscriber.sealer
    else {
      known?.link.forget(known.sealer)
      slot = new SealerSlot(subscriber.sealer)
    }
    const never = Number.NEGATIVE_INFINITY
    const nothing = { lastSentAt: never, upperLayers: true, breaks: 0, brokenAt: never, chunks: 0, bytes: 0 }
    this.#roster.set({ ...subscriber, sealer: slot, awaitsKeyframe: waits, ...nothing })
    this.#followSymbols()
  }

  remove(peer: PeerKeyId): boolean {
    const subscriber = this.#roster.delete(peer)
    if (subscriber === undefined) return false
    subscriber.link.forget(subscriber.sealer)
    this.#followSymbols()
    this.#onRemoved(peer)
    return true
  }

  /** Ends every subscription that runs over this link. */
  removeLink(link: MeshLink): void {
    for (const subscriber of this.all()) if (subscriber.link === link) this.remove(subscriber.peer)
  }

  clear(): void {
    for (const peer of this.peers()) this.remove(peer)
  }

  all(): Subscriber[] {
    return [...this.#roster]
  }

  peers(): PeerKeyId[] {
    return this.#roster.peers()
  }

  /** A keyframe starts: whoever waited for one takes part from here on. */
  keyframe(): void {
    for (const subscriber of this.#roster) subscriber.awaitsKeyframe = false
  }

  /** Queues a chunk for everyone whose policy admits it. A link in trouble does not touch the others. */
  deliver(innerChunk: Bytes, context: ChunkContext): void {
    const { streamKey, frame, madeAt, audio, nSource, keyframe = false, patienceMs, from, onBroken } = context
    const { codecId, layer } = placeOf(innerChunk)
    const symbol = this.#symbols?.of(decodeChunk(innerChunk))
    for (const subscriber of this.#roster.admitted(codecId, layer, from)) {
      const { link, sealer, awaitsKeyframe, upperLayers, symbolRange } = subscriber
      if (awaitsKeyframe || (!upperLayers && layer.temporal > 0) || !inSymbolRange(symbolRange, symbol)) continue
      if (audio) {
        link.sendAudio({ innerChunk, sealer })
        handed(subscriber, innerChunk, madeAt)
        continue
      }
      // Repair comes after source, so the quality alone says whether this link needs the symbol (LL-25).
      if (nSource !== undefined && !relayForwards(layer.quality, link.sender.repairs(nSource, keyframe))) continue
      const broken = () => {
        if (onBroken === undefined || subscriber.awaitsKeyframe) return
        subscriber.awaitsKeyframe = true
        subscriber.breaks = madeAt - subscriber.brokenAt < BREAKS_TOGETHER_MS ? subscriber.breaks + 1 : 1
        subscriber.brokenAt = madeAt
        onBroken()
      }
      const item = { innerChunk, sealer, streamKey, nSource, layer, madeAt, keyframe, ...(frame === undefined ? {} : { frame }) }
      const patient = patienceMs === undefined ? item : { ...item, patienceMs }
      link.enqueue(onBroken === undefined ? patient : { ...patient, onBroken: broken })
      handed(subscriber, innerChunk, madeAt)
    }
  }

  /** After the last chunk of a frame, or after each where frames are not seen. */
  flush(): void {
    for (const subscriber of this.#roster) if (!subscriber.awaitsKeyframe) subscriber.link.pump()
  }

  /** Keep-alives for those who got nothing for a while. `lives`: whether the stream may be shown to be alive to this subscriber. */
  tick(now: number, lives: (subscriber: Subscriber) => boolean = () => true): void {
    for (const subscriber of this.#roster) {
      if (now - subscriber.lastSentAt < KEEP_ALIVE_MS || !lives(subscriber)) continue
      subscriber.lastSentAt = now
      subscriber.link.sendKeepAlive(subscriber.sealer)
    }
  }

  #followSymbols(): void {
    const wanted = this.all().some(({ symbolRange }) => symbolRange !== undefined)
    this.#symbols = wanted ? (this.#symbols ?? new SymbolIndex()) : undefined
  }
}

/** The sealer of a subscription; one that is asked for again goes on with a new key, what waits included. */
class SealerSlot implements HopSealer {
  constructor(public sealer: HopSealer) {}

  seal(innerChunk: Bytes): Promise<Bytes> {
    return this.sealer.seal(innerChunk)
  }

  keepAlive(): Promise<Bytes> {
    return this.sealer.keepAlive()
  }

  failed(error: unknown): void {
    this.sealer.failed(error)
  }
}

function handed(subscriber: Subscriber, { length }: Bytes, now: number): void {
  subscriber.lastSentAt = now
  subscriber.chunks += 1
  subscriber.bytes += length
}

/** Codec and layer out of the clear header (av-mesh 1). An opaque chunk is base layer whatever it says (D-4). */
function placeOf(chunk: Bytes): { codecId: number; layer: ChunkLayer } {
  const codecId = chunk[48]!
  const layer = codecId === CODEC_OPAQUE ? LAYER_BASE : { spatial: chunk[49]!, temporal: chunk[50]!, quality: chunk[51]! }
  return { codecId, layer }
}
