/** Keeps a publication fed: another device when one disappears, the preferred one when it returns, the system's when that changes. */
import { isAvError } from "../wire/errors.ts"
import { chooseDevice } from "./device-choice.ts"
import type { Device } from "./devices.ts"

/** Browsers announce one change several times, and the list is right only a moment later. */
const SETTLE_MS = 300
/** A device that is busy is tried again after this long, then after twice as long, and so on. */
const RETRY_MS = 500
const MAX_RETRY_MS = 8_000

interface DeviceKeeperOptions {
  kind: "camera" | "microphone"
  preferred?: string
  track: MediaStreamTrack
  list(): Promise<readonly Device[]>
  /** Opens a device by id, or the default one. */
  open(device: string | true): Promise<MediaStreamTrack>
  /** Puts the track to use. The keeper stops the one before afterwards. */
  use(track: MediaStreamTrack): Promise<void>
  /** Calls back when devices come or go; returns how to stop that. */
  onDeviceChange(handler: () => void): () => void
  /** The device is gone, and so far none could take its place. Called once until one could. */
  onLost?(): void
  /** A device could not be opened; what can heal is tried again. */
  onProblem?(error: unknown): void
}

/** Starts watching at once. Every wait ends with {@link close}. */
export class DeviceKeeper {
  readonly #options: DeviceKeeperOptions
  readonly #stopListening: () => void
  #preferred: string | undefined
  #track: MediaStreamTrack
  #timer: ReturnType<typeof setTimeout> | undefined
  #retryMs = RETRY_MS
  #working = false
  #again = false
  #lost = false
  #released = false
  #closed = false
  #change: Promise<void> = Promise.resolve()
  readonly #onEnded = () => this.#soon(0)

  constructor(options: DeviceKeeperOptions) {
    this.#options = options
    this.#preferred = options.preferred
    this.#track = options.track
    this.#track.addEventListener("ended", this.#onEnded)
    this.#stopListening = options.onDeviceChange(() => {
      this.#retryMs = RETRY_MS
      this.#soon(SETTLE_MS)
    })
  }

  /** The track in use. */
  get track(): MediaStreamTrack {
    return this.#track
  }

  /** The person chose: a device id, or undefined for the system's default. */
  prefer(device: string | undefined): void {
    this.#preferred = device
    this.#retryMs = RETRY_MS
    this.#soon(0)
  }

  /** Looks at the devices now: for a page that was hidden or frozen, where events may have been lost. */
  check(): void {
    this.#soon(0)
  }

  /** Stops the device and looks for no other until {@link restart}: the light of the camera goes off. */
  release(): void {
    this.#released = true
    clearTimeout(this.#timer)
    this.#track.stop()
  }

  /**
   * Opens a device again after {@link release}, or tries once more when there was none. When that fails all stays as it was.
   *
   * @throws whatever `open` and `use` throw
   */
  async restart(): Promise<void> {
    if (this.#closed) return
    const released = this.#released
    this.#released = false
    try {
      await this.#inTurn(async () => {
        if (this.#track.readyState === "live") return
        const { kind, list } = this.#options
        const devices = await list().catch(() => [])
        const situation = { kind, preferred: this.#preferred, current: undefined, devices }
        await this.#switchTo(chooseDevice(situation)?.open ?? true)
      })
    } catch (error) {
      this.#released = released
      throw error
    }
  }

  /** Stops watching; the track stays as it is. Idempotent. */
  close(): void {
    this.#closed = true
    clearTimeout(this.#timer)
    this.#track.removeEventListener("ended", this.#onEnded)
    this.#stopListening()
  }

  #soon(inMs: number): void {
    if (this.#closed) return
    clearTimeout(this.#timer)
    this.#timer = setTimeout(() => void this.#look(), inMs)
  }

  async #look(): Promise<void> {
    if (this.#working) {
      this.#again = true
      return
    }
    this.#working = true
    try {
      await this.#inTurn(() => this.#reconsider())
    } finally {
      this.#working = false
      if (this.#again) {
        this.#again = false
        this.#soon(0)
      }
    }
  }

  /** One change after another: a restart and a look must not open two devices. */
  #inTurn(work: () => Promise<void>): Promise<void> {
    const done = this.#change.then(work)
    this.#change = done.catch(() => undefined)
    return done
  }

  async #reconsider(): Promise<void> {
    const { kind, list } = this.#options
    if (this.#released) return
    const devices = await list().catch(() => [])
    const live = this.#track.readyState === "live"
    const situation = { kind, preferred: this.#preferred, current: live ? this.#track.getSettings() : undefined, devices }
    const choice = chooseDevice(situation)
    if (this.#closed || this.#released) return
    if (choice === undefined) {
      if (!live) this.#tellLost()
      return
    }
    try {
      await this.#switchTo(choice.open)
    } catch (error) {
      if (this.#closed || this.#released) return
      if (!live) this.#tellLost()
      this.#options.onProblem?.(error)
      // What a person has forbidden does not heal by asking again.
      if (isAvError(error, "MediaPermission")) return
      this.#soon(this.#retryMs)
      this.#retryMs = Math.min(MAX_RETRY_MS, 2 * this.#retryMs)
    }
  }

  async #switchTo(device: string | true): Promise<void> {
    const { open, use } = this.#options
    // A chosen device that is listed but does not open is replaced by the default while nothing else is there.
    const live = this.#track.readyState === "live"
    const fresh = await open(device).catch((error: unknown) => {
      if (device === true || live) throw error
      return open(true)
    })
    if (this.#closed || this.#released) {
      fresh.stop()
      return
    }
    try {
      await use(fresh)
    } catch (error) {
      fresh.stop()
      throw error
    }
    this.#track.removeEventListener("ended", this.#onEnded)
    this.#track.stop()
    this.#track = fresh
    fresh.addEventListener("ended", this.#onEnded)
    this.#retryMs = RETRY_MS
    this.#lost = false
  }

  #tellLost(): void {
    if (this.#lost) return
    this.#lost = true
    this.#options.onLost?.()
  }
}
