/** Figures out of `room.stats()`. */
import type { Room } from "holomesh"

/** Bits per second received in all, and the worst packet loss of a lane. */
export async function summary(room: Room): Promise<{ bitrate: number; loss: number }> {
  const { receive, links } = await room.stats()
  const bitrate = receive.reduce((sum, stream) => sum + stream.bitrate, 0)
  const loss = Math.max(0, ...links.flatMap((link) => link.lanes.map((lane) => lane.reportedLoss ?? 0)))
  return { bitrate, loss }
}
