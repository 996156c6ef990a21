/** Which video lane takes the next message (link-lanes LL-9), and the send gates of LL-10. */

/** A video lane above this many buffered bytes takes no message (8 messages). */
export const VIDEO_GATE = 9_200
/** Above this many buffered bytes audio is dropped: what waits longer is too late to be heard. */
export const AUDIO_GATE = 2_048

/** An open video lane. Lists of them are in ascending order of id. */
export interface LaneLoad {
  laneId: number
  buffered: number
}

/** Chooses lanes for the messages of one link. No stickiness: the symbols of one frame are meant to be spread. */
export class LaneAssigner {
  #next = 0

  /**
   * The least buffered lane that is not above the gate, ties broken round robin: the search goes once around the list,
   * from one place after the lane chosen last. `undefined` when every lane is above the gate or there is none.
   *
   * @param except a lane not to take (retransmissions prefer another one, LL-26)
   */
  choose(lanes: readonly LaneLoad[], except?: number): LaneLoad | undefined {
    let best: LaneLoad | undefined
    let place = 0
    for (let step = 0; step < lanes.length; step++) {
      const at = (this.#next + step) % lanes.length
      const lane = lanes[at]!
      if (lane.buffered > VIDEO_GATE || lane.laneId === except) continue
      if (best === undefined || lane.buffered < best.buffered) {
        best = lane
        place = at
      }
    }
    if (best !== undefined) this.#next = (place + 1) % lanes.length
    return best
  }
}

/** True when an audio lane takes one more message. */
export function audioGateOpen(buffered: number): boolean {
  return buffered <= AUDIO_GATE
}
