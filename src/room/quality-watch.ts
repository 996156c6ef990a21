/** Asks the workers about once a second how the streams do, and tells people when the quality of somebody changes. */
import { watchPage } from "../media/index.ts"
import { DecodeWatch } from "./decode-watch.ts"
import type { MediaPlane } from "./media-plane.ts"
import type { People } from "./people.ts"
import { type Look, QualityBoard } from "./quality-board.ts"
import type { Quality } from "./types.ts"
import type { RoomWorkers } from "./workers.ts"

const EVERY_MS = 1_000

const LOST: Quality = { score: 0, level: "lost", reason: "network" }

interface QualityWatchOptions {
  workers: RoomWorkers
  media: MediaPlane
  people: People
}

export class QualityWatch {
  readonly board = new QualityBoard()
  readonly #decoders = new DecodeWatch()
  readonly #options: QualityWatchOptions
  readonly #timer: ReturnType<typeof setInterval>
  readonly #stopWatching: () => void
  #hidden = isHidden()
  #asking = false
  #closed = false

  /** Starts watching at once. */
  constructor(options: QualityWatchOptions) {
    this.#options = options
    this.#timer = setInterval(() => void this.#look(), EVERY_MS)
    this.#stopWatching = watchPage({
      onHidden: () => {
        this.#hidden = true
      },
    })
  }

  /** Idempotent. */
  close(): void {
    this.#closed = true
    clearInterval(this.#timer)
    this.#stopWatching()
  }

  async #look(): Promise<void> {
    if (this.#asking) return
    this.#asking = true
    const { workers } = this.#options
    try {
      const [mesh, publish, receive] = await Promise.all([workers.mesh.stats(), workers.publish.stats(), workers.receive.stats()])
      if (this.#closed) return
      const { subscriptions } = this.#options.media
      const slow = this.#decoders.look(receive, this.#hidden, performance.now())
      for (const streamKey of slow) subscriptions.byStreamKey(streamKey)?.tooSlow(streamKey)
      this.board.look({ mesh, publish, receive, hidden: this.#hidden, ...this.#facts() }, performance.now())
      this.#hidden = isHidden()
      this.#tell()
    } catch {
      // The workers are closing, and the room tells that itself.
    } finally {
      this.#asking = false
    }
  }

  #facts(): Pick<Look, "received" | "sent"> {
    const { publications, subscriptions } = this.#options.media
    return {
      received(streamKey) {
        const found = subscriptions.byStreamKey(streamKey)
        if (found === undefined) return undefined
        const { participant, source, muted, stream, policy, layer } = found
        const { temporalLayers, frameRate } = found.streamOf(streamKey) ?? stream
        const halved = temporalLayers > 1 && policy.maxTemporal === 0
        return {
          participant: participant.id,
          source,
          // What the application hides is not asked for, and so not missed.
          muted: muted || layer?.reason === "hidden",
          frameRate: frameRate === undefined || !halved ? frameRate : frameRate / 2,
        }
      },
      sent(streamKey) {
        const found = publications.byStreamKey(streamKey)
        if (found === undefined) return undefined
        const { source, muted, track } = found
        const frameRate = track?.getSettings().frameRate
        // One of two descriptions gets every second picture.
        const shared = publications.stream(streamKey)?.description !== undefined
        return { source, muted, askedFps: frameRate === undefined || !shared ? frameRate : frameRate / 2 }
      },
    }
  }

  #tell(): void {
    const { people } = this.#options
    for (const participant of people.remote.values()) {
      const away = participant.connection === "lost" || participant.connection === "reconnecting"
      people.quality(participant, away ? LOST : this.board.ofParticipant(participant.id))
    }
    people.quality(people.local, this.board.ofLocal())
  }
}

function isHidden(): boolean {
  return typeof document !== "undefined" && document.visibilityState === "hidden"
}
