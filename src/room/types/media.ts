/** People and their tracks, as an application sees them. */
import type { ReceiverLayerPolicy } from "../../wire/types.ts"

/**
 * `connecting`: not reached yet. `direct`: a link of our own. `routed`: only messages get through, no sound or picture.
 * `reconnecting`: the link broke and is being repaired. `lost`: the room has not heard of them for seconds.
 */
export type ConnectionState = "connecting" | "direct" | "routed" | "reconnecting" | "lost"

export type TrackKind = "audio" | "video"

export type TrackSource = "camera" | "microphone" | "screen" | "other"

/** One local track in the room. */
export interface Publication {
  readonly id: string
  readonly kind: TrackKind
  readonly source: TrackSource
  readonly track: MediaStreamTrack | undefined
  readonly muted: boolean
  mute(): Promise<void>
  unmute(): Promise<void>
  /** Puts another device or stream behind the same publication; the others keep their subscription. */
  replaceTrack(track: MediaStreamTrack): Promise<void>
  unpublish(): Promise<void>
}

/**
 * Why a picture is received as it is. `best`: nothing holds it back. `policy`, `pinned`, `size`, `hidden`: the application asked for
 * it. `network`: the path from the publisher does not carry more now. `cpu`: this machine cannot decode more now. Both are tried again.
 */
export type LayerReason = "best" | "policy" | "pinned" | "size" | "hidden" | "network" | "cpu"

/** What this page receives of a video track. */
export interface LayerInfo {
  /** Number of the rung, 0 the smallest; undefined while nothing is received. */
  spatial: number | undefined
  /** How many sizes the publisher offers. */
  spatialLayers: number
  /** Size in pixels, as the publisher announced it. */
  width: number
  height: number
  /** WebCodecs string. */
  codec: string
  /** Numbers of the descriptions received, where there are several. */
  descriptions?: readonly number[]
  reason: LayerReason
}

/** One remote track that this page receives. */
export interface Subscription {
  readonly id: string
  readonly kind: TrackKind
  readonly source: TrackSource
  readonly participant: Participant
  /** A real MediaStreamTrack; attach it to an element or feed it to Web Audio. */
  readonly track: MediaStreamTrack
  readonly muted: boolean
  /** What is received now and why; undefined for sound and before the first picture. */
  readonly layer: LayerInfo | undefined
  /** Upper bounds: `maxSpatial` for the size, `maxTemporal` for the frame rate (0 halves it), `maxQuality` for repair symbols. */
  setPolicy(policy: ReceiverLayerPolicy): void
  /** Takes exactly this rung (or the next smaller one that exists), whatever the path says; `undefined` lets go of it. */
  pinLayer(spatial: number | undefined): void
  /**
   * How large the picture is shown, in pixels of the screen: the smallest rung that fills it is received, and nothing at all for
   * `"hidden"`. `undefined` (the start) asks for the largest.
   */
  setDisplaySize(size: { width: number; height: number } | "hidden" | undefined): void
  /** Which of several descriptions to receive, by number; `undefined` (the start): all. Does nothing for other streams. */
  setDescriptions(numbers: readonly number[] | undefined): void
  /** How loud this sound is here: 1 as it came, 0 silent, at most 2. Does nothing for video. */
  setVolume(volume: number): void
}

export interface Participant {
  /** The peer's key id: commits to its keys. */
  readonly id: string
  readonly name: string
  readonly isLocal: boolean
  readonly connection: ConnectionState
  readonly speaking: boolean
  /** Audio level 0..1 of the last moment. */
  readonly audioLevel: number
  readonly subscriptions: readonly Subscription[]
  /**
   * How well this participant is seen and heard here; of the local one, how well the others can be served. The worst of its
   * streams; undefined while there is none to judge.
   */
  readonly quality: Quality | undefined
  /** How loud this participant is here, 0..2; 1 unless changed. */
  readonly volume: number
  /** Sets the volume of everything this participant sends now and later. */
  setVolume(volume: number): void
}

/** Whom to blame: the way between the browsers, a machine that is too slow, or the camera or page that gives too little. */
export type QualityReason = "network" | "cpu" | "source" | "none"

/** `lost`: nothing has come for seconds. */
export type QualityLevel = "good" | "fair" | "poor" | "lost"

/** A score as people give it to a call, smoothed: it falls at once and rises slowly. */
export interface Quality {
  /** 5 excellent, 4 good, 3 fair, 2 poor, 1 bad, 0 nothing comes. One decimal. */
  score: number
  /** The score in words that do not flicker. */
  level: QualityLevel
  /** What costs most; `none` while nothing is worth a word. */
  reason: QualityReason
}
