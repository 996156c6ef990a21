/** The hub of a room: what happens on links and sessions goes to the room machine, the mesh worker and the connections. */
import * as Comlink from "comlink"
import type { IdentitySigner } from "../identity/index.ts"
import { laneTransferables } from "../link/index.ts"
import type { AvError } from "../wire/errors.ts"
import type { WallClock } from "./clock.ts"
import type { Connections } from "./connections.ts"
import type { MachineDriver } from "./machine-driver.ts"
import type { MediaPlane } from "./media-plane.ts"
import type { PageMemory } from "./memory/room-memory.ts"
import type { DirectAttempts } from "./nat/direct-attempts.ts"
import { PeerHub } from "./peer-hub.ts"
import type { Surroundings } from "./platform.ts"
import type { ControlPlane } from "./rpc/control-plane.ts"
import type { ServerConnection } from "./server-connection.ts"
import type { JoinOptions } from "./types.ts"
import type { RoomWorkers } from "./workers.ts"

const DEFAULT_VIDEO_LANES = 2

/** What a room is made with, as far as links are concerned. */
interface RoomHubParts {
  signer: IdentitySigner
  options: JoinOptions
  workers: Pick<RoomWorkers, "mesh">
  around: Surroundings
}

/** The parts of a room that links and sessions reach; `connections` and `media` come after the hub. */
interface RoomHubHost {
  server: ServerConnection
  clock: WallClock
  driver: MachineDriver
  control: ControlPlane
  direct: DirectAttempts
  memory: Pick<PageMemory, "sessionClosed" | "frame" | "binary">
  connections: Connections
  media: MediaPlane
  count(error: AvError): void
}

export function createRoomHub(host: RoomHubHost, { signer, options, workers, around: { webrtc } }: RoomHubParts): PeerHub {
  const { server, clock, driver } = host
  const { mesh } = workers
  const hub: PeerHub = new PeerHub({
    signer,
    pins: host.control.host.pins,
    laneSink: {
      add: (lane) => void mesh.addLane(Comlink.transfer(lane, laneTransferables(lane.source))),
      remove: ({ link, laneId }) => void mesh.removeLane(link, laneId),
    },
    rendezvous: server.client,
    evidence: server.evidence,
    ...(options.acceptPeer !== undefined && { acceptPeer: options.acceptPeer }),
    ...(options.requireAttestation !== undefined && { requireAttestation: options.requireAttestation }),
    videoLanes: options.videoLanes ?? DEFAULT_VIDEO_LANES,
    forwardMedia: options.forwardMedia ?? false,
    ...(webrtc && { webrtc }),
    iceServers: () => [...server.iceServers, ...(options.iceServers ?? [])],
    attempts: host.direct,
    wallClock: clock.now,
    accepts: (session, frame) => driver.machine.accepts(session, frame),
    // Only a member may ask for commits.
    isMember: (session) => driver.machine.accepts(session, "room.commits?"),
    routeTo: (node, from) => driver.machine.routeTo(node, from),
    events: {
      sessionOpen: (session) => {
        const { id, kind, peer, bind } = session
        // First: the room machine says at once whether a member is behind it.
        host.control.sessionOpened(session)
        driver.feed({ type: "sessionOpen", session: id, kind, peer, bind })
        host.connections.sessionOpen(session)
        if (kind === "direct") host.media.subscriptions.linkReady(peer.keyId)
      },
      sessionClosed: (session, reason) => {
        host.control.sessionClosed(session.id)
        host.memory.sessionClosed(session)
        driver.feed({ type: "sessionClosed", session: session.id })
        host.connections.sessionClosed(session, reason)
        if (session.kind === "direct" && hub.directSession(session.peer.nodeId) === undefined) {
          host.media.subscriptions.linkLost(session.peer.keyId)
        }
      },
      linkKey: (link, session, sessionKey) =>
        void mesh.setLinkKey(link.id, session.peer.keyId, Comlink.transfer(sessionKey, [sessionKey.buffer])),
      linkClosed: (link) => void mesh.removeLink(link.id),
      pathChanged: (link) => void mesh.pathChanged(link.id),
      linkIce: (link, state) => host.connections.linkIce(link, state),
      message: (session, message) => driver.feed({ type: "message", session: session.id, message }),
      frame: (session, type, payload) => {
        host.control.receive(session.id, type, payload)
        host.memory.frame(session, type, payload)
      },
      binary: (session, name, bytes) => host.memory.binary(session, name, bytes),
      heard: (session) => {
        host.connections.heard(session, "control")
        driver.feed({ type: "heard", session: session.id })
      },
      goaway: (session, code) => driver.feed({ type: "goaway", session: session.id, code }),
      connectFailed: (node) => driver.feed({ type: "connectFailed", node }),
      routedFailed: (node) => driver.feed({ type: "routedFailed", node }),
      dropped: (error) => host.count(error),
    },
  })
  return hub
}
