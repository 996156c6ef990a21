/** The pictures inside `<holo-call>`: one tile for each participant, the own one first. */
import type { Participant, Room, Subscription } from "../room/types.ts"

/** Follows the room until `close`. */
export class CallTiles {
  readonly element = document.createElement("div")
  readonly #tiles = new Map<string, { tile: HTMLElement; video: HTMLVideoElement; stream: MediaStream; name: HTMLElement }>()
  readonly #offs: (() => void)[]

  constructor(room: Room, own: MediaStream) {
    this.element.className = "tiles"
    this.#show(room.local)
    for (const track of own.getVideoTracks()) this.#attach(room.local, track)
    this.#offs = [
      room.on("participantJoined", ({ participant }) => this.#show(participant)),
      room.on("participantUpdated", ({ participant }) => this.#show(participant)),
      room.on("speaking", ({ participant }) => this.#show(participant)),
      room.on("participantLeft", ({ participant }) => this.#drop(participant)),
      room.on("track", ({ participant, track }) => this.#attach(participant, track)),
      room.on("trackEnded", ({ participant, subscription }) => this.#detach(participant, subscription)),
    ]
    for (const participant of room.participants.values()) {
      this.#show(participant)
      for (const { track } of participant.subscriptions) this.#attach(participant, track)
    }
  }

  /** Tries again what the browser refused to play before the first click. */
  play(): void {
    for (const { video } of this.#tiles.values()) video.play().catch(() => undefined)
  }

  close(): void {
    for (const off of this.#offs) off()
    for (const { video } of this.#tiles.values()) video.srcObject = null
    this.element.remove()
  }

  #show(participant: Participant): void {
    const { tile, name } = this.#tileOf(participant)
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
    video.play().catch(() => undefined)
  }

  #detach(participant: Participant, ended: Subscription): void {
    const known = this.#tiles.get(participant.id)
    if (known === undefined) return
    known.stream.removeTrack(ended.track)
    const other = participant.subscriptions.find(({ kind, id }) => kind === ended.kind && id !== ended.id)
    if (other !== undefined) this.#attach(participant, other.track)
  }

  #drop(participant: Participant): void {
    this.#tiles.get(participant.id)?.tile.remove()
    this.#tiles.delete(participant.id)
  }

  #tileOf(participant: Participant) {
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
      tile.append(video, name)
      this.element.append(tile)
      known = { tile, video, stream: new MediaStream(), name }
      this.#tiles.set(participant.id, known)
    }
    return known
  }
}
