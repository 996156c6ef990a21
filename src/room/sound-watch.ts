/** Tells the application when the browser holds sound back until somebody clicks, and when it runs again. */
import type { AudioEngine } from "../media/index.ts"
import type { Emitter } from "./emitter.ts"
import type { RoomEvents } from "./types.ts"

export class SoundWatch {
  readonly #audio: Pick<AudioEngine, "blocked" | "resume">
  readonly #events: Emitter<RoomEvents>
  readonly #isConnected: () => boolean
  #blocked = false

  /** Nothing is said of sound that is blocked before the room is `connected`: nobody could be heard. */
  constructor(
    audio: Pick<AudioEngine, "blocked" | "resume" | "onStateChange">,
    events: Emitter<RoomEvents>,
    isConnected: () => boolean,
  ) {
    this.#audio = audio
    this.#events = events
    this.#isConnected = isConnected
    audio.onStateChange(() => this.check())
  }

  check(): void {
    if (this.#audio.blocked && this.#isConnected()) {
      this.#audio.resume().catch(() => undefined)
      this.#blocked = true
      this.#events.emit("audioBlocked", {})
    } else if (this.#blocked && !this.#audio.blocked) {
      this.#blocked = false
      this.#events.emit("audioStarted", {})
    }
  }
}
