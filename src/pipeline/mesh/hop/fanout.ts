/** Hands inner-sealed chunks of one stream to its subscribers. Knows no content key: a relay uses it as it is. */
import { relayForwards } from "../../../link/lane-capacity.ts"
import { admitsChunk, CODEC_OPAQUE, LAYER_BASE } from "../../../wire/layers.ts"
import type { Bytes, ChunkLayer, PeerKeyId, ReceiverLayerPolicy } from "../../../wire/types.ts"
import type { MeshLink } from "./link.ts"
import type { HopSealer } from "./sender.ts"

/** A subscription without media gets a keep-alive this often, in ms (D-6). */
const KEEP_ALIVE_MS = 500
/** Breaks this far apart have nothing to do with each other, ms. */
const BREAKS_TOGETHER_MS = 10_000

export interface Subscriber {
  peer: PeerKeyId
  link: MeshLink
  sealer: HopSealer
  /** Of the request; tells one subscription of a peer from the next. */
  subNonce: Bytes
  policy: ReceiverLayerPolicy
  /** When the last message was handed to the link; ms. */
  lastSentAt: number
  /** Nothing but the next keyframe is of use; only a publisher can tell. */
  awaitsKeyframe: boolean
  /** `false`: the link has no room for more than the base layer. */
  upperLayers: boolean
  /** How often in a row it was left without a base frame, and when last; ms. */
  breaks: number
  brokenAt: number
}

/** What goes with a chunk on its way out. */
interface ChunkContext {
  streamKey: string
  /** Serial number of the frame, see `Queued`. */
  frame: number
  /** When the frame was made or the chunk came in; ms. */
  madeAt: number
  /** Goes to the audio lane, at once or not at all. */
  audio: boolean
  /** Of a fountain symbol: source symbols of its object. With it each subscriber gets the repair its link needs. */
  nSource?: number
  keyframe?: boolean
  patienceMs?: number
  /** A subscriber was left without a base frame and gets nothing until the next keyframe. */
  onBroken?(): void
}

export class Fanout {
  readonly #subscribers = new Map<PeerKeyId, Subscriber>()

  get size(): number {
    return this.#subscribers.size
  }

  get(peer: PeerKeyId): Subscriber | undefined {
    return this.#subscribers.get(peer)
  }

  /** Adds, or replaces the subscription of the same peer. */
  add(subscriber: Subscriber): void {
    const known = this.#subscribers.get(subscriber.peer)
    let slot = known?.sealer
    if (known?.link === subscriber.link && slot instanceof SealerSlot) slot.sealer = subscriber.sealer
    else {
      this.remove(subscriber.peer)
      slot = new SealerSlot(subscriber.sealer)
    }
    this.#subscribers.set(subscriber.peer, { ...subscriber, sealer: slot })
  }

  remove(peer: PeerKeyId): boolean {
    const subscriber = this.#subscribers.get(peer)
    if (subscriber === undefined) return false
    this.#subscribers.delete(peer)
    subscriber.link.forget(subscriber.sealer)
    return true
  }

  /** Ends every subscription that runs over this link. */
  removeLink(link: MeshLink): void {
    for (const subscriber of [...this.#subscribers.values()]) if (subscriber.link === link) this.remove(subscriber.peer)
  }

  clear(): void {
    for (const peer of [...this.#subscribers.keys()]) this.remove(peer)
  }

  all(): Subscriber[] {
    return [...this.#subscribers.values()]
  }

  peers(): PeerKeyId[] {
    return [...this.#subscribers.keys()]
  }

  /** A keyframe starts: whoever waited for one takes part from here on. */
  keyframe(): void {
    for (const subscriber of this.#subscribers.values()) subscriber.awaitsKeyframe = false
  }

  /** Queues a chunk for everyone whose policy admits it. A link in trouble does not touch the others. */
  deliver(innerChunk: Bytes, context: ChunkContext): void {
    const { streamKey, frame, madeAt, audio, nSource, keyframe = false, patienceMs, onBroken } = context
    const { codecId, layer } = placeOf(innerChunk)
    for (const subscriber of this.#subscribers.values()) {
      const { link, sealer, policy, awaitsKeyframe, upperLayers } = subscriber
      if (awaitsKeyframe || !admitsChunk(policy, codecId, layer)) continue
      if (!upperLayers && layer.temporal > 0) continue
      if (audio) {
        link.sendAudio({ innerChunk, sealer })
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
      const item = { innerChunk, sealer, streamKey, frame, nSource, layer, madeAt, keyframe, onBroken: broken }
      link.enqueue(patienceMs === undefined ? item : { ...item, patienceMs })
    }
  }

  /** After the last chunk of a frame. */
  flush(now: number): void {
    for (const subscriber of this.#subscribers.values()) {
      if (subscriber.awaitsKeyframe) continue
      subscriber.lastSentAt = now
      subscriber.link.pump()
    }
  }

  /** Keep-alives for those who got nothing for a while. */
  tick(now: number): void {
    for (const subscriber of this.#subscribers.values()) {
      if (now - subscriber.lastSentAt < KEEP_ALIVE_MS) continue
      subscriber.lastSentAt = now
      subscriber.link.sendKeepAlive(subscriber.sealer)
    }
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

/** Codec and layer out of the clear header (av-mesh 1). An opaque chunk is base layer whatever it says (D-4). */
function placeOf(chunk: Bytes): { codecId: number; layer: ChunkLayer } {
  const codecId = chunk[48]!
  const layer = codecId === CODEC_OPAQUE ? LAYER_BASE : { spatial: chunk[49]!, temporal: chunk[50]!, quality: chunk[51]! }
  return { codecId, layer }
}
