/** One audio or video lane of a link: its peer connection, and its channel handed to the mesh worker. */
import { canTransferDataChannel, forwardChannel, MEDIA_CHANNEL } from "./lane-forward.ts"
import { LanePeer, type LanePeerOptions } from "./lane-peer.ts"
import { AUDIO_LANE, type LanePath, type LaneState, type MediaLaneRole } from "./lane-port.ts"
import type { LaneInfo, LaneSink } from "./types.ts"

/** `disconnected` for this long is the end of a lane, ms (link-lanes LL-16). */
const DISCONNECTED_MS = 3_000

interface MediaLaneOptions extends Omit<LanePeerOptions, "onState" | "onCandidate"> {
  link: string
  sink: LaneSink
  forward: boolean
  onState(lane: MediaLane, state: LaneState): void
}

/** Roles follow from ids: 1 is the audio lane, everything above carries video. */
export function laneRole(laneId: number): MediaLaneRole {
  return laneId === AUDIO_LANE ? "audio" : "video"
}

export class MediaLane {
  readonly laneId: number
  readonly role: MediaLaneRole
  readonly peer: LanePeer
  readonly path: LanePath
  readonly #options: MediaLaneOptions
  readonly #createdAt = performance.now()
  #state: LaneState = "connecting"
  #openMs: number | undefined
  #disconnected: ReturnType<typeof setTimeout> | undefined
  #held = false

  constructor(options: MediaLaneOptions) {
    this.laneId = options.laneId
    this.role = laneRole(options.laneId)
    this.#options = options
    this.peer = new LanePeer({ ...options, onState: (state) => this.#connection(state) })
    this.path = this.#handOver(this.peer.connection.createDataChannel("av", MEDIA_CHANNEL))
  }

  get state(): LaneState {
    return this.#state
  }

  get info(): LaneInfo {
    const { laneId, role, path } = this
    return { laneId, role, path, state: this.#state, ...(this.#openMs !== undefined && { openMs: this.#openMs }) }
  }

  /** While the path of the whole link is in doubt its lanes wait; afterwards the state of the connection counts again. */
  hold(held: boolean): void {
    if (this.#held === held) return
    this.#held = held
    if (held) clearTimeout(this.#disconnected)
    if (!held && this.#state !== "closed") this.#connection(this.peer.connection.connectionState)
  }

  /** Idempotent. The worker is told, the peer is not. */
  close(): void {
    if (this.#state === "closed") return
    this.#state = "closed"
    clearTimeout(this.#disconnected)
    this.peer.close()
    this.#options.sink.remove({ link: this.#options.link, laneId: this.laneId })
    this.#options.onState(this, "closed")
  }

  /** Must run in the task that made the channel: afterwards the browser does not let it go any more. */
  #handOver(channel: RTCDataChannel): LanePath {
    const { sink, link, forward, webrtc } = this.#options
    const { laneId, role } = this
    if (!forward && (webrtc?.givesChannels ?? canTransferDataChannel())) {
      try {
        sink.add({ link, laneId, role, source: { path: "transferred", channel } })
        return "transferred"
      } catch {
        // The sink could not post it: this lane goes through the page.
      }
    }
    sink.add({ link, laneId, role, source: forwardChannel(channel) })
    return "forwarded"
  }

  #connection(state: RTCPeerConnectionState): void {
    clearTimeout(this.#disconnected)
    // An ICE restart revives a connection that has failed.
    if (this.#held && (state === "failed" || state === "disconnected")) return
    if (state === "failed" || state === "closed") this.close()
    else if (state === "disconnected") this.#disconnected = setTimeout(() => this.close(), DISCONNECTED_MS)
    else if (state === "connected" && this.#state === "connecting") {
      this.#state = "open"
      this.#openMs = performance.now() - this.#createdAt
      this.#options.onState(this, "open")
    }
  }
}
