/** The state of a room as the application knows it: the phase of the room protocol, and within it whether anybody can be reached. */
import type { RoomState } from "./types.ts"

/** Phases of the room machine; others mean nothing to the application. */
const PHASES: Readonly<Record<string, RoomState>> = {
  joining: "joining",
  waiting: "joining",
  connected: "connected",
  reconnecting: "reconnecting",
}

export class Lifecycle {
  #state: RoomState = "joining"
  #phase: RoomState = "joining"
  #told = false

  get state(): RoomState {
    return this.#state
  }

  /** The machine entered a phase. Answers what it means, or nothing. */
  enter(phase: string): RoomState | undefined {
    const meant = PHASES[phase]
    if (meant !== undefined && this.#state !== "left") this.#phase = meant
    return meant
  }

  /**
   * The new state when it is another one, or was never told.
   *
   * @param reach how a member is connected; only asked for one
   */
  refresh(reach: () => RoomState): RoomState | undefined {
    if (this.#state === "left") return undefined
    const state = this.#phase === "connected" ? reach() : this.#phase
    if (state === this.#state && this.#told) return undefined
    this.#state = state
    this.#told = true
    return state
  }

  end(): void {
    this.#state = "left"
  }
}
