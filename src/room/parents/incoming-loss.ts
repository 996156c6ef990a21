/** From whom messages get lost on the way to this page: those parents should not be alone with the upper layers of a picture. */
import type { MeshLinkStats } from "../../pipeline/index.ts"
import type { Milliseconds, PeerKeyId } from "../../wire/types.ts"

/** Loss is counted over this time, and only where so many messages were due. */
const WINDOW_MS = 10_000
const MIN_MESSAGES = 50
/** A path counts as lossy from the first share on, until it is below the second. */
const LOSSY = 0.02
const CLEAN = 0.01

interface Counted {
  at: Milliseconds
  received: number
  lost: number
}

interface Path {
  peer: PeerKeyId
  points: Counted[]
  lossy: boolean
}

export class IncomingLoss {
  readonly #paths = new Map<string, Path>()

  /** What the links have counted since they began; about once a second. */
  sample(links: readonly Pick<MeshLinkStats, "link" | "peer" | "lanes">[], now: Milliseconds): void {
    for (const id of this.#paths.keys()) if (!links.some(({ link }) => link === id)) this.#paths.delete(id)
    for (const { link, peer, lanes } of links) {
      if (peer === undefined) continue
      const path = this.#paths.get(link) ?? { peer, points: [], lossy: false }
      this.#paths.set(link, path)
      const video = lanes.filter(({ role }) => role === "video")
      const received = video.reduce((sum, lane) => sum + lane.receivedMessages, 0)
      const lost = video.reduce((sum, lane) => sum + lane.lostMessages, 0)
      const last = path.points.at(-1)
      // A lane was closed, and its counters went with it.
      if (last !== undefined && (received < last.received || lost < last.lost)) path.points = []
      path.points = [...path.points.filter(({ at }) => now - at <= WINDOW_MS), { at: now, received, lost }]
      judge(path)
    }
  }

  isLossy(keyId: PeerKeyId): boolean {
    return [...this.#paths.values()].some(({ peer, lossy }) => peer === keyId && lossy)
  }
}

function judge(path: Path): void {
  const [first, last] = [path.points[0], path.points.at(-1)]
  if (first === undefined || last === undefined) return
  const lost = last.lost - first.lost
  const due = last.received - first.received + lost
  if (due < MIN_MESSAGES) return
  path.lossy = lost / due >= (path.lossy ? CLEAN : LOSSY)
}
