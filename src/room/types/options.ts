/** What an application chooses: how a page joins, publishes and hands on. */
import type { VideoCodecName } from "../../media/video-codecs.ts"
import type { ReconnectBudget } from "../link-care.ts"
import type { TrackSource } from "./media.ts"

/** Where the workers of the library are loaded from; only needed under a strict Content-Security-Policy. */
export interface WorkerUrls {
  mesh?: string | URL
  keys?: string | URL
  publish?: string | URL
  receive?: string | URL
  /** Started when the room has a memory. */
  memory?: string | URL
  /** Started where the browser has no AV1 decoder and somebody sends nothing else. The script-tag build looks for it beside the script. */
  av1?: string | URL
  /** The AudioWorklet module. */
  audio?: string | URL
}

/** What a page waits for while it joins: the server, an answer of the members, or a host that lets it in. */
export type JoinStep = "server" | "members" | "admission"

/** Somebody who asks for a direct link. */
export interface Caller {
  /** Node id, 16 hex digits. */
  node: string
  /** Ed25519 identity key, 64 hex digits. */
  entity: string
  /** Who introduced it: the server, or the node id of a member. */
  introducer: string
}

export type AcceptPeer = (caller: Caller) => boolean | Promise<boolean>

export interface JoinOptions {
  /** Shown to the other members; at most 64 characters. Travels encrypted inside the group, never to the server. */
  name?: string
  /** Ends the attempt to join, or leaves the room when it fires later. */
  signal?: AbortSignal
  /** `false`: use an identity that lives only in this page. Default: the stored identity of this browser. */
  persistentIdentity?: boolean
  /** Told what the page is waiting for, so that a person is not left with a spinner. */
  onProgress?: (step: JoinStep) => void
  /** The application's own ICE servers, beside those the rendezvous server hands out. Default none: nobody is called. */
  iceServers?: RTCIceServer[]
  /**
   * Refuse calls of peers whose address no trusted server has attested, instead of waiting for them to reach this page (which sends nothing
   * to an address that only the peer named). Such pairs stay on the routed way. Default false.
   */
  requireAttestation?: boolean
  /**
   * Asked before this page answers somebody who wants a direct link to it and proved its identity; false, or an error, refuses with `policy`.
   * Such a pair stays on the routed way. Members of the room are all that a server introduces; default: each of them is answered.
   */
  acceptPeer?: AcceptPeer
  /** Required for a room without an invitation secret; without it such a URL is refused with `InvitationInvalid`. */
  open?: boolean
  workers?: WorkerUrls
  /** Video codecs this page says it can show; the others send nothing else to it. Default: what the browser says it can decode. */
  videoCodecs?: readonly VideoCodecName[]
  /** Number of video lanes per link, 1..8. Default 2. */
  videoLanes?: number
  /**
   * Smaller defaults for cameras sent and received: `auto` (default) follows the browser's data saver and a battery that is nearly
   * empty; `true` and `false` decide for it. What `publish` and `setPolicy` are told always wins.
   */
  saving?: "auto" | boolean
  /** `true`: never transfer data channels to the worker; the page forwards buffers. For tests and old browsers. */
  forwardMedia?: boolean
  /** Whether this page hands streams of others on. Default: yes, within the limits that {@link RelayOptions} names. */
  relay?: RelayOptions
  /** Most that this page sends in all, its own pictures and what it hands on; bit/s. Default: what the links carry. */
  uplinkBitrate?: number
  /** How long a broken connection is tried, and how often. Missing members have their defaults. */
  reconnect?: Partial<ReconnectBudget>
  /**
   * At most so many members of the ring are linked in a room that is larger. For tests of large rooms with few pages.
   * @internal
   */
  maxNeighbours?: number
}

/** How much a page does for others. Without it large rooms cannot be: every stream would have to leave its publisher once per viewer. */
export interface RelayOptions {
  /** `false`: nothing is handed on. Default true. */
  enabled?: boolean
  /**
   * Subscriptions of others to streams that are not ours, in all, and to each stream of ours: whoever comes later takes it from somebody
   * else. Default 32, for our own streams 64.
   */
  maxSubscribers?: number
  /** For all copies that leave this page, those of its own streams included, bit/s. Default: what the links carry. */
  uplinkBitrate?: number
}

/** The person asked the browser to save data; the battery is nearly empty and no charger is there; or nothing is saved. */
export type SavingReason = "none" | "data" | "battery"

/**
 * How a picture is sent. `layers`: in up to three sizes, each encoded only while somebody wants it. `single`: in one size.
 * `descriptions`: as two streams of every second picture each; either alone plays on at half the frame rate.
 */
export type PublishMode = "layers" | "single" | "descriptions"

export interface PublishOptions {
  source?: TrackSource
  /** Video only. Default `layers`, for screens `single`. */
  mode?: PublishMode
  /**
   * What the picture shows: `motion` keeps the frame rate when bits or time run short, `detail` and `text` keep the pixels. Default:
   * the `contentHint` of the track, else `text` for screens and `motion` for everything else.
   */
  contentHint?: "motion" | "detail" | "text"
  /** Codecs that may be used. Default: AV1, VP9, VP8, H.264, the first that is fast enough here and that the others can show. */
  codecs?: readonly VideoCodecName[]
  /** Upper bound for the encoder, in bits per second. Defaults: video 700 000, screen 1 500 000, audio 32 000. */
  maxBitrate?: number
  /** Frames per second for video. Default: what the track says, at most 30; for `detail` and `text` at most 15. */
  frameRate?: number
  signal?: AbortSignal
}
