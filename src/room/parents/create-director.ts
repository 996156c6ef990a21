/** Puts the choice of parents into a room: what it asks of the room, and the clock that wakes it. */
import type { IdentitySigner } from "../../identity/index.ts"
import type { KnownControlMessage } from "../../wire/control-json.ts"
import type { AvError } from "../../wire/errors.ts"
import { toHex } from "../../wire/index.ts"
import type { PeerKeyId } from "../../wire/types.ts"
import type { WallClock } from "../clock.ts"
import type { Connections } from "../connections.ts"
import type { HostTools } from "../host/host-tools.ts"
import type { MachineDriver } from "../machine-driver.ts"
import type { MediaPlane } from "../media-plane.ts"
import type { PeerHub } from "../peer-hub.ts"
import { relayOptions } from "../relaying.ts"
import type { JoinOptions } from "../types.ts"
import type { RoomWorkers } from "../workers.ts"
import { CapacityDesk } from "./capacity-desk.ts"
import { ParentDirector } from "./director.ts"

const TICK_MS = 250

/** The parts of a room that are asked. */
interface RoomOfParents {
  driver: MachineDriver
  hub: PeerHub
  media: MediaPlane
  clock: WallClock
  connections: Pick<Connections, "ensureLink">
  hostTools: Pick<HostTools, "mayRelay">
  directSession(keyId: PeerKeyId): Parameters<RoomOfParents["send"]>[0]
  send(session: ReturnType<PeerHub["directSession"]>, message: KnownControlMessage): boolean
  count(error: AvError): void
}

export function createDirector(
  room: RoomOfParents,
  { options, signer, workers: { mesh } }: { options: JoinOptions; signer: IdentitySigner; workers: Pick<RoomWorkers, "mesh"> },
): ParentDirector {
  const { driver, hub, media, clock } = room
  const { machine } = driver
  const { upstreams } = media.subscriptions
  const { enabled, maxSubscribers, uplinkBitrate } = relayOptions(options)
  const tell = (keyId: PeerKeyId, message: KnownControlMessage) => room.send(room.directSession(keyId), message)
  const desk = new CapacityDesk({
    me: signer.keyId,
    signer,
    random: Math.random,
    keysOf(keyId) {
      const keys = machine.keysOf(keyId)
      return keys && { ed25519: keys.entityId, mlDsa65: keys.mlDsa65 }
    },
    isStream: (streamId) => upstreams.offer(toHex(streamId)) !== undefined,
    send: (keyId, signed) => tell(keyId, { t: "av.capacity", ...signed }),
    count: (error) => room.count(error),
    leastMbps: () => upstreams.leastMbps,
    mayRelay: (keyId) => room.hostTools.mayRelay(keyId),
    relays: enabled,
    maxSubscribers,
    uplinkBitrate,
  })
  desk.limitUplink(options.uplinkBitrate, clock.now())
  const director = new ParentDirector(upstreams, desk, {
    me: signer.keyId,
    now: clock.now,
    random: Math.random,
    roomId: () => machine.roomId,
    members: () => machine.view?.members.map(({ keyId }) => keyId) ?? [],
    nodeOf: (keyId) => machine.nodeOf(keyId),
    neighbours() {
      const linked = hub.sessions.filter(({ kind, closed }) => kind === "direct" && !closed).map(({ peer }) => peer.keyId)
      return [...new Set(linked)].filter((keyId) => machine.view?.members.some((member) => member.keyId === keyId))
    },
    connect(keyId) {
      // A candidate that cannot be reached fails as one that does not answer.
      room.connections.ensureLink(keyId).catch(() => undefined)
    },
    send: tell,
    linkRtt: (rttMs) => driver.feed({ type: "linkRtt", rttMs }),
    mesh: { feeds: () => mesh.feeds(), stats: () => mesh.stats() },
    ownStream: (streamKey) => ownStream(media, streamKey),
    maxSubscribers,
  })
  const timer = setInterval(() => {
    // A worker that does not answer is closing, and the room tells that itself.
    if (director.closed) clearInterval(timer)
    else director.tick().catch(() => undefined)
  }, TICK_MS)
  return director
}

function ownStream({ publications }: MediaPlane, streamKey: string): { mbps: number } | undefined {
  for (const { streams } of publications.tracks()) {
    const descriptor = streams.find(({ streamId }) => toHex(streamId) === streamKey)
    if (descriptor !== undefined) return { mbps: descriptor.bitrates.reduce((sum, { mbps }) => sum + mbps, 0) }
  }
  return undefined
}
