/** The NAT class of a room: what the watch needs of the room's other parts. */
import { browserWebRtc } from "../../link/index.ts"
import type { NatClass } from "../../rendezvous/nat/classify.ts"
import { stunServers } from "../../rendezvous/nat/stun-servers.ts"
import type { NodeId } from "../../wire/types.ts"
import { monotonicNow } from "../clock.ts"
import type { Surroundings } from "../platform.ts"
import type { ControlPlane } from "../rpc/control-plane.ts"
import type { ServerConnection } from "../server-connection.ts"
import type { JoinOptions } from "../types.ts"
import { browserProbe } from "./browser-probe.ts"
import { DirectAttempts } from "./direct-attempts.ts"
import { NatWatch } from "./nat-watch.ts"

interface RoomNatHost {
  server: Pick<ServerConnection, "client" | "iceServers">
  control: Pick<ControlPlane, "announce" | "closed">
}

export function roomNat({ server, control }: RoomNatHost, options: JoinOptions, around: Surroundings): NatWatch {
  const { reachableAt, natProbe, webrtc } = around
  const watch = new NatWatch({
    probe: natProbe ?? browserProbe(webrtc ?? browserWebRtc),
    servers: () => stunServers(server.iceServers, options.iceServers ?? []),
    ask: (addresses, signal) => server.client.queryReflex(addresses, { signal }),
    announce: (nat) => {
      if (!control.closed) control.announce({ nat })
    },
    reachableAt,
    now: monotonicNow,
  })
  // After the connection to the server has noted which servers it named.
  server.client.on("registered", () => watch.serversMayDiffer())
  server.client.on("ice", () => watch.serversMayDiffer())
  return watch
}

interface RoomAttemptsHost {
  server: Pick<ServerConnection, "iceServers">
  control: ControlPlane
  nat: NatWatch
  /** Made after this. */
  hub: { sessions: readonly { kind: string; closed: boolean; peer: { nodeId: NodeId } }[] }
}

export function roomAttempts(host: RoomAttemptsHost, options: JoinOptions): DirectAttempts {
  return new DirectAttempts({
    classes: (node) => [host.nat.stats.class, announcedClass(host.control.gossip.index.get(node, Date.now())?.tags)],
    hasTurn: () => [...host.server.iceServers, ...(options.iceServers ?? [])].some(({ urls }) => isTurn(urls)),
    isRouted: (node) => host.hub.sessions.some(({ kind, closed, peer }) => kind === "routed" && !closed && peer.nodeId === node),
    now: monotonicNow,
  })
}

/** Two tags that contradict each other say nothing. */
function announcedClass(tags: ReadonlySet<string> | undefined): NatClass {
  const known = (["open", "cone", "symmetric"] as const).filter((nat) => tags?.has(`nat:${nat}`) === true)
  return known.length === 1 ? (known[0] as NatClass) : "unknown"
}

function isTurn(urls: string | readonly string[]): boolean {
  return [urls].flat().some((url) => url.startsWith("turn"))
}
