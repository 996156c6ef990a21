/** What a room takes from the place where it runs: its threads, its sound, and the ways to others. A page has all of it built in. */
import type { WebRtc } from "../link/index.ts"
import type { AudioEngine } from "../media/index.ts"
import type { RendezvousOptions } from "../rendezvous/index.ts"
import type { AddressBlock } from "../wire/address.ts"
import type { AvError } from "../wire/errors.ts"
import type { MemoryPlace } from "./memory/memory-part.ts"
import type { NatProbe } from "./nat/types.ts"
import type { JoinOptions } from "./types.ts"
import type { RoomWorkers } from "./workers.ts"

/** What is missing comes from the browser. */
export interface Surroundings {
  webrtc?: WebRtc
  openSocket?: NonNullable<RendezvousOptions["openSocket"]>
  /** How to find out what NAT is in front. */
  natProbe?: NatProbe
  /** The operator's word that everybody reaches this node there. */
  reachableAt?: AddressBlock
  /** Nobody sits here: streams of others are handed on, and never shown. */
  headless?: boolean
  /** Where the room's memory is kept, and by what. */
  memory?: MemoryPlace
}

export interface Platform extends Surroundings {
  /** `onFailure` is called at most once, when a part breaks later. */
  startWorkers(options: JoinOptions, onFailure: (error: AvError) => void): RoomWorkers
  openSound(options: JoinOptions): Promise<AudioEngine>
}
