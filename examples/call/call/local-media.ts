/** This person's microphone, camera and shared screen during the call: on, off, another device, and what to say when one goes away. */
import {
  type AvError,
  isAvError,
  type KeptDevice,
  keepDevice,
  onPermissionChange,
  openDevices,
  openScreen,
  type Publication,
  type Room,
} from "holomesh"
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
  /** A device went or came: words for the person. */
  onNews: (words: string) => void
}

interface Own {
  publication: Publication
  kept: KeptDevice | undefined
}

export class LocalMedia {
  readonly #options: LocalMediaOptions
  readonly #own: Partial<Record<MediaKind, Own>> = {}
  /** Refused devices that start by themselves once they are allowed. */
  readonly #refused = new Set<MediaKind>()
  #screen: Publication[] = []
  /** One change after another: a double click must not open a device twice. */
  #queue: Promise<void> = Promise.resolve()

  constructor(options: LocalMediaOptions) {
    this.#options = options
    const { room, scope } = options
    scope.add(() => this.#stopAll())
    scope.add(room.on("deviceLost", () => options.onChange()))
    // Stopped in the browser's own bar.
    scope.add(
      room.on("shareEnded", ({ publications }) => {
        this.#screen = this.#screen.filter((publication) => !publications.includes(publication))
        options.onChange()
      }),
    )
    for (const kind of ["camera", "microphone"] as const) {
      scope.add(
        onPermissionChange(kind, (state) => {
          if (state === "granted" && this.#refused.delete(kind)) void this.toggleTo(kind, true)
        }),
      )
    }
  }

  get sharing(): boolean {
    return this.#screen.length > 0
  }

  isOn(kind: MediaKind): boolean {
    const publication = this.#own[kind]?.publication
    return publication !== undefined && !publication.muted && publication.track?.readyState === "live"
  }

  track(kind: MediaKind): MediaStreamTrack | undefined {
    return this.#own[kind]?.publication.track
  }

  /** Publishes what was opened before the call, or closes it when the call is over already. */
  publish(stream: MediaStream, problems: readonly AvError[] = []): Promise<void> {
    this.#options.scope.add(() => {
      for (const track of stream.getTracks()) track.stop()
    })
    for (const problem of problems) this.#noteRefusal(problem)
    return this.#inTurn(async () => {
      for (const track of stream.getTracks()) {
        const kind = track.kind === "video" ? "camera" : "microphone"
        // A device that opened late, after the person had switched it on here.
        if (this.#own[kind] === undefined) await this.#publishTrack(kind, track)
        else track.stop()
      }
    })
  }

  toggle(kind: MediaKind): Promise<void> {
    return this.toggleTo(kind, !this.isOn(kind))
  }

  toggleTo(kind: MediaKind, on: boolean): Promise<void> {
    return this.#inTurn(() => (on ? this.#turnOn(kind) : this.#turnOff(kind)))
  }

  /** Another device; turns it on when it was off. */
  choose(kind: MediaKind, device: string): Promise<void> {
    savePreferences({ [kind]: device })
    return this.#inTurn(async () => {
      this.#own[kind]?.kept?.prefer(device)
      await this.#turnOn(kind)
    })
  }

  /** Whether a muted microphone is switched off. */
  setReleaseMicrophone(release: boolean): void {
    savePreferences({ releaseMicrophone: release })
    this.#own.microphone?.kept?.setReleaseOnMute(release)
  }

  share(): Promise<void> {
    // The browser's dialogue needs the click, so it does not wait its turn.
    const opened = openScreen({ audio: true })
    return this.#inTurn(async () => {
      const stream = await opened
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
    const own = this.#own[kind]
    await (own?.kept ?? own?.publication)?.mute()
  }

  async #turnOn(kind: MediaKind): Promise<void> {
    const own = this.#own[kind]
    if (own !== undefined) return (own.kept ?? own.publication).unmute()
    const remembered = loadPreferences()[kind]
    const { stream, problems } = await openDevices({ [kind]: remembered === false ? true : remembered })
    for (const problem of problems) this.#noteRefusal(problem)
    const [track] = stream.getTracks()
    if (track !== undefined) return this.#publishTrack(kind, track)
    if (problems[0] !== undefined) this.#options.onProblem(problems[0])
  }

  async #publishTrack(kind: MediaKind, track: MediaStreamTrack): Promise<void> {
    const [publication] = await this.#options.room.publish(track, { source: kind })
    if (publication === undefined) return
    this.#refused.delete(kind)
    this.#own[kind] = { publication, kept: this.#keep(kind, publication) }
  }

  #keep(kind: MediaKind, publication: Publication): KeptDevice | undefined {
    const { scope, onChange, onNews, onProblem } = this.#options
    const remembered = loadPreferences()[kind]
    try {
      const kept = keepDevice(publication, {
        ...(typeof remembered === "string" ? { preferred: remembered } : {}),
        ...(kind === "microphone" ? { releaseOnMute: loadPreferences().releaseMicrophone } : {}),
        onChange(track) {
          onNews(`The ${kind} is now: ${track.label || "another device"}`)
          onChange()
        },
        onLost() {
          onNews(`Your ${kind} is gone. It goes on as soon as one is there again.`)
          onChange()
        },
        onProblem,
      })
      scope.add(() => kept.close())
      return kept
    } catch {
      // A page without access to devices has nothing to keep.
      return undefined
    }
  }

  #noteRefusal(problem: AvError): void {
    if (problem.code !== "MediaPermission") return
    const { kind } = problem.details
    if (kind !== "audio") this.#refused.add("camera")
    if (kind !== "video") this.#refused.add("microphone")
  }

  #inTurn(work: () => Promise<void>): Promise<void> {
    this.#queue = this.#queue
      .then(work)
      .catch((error: unknown) => {
        if (this.#options.scope.closed) return
        if (isAvError(error)) this.#noteRefusal(error)
        this.#options.onProblem(error)
      })
      .then(() => {
        if (!this.#options.scope.closed) this.#options.onChange()
      })
    return this.#queue
  }

  #stopAll(): void {
    const own = Object.values(this.#own).map(({ publication }) => publication)
    for (const publication of [...own, ...this.#screen]) publication.track?.stop()
  }
}
