/** What a room does about handing streams on: how much is allowed, and how children are moved before this page leaves (RM-15). */
import type { MeshOptions, MeshRelayOptions, MeshRelayStats } from "../pipeline/index.ts"
import type { KnownControlMessage } from "../wire/control-json.ts"
import { AvError } from "../wire/errors.ts"
import type { PeerKeyId } from "../wire/types.ts"
import type { JoinOptions } from "./types.ts"

/** Children are told that they have this time to take another parent, ms. */
const HAND_OVER_MS = 1_500
/** They are served so long at most: those that find nobody go when their time is over, and that is said by a message as well. */
const SERVE_MS = 2_000
/** How often it is looked whether all have gone, ms. */
const LOOK_EVERY_MS = 50

/** The same limits hold for copies of own streams: `maxSubscribers` for each of them. */
export function meshOptions(options: Pick<JoinOptions, "relay">): Pick<MeshOptions, "relay" | "maxSubscribersPerStream"> {
  const maxSubscribersPerStream = options.relay?.maxSubscribers
  return { relay: relayOptions(options), ...(maxSubscribersPerStream === undefined ? {} : { maxSubscribersPerStream }) }
}

export function relayOptions({ relay = {} }: Pick<JoinOptions, "relay">): MeshRelayOptions {
  const { enabled = true, maxSubscribers, uplinkBitrate } = relay
  return {
    enabled,
    ...(maxSubscribers === undefined ? {} : { maxSubscribers }),
    ...(uplinkBitrate === undefined ? {} : { uplinkBitrate }),
  }
}

/** @throws AvError `UsageError` for anything that is no bitrate */
export function checkedBitrate(bitrate: number | undefined): number | undefined {
  if (bitrate !== undefined && !(bitrate > 0)) throw new AvError("UsageError", { why: "an uplink limit is above 0 bit/s" })
  return bitrate
}

interface HandOverHost {
  mesh: { stats(): Promise<{ relay: Pick<MeshRelayStats, "streams"> }> }
  /** Sends over the direct session with this member, if there is one. */
  tell(keyId: PeerKeyId, message: KnownControlMessage): boolean
}

/**
 * Tells those that take streams through this page that it leaves, and goes on serving until they have found another way, 2 s at
 * most. Done at once when there are none.
 */
export async function handOver({ mesh, tell }: HandOverHost): Promise<void> {
  const children = async () => {
    // A worker that does not answer has no children any more.
    const stats = await Promise.race([mesh.stats(), pause(SERVE_MS)]).catch(() => undefined)
    return new Set((stats?.relay.streams ?? []).flatMap((stream) => stream.children.map(({ peer }) => peer)))
  }
  const told = new Set<PeerKeyId>()
  const end = performance.now() + SERVE_MS
  for (let left = await children(); left.size > 0 && performance.now() < end; left = await children()) {
    for (const peer of left) {
      // Also those whose request was accepted a moment ago.
      if (!told.has(peer)) tell(peer, { t: "av.leaving", inMs: HAND_OVER_MS })
      told.add(peer)
    }
    await pause(LOOK_EVERY_MS)
  }
}

function pause(ms: number): Promise<undefined> {
  return new Promise((resolve) => setTimeout(() => resolve(undefined), ms))
}
