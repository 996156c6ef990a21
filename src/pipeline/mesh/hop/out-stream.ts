/** What the hop side needs to know of a stream that goes out, whether it is made here or only handed on. */
import type { Bytes, PeerKeyId, ReceiverLayerPolicy, SealProfile } from "../../../wire/types.ts"
import type { PlannedLink } from "../layer-plan.ts"
import type { LayersThatFit } from "../types.ts"
import type { Fanout, NewSubscriber } from "./fanout.ts"

/** A stream as the rates of links are divided between its subscribers. */
export interface SteeredStream {
  readonly facts: {
    readonly streamId: Bytes
    readonly kind: "audio" | "video"
    /** Most that it will ever take, bit/s of encoded media, where that is known. */
    readonly maxBitrate?: number
  }
  readonly fanout: Fanout
  readonly encoded: {
    /** What part of the bytes on the path is encoded media. */
    readonly share: number
    /** What it takes on the path of a subscriber that gets everything, bit/s. */
    pathRate(now: number): number
  }
  steer(links: readonly PlannedLink[]): void
  fits(peer: PeerKeyId): LayersThatFit
  /** What it takes on the path of this subscriber, bit/s. */
  useBy(peer: PeerKeyId, now: number): number
}

/** A stream that can be subscribed to. */
export interface OutStream extends SteeredStream {
  readonly facts: SteeredStream["facts"] & { readonly sealProfile: SealProfile }
  readonly closed: boolean
  subscribe(subscriber: NewSubscriber): void
  /** `false`: there is no such subscriber. */
  setPolicy(peer: PeerKeyId, policy: ReceiverLayerPolicy): boolean
  unsubscribe(peer: PeerKeyId): boolean
  /** Somebody needs a keyframe. */
  wantKeyframe(): void
  /** A subscriber's hop could not seal. */
  sealFailed(error: unknown, peer: PeerKeyId): void
}
