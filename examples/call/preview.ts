/** Camera and microphone before the call: what is open, what could not be opened, and why. */
import { type AvError, describeError, isAvError, type OpenedDevices, onPermissionChange, openDevices } from "holomesh"
import { loadPreferences, savePreferences } from "./preferences.ts"

type Kind = "camera" | "microphone"
const TRACK_KIND = { camera: "video", microphone: "audio" } as const

export class Preview {
  readonly stream = new MediaStream()
  readonly #problems: Partial<Record<Kind, string>> = {}
  readonly #onChange: () => void
  readonly #stop = new AbortController()
  /** One change after another, so that two quick choices do not open two cameras. */
  #queue: Promise<void> = Promise.resolve()
  /** The browser asks the person for permission, or a device is slow. */
  waiting = false
  /** Refused; each starts by itself as soon as the person allows it. */
  readonly #refused = new Set<Kind>()
  readonly #stopAsking: (() => void)[]
  /** Set once the devices belong to somebody else: what came to nothing since then. */
  #late: AvError[] | undefined

  constructor(onChange: () => void) {
    this.#onChange = onChange
    this.#stopAsking = (["camera", "microphone"] as const).map((kind) =>
      onPermissionChange(kind, (state) => {
        if (state === "granted" && this.#refused.delete(kind)) void this.choose(kind, true)
      }),
    )
  }

  track(kind: Kind): MediaStreamTrack | undefined {
    return this.stream.getTracks().find((track) => track.kind === TRACK_KIND[kind])
  }

  /** Sentences about what is missing; the same one for both devices is said once. */
  get problems(): string[] {
    const { camera, microphone } = this.#problems
    if (camera !== undefined && camera === microphone) return [camera]
    return [camera && `Camera: ${camera}`, microphone && `Microphone: ${microphone}`].filter(
      (text) => text !== undefined,
    ) as string[]
  }

  /** Opens what this browser remembers, with one question for both devices. */
  start(): Promise<void> {
    const { camera, microphone } = loadPreferences()
    return this.#inTurn(() => this.#open({ camera, microphone }))
  }

  choose(kind: Kind, device: boolean | string): Promise<void> {
    savePreferences({ [kind]: device })
    return this.#inTurn(async () => {
      const old = this.track(kind)
      if (old !== undefined) this.stream.removeTrack(old)
      old?.stop()
      delete this.#problems[kind]
      if (device !== false) await this.#open({ [kind]: device })
    })
  }

  /** Waits until nothing is being opened any more, at most `limitMs`. */
  async settled(limitMs: number): Promise<void> {
    let timer: ReturnType<typeof setTimeout> | undefined
    const enough = new Promise<void>((resolve) => {
      timer = setTimeout(resolve, limitMs)
    })
    await Promise.race([this.#queue, enough])
    clearTimeout(timer)
  }

  /** The devices belong to the caller from now on, those included that still open. */
  async handOver(): Promise<OpenedDevices> {
    const problems: AvError[] = []
    this.#late = problems
    for (const stop of this.#stopAsking) stop()
    await this.#queue
    const stream = new MediaStream(this.stream.getTracks())
    for (const track of stream.getTracks()) this.stream.removeTrack(track)
    return { stream, problems }
  }

  close(): void {
    if (this.#late !== undefined) return
    this.#stop.abort()
    for (const stop of this.#stopAsking) stop()
    for (const track of this.stream.getTracks()) track.stop()
  }

  async #open(choice: { camera?: boolean | string; microphone?: boolean | string }): Promise<void> {
    const { stream, problems } = await openDevices({ ...choice, signal: this.#stop.signal })
    for (const track of stream.getTracks()) {
      this.stream.addTrack(track)
      track.addEventListener("ended", () => {
        this.stream.removeTrack(track)
        this.#onChange()
      })
    }
    for (const problem of problems) this.#note(problem)
  }

  #note(problem: AvError): void {
    this.#late?.push(problem)
    const sentence = describeError(problem)
    const { kind } = problem.details
    if (problem.code === "MediaPermission") {
      if (kind !== "audio") this.#refused.add("camera")
      if (kind !== "video") this.#refused.add("microphone")
    }
    if (kind !== "audio") this.#problems.camera = sentence
    if (kind !== "video") this.#problems.microphone = sentence
    // The default device took the place of a remembered one that is gone: no problem left.
    for (const each of ["camera", "microphone"] as const) if (this.track(each) !== undefined) delete this.#problems[each]
  }

  #inTurn(work: () => Promise<void>): Promise<void> {
    this.#queue = this.#queue.then(async () => {
      if (this.#stop.signal.aborted) return
      this.waiting = true
      this.#onChange()
      try {
        await work()
      } catch (error) {
        if (isAvError(error)) this.#late?.push(error)
        if (!isAvError(error, "Aborted")) this.#problems.camera = this.#problems.microphone = describeError(error)
      }
      this.waiting = false
      if (!this.#stop.signal.aborted) this.#onChange()
    })
    return this.#queue
  }
}
