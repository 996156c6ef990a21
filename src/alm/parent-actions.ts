/** What the parent manager is told and what it asks for. */
import type { Bytes, ChunkLayer, Milliseconds, PeerKeyId, ReceiverLayerPolicy } from "../wire/types.ts"
import type { SymbolRange } from "./types.ts"

/** Why a parent was left; `surplus`: it was asked beside another one that came first. */
export type LeaveReason = "replaced" | "surplus" | "silent" | "timeout" | "leaving" | "closed"

/** For the driver. Actions of one call belong together, in order. */
export type ParentAction =
  /** Send `av.subscribe` (making a link first if there is none). Answer with `subscribed`, `refused` or `lost`. */
  | {
      kind: "subscribe"
      parent: PeerKeyId
      policy: ReceiverLayerPolicy
      /** Undefined: every symbol. */
      range: SymbolRange | undefined
      /** For the member `via` (D-45): where the stream is known to be, nearest first, the publisher last. */
      via: PeerKeyId[]
    }
  /** It accepted, and nothing comes: send `av.subscribe` once more. Its answer says nothing new. */
  | { kind: "subscribeAgain"; parent: PeerKeyId }
  | { kind: "unsubscribe"; parent: PeerKeyId; why: LeaveReason }
  /** Subscribe again at the same parent with another range. */
  | { kind: "setRange"; parent: PeerKeyId; range: SymbolRange | undefined }
  | { kind: "setPolicy"; parent: PeerKeyId; policy: ReceiverLayerPolicy }
  /** Pictures were missed: the decoder needs a fresh start. */
  | { kind: "requestKeyframe"; parent: PeerKeyId }
  /** A warm spare: make a link to it and keep it. At most two at a time. */
  | { kind: "prepare"; parent: PeerKeyId }
  | { kind: "release"; parent: PeerKeyId }
  /** Nobody has fed this stream for 2 s: look for introductions, tell the person. Repeats with a backoff while it lasts. */
  | { kind: "starved" }

export interface ParentManagerOptions {
  me: PeerKeyId
  streamId: Bytes
  /** Sub-stream, empty for the whole stream. */
  path?: Bytes
  /** Asked as a last resort even when it advertises nothing. */
  publisher: PeerKeyId
  policy: ReceiverLayerPolicy
  streamMaxLayer?: ChunkLayer
  /** What the stream costs under the policy, Mbit/s. */
  bitrateMbps: number
  /** `duplicate`: every parent sends everything (sound, base layer). `striped`: two parents share the symbols (D-29). */
  mode?: "duplicate" | "striped"
  /** Parents to have at a time; 2 by default. */
  wanted?: 1 | 2
  /** 0..1; spreads retries. Pass a seeded generator for repeatable runs. */
  random: () => number
}

/** What a parent delivered over the last second or so, as the receiver counted it. */
export interface Delivery {
  /** Chunks received from this parent, copies included, by the number that all parents together show to exist; 0..1. */
  share: number
  /** How much later than the first copy its chunks come, median. */
  lateMs: Milliseconds
}

/** One parent, for statistics and the diagram. */
export interface ParentReport {
  keyId: PeerKeyId
  role: "primary" | "backup" | "asked" | "going"
  /** Why it is to be replaced. */
  doomed: DoomReason | undefined
  range: SymbolRange | undefined
}

/** Why a parent is to be replaced: it stays until another one delivers. */
export type DoomReason = "silent" | "leaving" | "ineligible" | "demoted" | "improved"
