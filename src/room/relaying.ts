/** What a room does about handing streams on: how much is allowed, and how children are moved before this page leaves (RM-15). */
import type { MeshRelayOptions, MeshRelayStats } from "../pipeline/index.ts"
import type { KnownControlMessage } from "../wire/control-json.ts"
import type { PeerKeyId } from "../wire/types.ts"
import type { JoinOptions } from "./types.ts"

/** Children have this time to take another parent, ms; they are told the same. */
const HAND_OVER_MS = 1_500
/** How often it is looked whether all have gone, ms. */
const LOOK_EVERY_MS = 50

export function relayOptions({ relay = {} }: Pick<JoinOptions, "relay">): MeshRelayOptions {
  const { enabled = true, maxSubscribers, uplinkBitrate } = relay
  return {
    enabled,
    ...(maxSubscribers === undefined ? {} : { maxSubscribers }),
    ...(uplinkBitrate === undefined ? {} : { uplinkBitrate }),
  }
}

interface HandOverHost {
  mesh: { stats(): Promise<{ relay: Pick<MeshRelayStats, "streams"> }> }
  /** Sends over the direct session with this member, if there is one. */
  tell(keyId: PeerKeyId, message: KnownControlMessage): boolean
}

/**
 * Tells those that take streams through this page that it leaves, and goes on serving until they have found another way, 1.5 s at
 * most. Done at once when there are none.
 */
export async function handOver({ mesh, tell }: HandOverHost): Promise<void> {
  const children = async () => {
    // A worker that does not answer has no children any more.
    const stats = await Promise.race([mesh.stats(), pause(HAND_OVER_MS)]).catch(() => undefined)
    return new Set((stats?.relay.streams ?? []).flatMap((stream) => stream.children.map(({ peer }) => peer)))
  }
  const told = await children()
  for (const peer of told) tell(peer, { t: "av.leaving", inMs: HAND_OVER_MS })
  for (let left = told.size, ms = 0; left > 0 && ms < HAND_OVER_MS; ms += LOOK_EVERY_MS) {
    await pause(LOOK_EVERY_MS)
    left = (await children()).size
  }
}

function pause(ms: number): Promise<undefined> {
  return new Promise((resolve) => setTimeout(() => resolve(undefined), ms))
}
