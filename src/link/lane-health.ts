/** Whether a media lane is in use, suspect or dead: link-lanes LL-16, in the order of LL-28. */

/** A sign of trouble counts from this long on, in ms. */
const SIGN_MS = 700
/** A lane is dead once it has been suspect for this long, in ms. */
const DEAD_AFTER_MS = 3_000

type LaneHealth = "ok" | "suspect" | "dead"

interface LaneSigns {
  connection: RTCPeerConnectionState
  channelOpen: boolean
  /** Messages were sent and the peer's reports showed no rise for this long, in ms. */
  noRiseMs: number
  /** Another lane's count rose in those reports. */
  othersRose: boolean
  /** `bufferedAmount` above zero did not fall for this long, in ms. */
  bufferedStuckMs: number
  /** How long the lane has been suspect, in ms; 0 when it is not. */
  suspectMs: number
}

export function laneHealth(signs: LaneSigns): LaneHealth {
  if (signs.connection === "failed" || signs.connection === "closed" || !signs.channelOpen) return "dead"
  const suspect =
    signs.connection === "disconnected" || (signs.noRiseMs >= SIGN_MS && signs.othersRose) || signs.bufferedStuckMs >= SIGN_MS
  if (!suspect) return "ok"
  return signs.suspectMs >= DEAD_AFTER_MS ? "dead" : "suspect"
}
