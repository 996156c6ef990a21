/** What a room takes from the place where it runs: its threads, its sound, and the ways to others. A page has all of it built in. */
import type { WebRtc } from "../link/index.ts"
import type { AudioEngine } from "../media/index.ts"
import type { RendezvousOptions } from "../rendezvous/index.ts"
import type { AvError } from "../wire/errors.ts"
import type { JoinOptions } from "./types.ts"
import type { RoomWorkers } from "./workers.ts"

/** What is missing comes from the browser. */
export interface Surroundings {
  webrtc?: WebRtc
  openSocket?: NonNullable<RendezvousOptions["openSocket"]>
  /** Nobody sits here: streams of others are handed on, and never shown. */
  headless?: boolean
}

export interface Platform extends Surroundings {
  /** `onFailure` is called at most once, when a part breaks later. */
  startWorkers(options: JoinOptions, onFailure: (error: AvError) => void): RoomWorkers
  openSound(options: JoinOptions): Promise<AudioEngine>
}
