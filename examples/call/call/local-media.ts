/** This person's microphone, camera and shared screen during the call: on, off, another device. */
import { openDevices, openScreen, type Publication, type Room } from "holomesh"
import { loadPreferences, savePreferences } from "../preferences.ts"
import type { Scope } from "../scope.ts"

export type MediaKind = "microphone" | "camera"

export interface LocalMediaOptions {
  room: Room
  scope: Scope
  /** Something is on, off or different now. */
  onChange: () => void
  /** A device could not be opened or stopped by itself. */
  onProblem: (error: unknown) => void
}

export class LocalMedia {
  readonly #options: LocalMediaOptions
  readonly #published: Partial<Record<MediaKind, Publication>> = {}
  #screen: Publication[] = []
  /** One change after another: a double click must not open a device twice. */
  #queue: Promise<void> = Promise.resolve()

  constructor(options: LocalMediaOptions) {
    this.#options = options
    const { room, scope } = options
    scope.add(() => this.#stopAll())
    scope.add(
      room.on("deviceLost", ({ publication }) => {
        if (this.#screen.includes(publication)) void this.stopSharing()
        else void this.#replaceLost(publication)
      }),
    )
  }

  get sharing(): boolean {
    return this.#screen.length > 0
  }

  isOn(kind: MediaKind): boolean {
    const publication = this.#published[kind]
    return publication !== undefined && !publication.muted && publication.track?.readyState === "live"
  }

  track(kind: MediaKind): MediaStreamTrack | undefined {
    return this.#published[kind]?.track
  }

  /** Publishes what was opened before the call, or closes it when the call is over already. */
  publish(stream: MediaStream): Promise<void> {
    this.#options.scope.add(() => {
      for (const track of stream.getTracks()) track.stop()
    })
    return this.#inTurn(async () => {
      for (const track of stream.getTracks()) await this.#publishTrack(track.kind === "video" ? "camera" : "microphone", track)
    })
  }

  toggle(kind: MediaKind): Promise<void> {
    return this.#inTurn(() => (this.isOn(kind) ? this.#turnOff(kind) : this.#turnOn(kind)))
  }

  turnOff(kind: MediaKind): Promise<void> {
    return this.#inTurn(() => this.#turnOff(kind))
  }

  /** Another device; turns it on when it was off. */
  choose(kind: MediaKind, device: string): Promise<void> {
    savePreferences({ [kind]: device })
    return this.#inTurn(() => this.#turnOn(kind, device))
  }

  share(): Promise<void> {
    // The browser's dialogue needs the click, so it does not wait its turn.
    const opened = openScreen({ audio: true })
    return this.#inTurn(async () => {
      const stream = await opened
      const [video] = stream.getVideoTracks()
      video?.addEventListener("ended", () => void this.stopSharing(), { once: true })
      for (const track of stream.getTracks()) {
        this.#screen.push(...(await this.#options.room.publish(track, { source: "screen" })))
      }
    })
  }

  stopSharing(): Promise<void> {
    return this.#inTurn(async () => {
      for (const publication of this.#screen.splice(0)) {
        publication.track?.stop()
        await publication.unpublish()
      }
    })
  }

  async #turnOff(kind: MediaKind): Promise<void> {
    const publication = this.#published[kind]
    await publication?.mute()
    // The camera's light goes off with the picture. The microphone stays open so that a word is not lost after unmuting.
    if (kind === "camera") publication?.track?.stop()
  }

  async #turnOn(kind: MediaKind, device?: string): Promise<void> {
    const publication = this.#published[kind]
    if (device === undefined && publication?.track?.readyState === "live") return publication.unmute()
    const track = await this.#open(kind, device)
    if (track === undefined) return
    if (publication === undefined) return this.#publishTrack(kind, track)
    const former = publication.track
    await publication.replaceTrack(track)
    former?.stop()
    if (publication.muted) await publication.unmute()
  }

  async #open(kind: MediaKind, device?: string): Promise<MediaStreamTrack | undefined> {
    const remembered = loadPreferences()[kind]
    const wanted = device ?? (remembered === false ? true : remembered)
    const { stream, problems } = await openDevices({ [kind]: wanted })
    const [track] = stream.getTracks()
    // A remembered device that is gone was replaced by the default one: not worth a word.
    if (problems.length > 0 && (track === undefined || device !== undefined)) this.#options.onProblem(problems[0])
    return track
  }

  async #publishTrack(kind: MediaKind, track: MediaStreamTrack): Promise<void> {
    const [publication] = await this.#options.room.publish(track, { source: kind })
    if (publication !== undefined) this.#published[kind] = publication
  }

  /** The device was unplugged: its place is taken by the default one, if there is one. */
  async #replaceLost(publication: Publication): Promise<void> {
    const kind = publication.kind === "video" ? "camera" : "microphone"
    await this.#inTurn(async () => {
      if (publication.muted) return
      const track = await this.#open(kind)
      if (track === undefined) await publication.mute()
      else await publication.replaceTrack(track)
    })
  }

  #inTurn(work: () => Promise<void>): Promise<void> {
    this.#queue = this.#queue
      .then(work)
      .catch((error: unknown) => {
        if (!this.#options.scope.closed) this.#options.onProblem(error)
      })
      .then(() => {
        if (!this.#options.scope.closed) this.#options.onChange()
      })
    return this.#queue
  }

  #stopAll(): void {
    for (const publication of [...Object.values(this.#published), ...this.#screen]) publication.track?.stop()
  }
}
