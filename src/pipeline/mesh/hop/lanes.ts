/** The media lanes of one link: which of them may be used, and for what. */
import type { LaneLoad } from "../../../link/lane-assigner.ts"
import type { LaneChannel, MediaLaneRole } from "../../../link/lane-port.ts"
import { Lane } from "./lane.ts"

export class Lanes {
  readonly #lanes = new Map<number, Lane>()

  add(laneId: number, role: MediaLaneRole, channel: LaneChannel): void {
    this.#lanes.get(laneId)?.channel.close()
    this.#lanes.set(laneId, new Lane(laneId, role, channel))
  }

  /** Closes and forgets; `false` when there was none. */
  remove(laneId: number): boolean {
    const lane = this.#lanes.get(laneId)
    if (lane === undefined) return false
    this.#lanes.delete(laneId)
    lane.channel.close()
    return true
  }

  get(laneId: number): Lane | undefined {
    return this.#lanes.get(laneId)
  }

  all(): Lane[] {
    return [...this.#lanes.values()]
  }

  /** Open video lanes, ascending by id; with `usable` only those that are not in trouble. */
  video(usable: boolean): Lane[] {
    const lanes = this.all().filter((lane) => lane.role === "video" && (usable ? lane.usable : lane.open))
    return lanes.sort((a, b) => a.id - b.id)
  }

  /** The usable audio lane, or the least loaded video lane while it is away: messages are known by type, not by lane (LL-16). */
  audio(): Lane | undefined {
    const open = this.all().filter((lane) => lane.open)
    const usable = open.filter((lane) => lane.usable)
    let fallback: Lane | undefined
    // Where every lane is in trouble, reports must still try: they are what ends it.
    for (const lane of usable.length > 0 ? usable : open) {
      if (lane.role === "audio") return lane
      if (fallback === undefined || lane.buffered < fallback.buffered) fallback = lane
    }
    return fallback
  }
}

export function loadsOf(lanes: readonly Lane[]): LaneLoad[] {
  return lanes.map((lane) => ({ laneId: lane.id, buffered: lane.buffered }))
}
