/** The pictures inside `<holo-call>`: one tile for each participant, the own one first. */
import type { Participant, Room, Subscription } from "../room/types.ts"
import { QualityMark } from "./quality.ts"

interface Known {
  tile: HTMLElement
  video: HTMLVideoElement
  stream: MediaStream
  name: HTMLElement
  quality: QualityMark
}

/** Follows the room until `close`. */
export class CallTiles {
  readonly element = document.createElement("div")
  readonly #tiles = new Map<string, Known>()
  /** Play without sound because the browser wants a click for it. */
  readonly #silenced = new Set<HTMLVideoElement>()
  readonly #onBlocked: () => void
  readonly #offs: (() => void)[]

  /** @param onBlocked the browser wants a click before it plays sound; {@link play} is to be called from one */
  constructor(room: Room, own: MediaStream, onBlocked: () => void) {
    this.#onBlocked = onBlocked
    this.element.className = "tiles"
    this.#show(room.local)
    for (const track of own.getVideoTracks()) this.#attach(room.local, track)
    this.#offs = [
      room.on("participantJoined", ({ participant }) => this.#show(participant)),
      room.on("participantUpdated", ({ participant }) => this.#show(participant)),
      room.on("speaking", ({ participant }) => this.#show(participant)),
      room.on("qualityChanged", ({ participant }) => this.#show(participant)),
      room.on("participantLeft", ({ participant }) => this.#drop(participant)),
      room.on("track", ({ participant, track }) => this.#attach(participant, track)),
      room.on("trackEnded", ({ participant, subscription }) => this.#detach(participant, subscription)),
    ]
    for (const participant of room.participants.values()) {
      this.#show(participant)
      for (const { track } of participant.subscriptions) this.#attach(participant, track)
    }
  }

  /** Tries again, with sound, what the browser refused to play before the first click. */
  play(): void {
    for (const video of this.#silenced) video.muted = false
    this.#silenced.clear()
    for (const { video } of this.#tiles.values()) void this.#start(video)
  }

  close(): void {
    for (const off of this.#offs) off()
    for (const { video } of this.#tiles.values()) video.srcObject = null
    this.element.remove()
  }

  #show(participant: Participant): void {
    const { tile, name, quality } = this.#tileOf(participant)
    quality.update(participant.quality)
    const shown = participant.name || "Guest"
    name.textContent = participant.isLocal ? `${shown} (you)` : shown
    tile.setAttribute("aria-label", shown)
    tile.classList.toggle("speaking", participant.speaking)
  }

  #attach(participant: Participant, track: MediaStreamTrack): void {
    const { video, stream } = this.#tileOf(participant)
    // One picture in each tile: a shared screen takes the camera's place while it lasts.
    for (const old of stream.getTracks()) if (old.kind === track.kind) stream.removeTrack(old)
    stream.addTrack(track)
    video.srcObject ??= stream
    void this.#start(video)
  }

  /** A picture without sound is better than neither. */
  async #start(video: HTMLVideoElement): Promise<void> {
    try {
      await video.play()
    } catch (error) {
      if (!(error instanceof DOMException) || error.name !== "NotAllowedError" || video.muted) return
      video.muted = true
      this.#silenced.add(video)
      this.#onBlocked()
      await video.play().catch(() => undefined)
    }
  }

  #detach(participant: Participant, ended: Subscription): void {
    const known = this.#tiles.get(participant.id)
    if (known === undefined) return
    known.stream.removeTrack(ended.track)
    const other = participant.subscriptions.find(({ kind, id }) => kind === ended.kind && id !== ended.id)
    if (other !== undefined) this.#attach(participant, other.track)
  }

  #drop(participant: Participant): void {
    const known = this.#tiles.get(participant.id)
    if (known === undefined) return
    this.#tiles.delete(participant.id)
    this.#silenced.delete(known.video)
    known.video.srcObject = null
    known.tile.remove()
  }

  #tileOf(participant: Participant): Known {
    let known = this.#tiles.get(participant.id)
    if (known === undefined) {
      const tile = document.createElement("article")
      const video = document.createElement("video")
      const name = document.createElement("p")
      video.autoplay = true
      video.playsInline = true
      video.muted = participant.isLocal
      if (participant.isLocal) tile.className = "own"
      else tile.dataset.participant = participant.id
      const quality = new QualityMark()
      tile.append(video, quality.element, name)
      this.element.append(tile)
      known = { tile, video, stream: new MediaStream(), name, quality }
      this.#tiles.set(participant.id, known)
    }
    return known
  }
}
