/** `joinRoom` in Node: the same room as in a page, over the same links, without a camera and without anybody who watches. */
import { WebSocket } from "ws"
import { createIdentity, type IdentitySigner } from "../identity/index.ts"
import type { WebRtc } from "../link/index.ts"
import type { WebSocketLike } from "../rendezvous/types.ts"
import { enterRoom } from "../room/enter.ts"
import { readRoomAddress } from "../room/invitation.ts"
import type { JoinOptions, Room } from "../room/types.ts"
import { type AddressBlock, addressFromText } from "../wire/address.ts"
import { AvError } from "../wire/errors.ts"
import { type NodeMemory, nodeMemory } from "./memory.ts"
import { nodeNatProbe } from "./nat-probe.ts"
import { noSound } from "./no-media.ts"
import { type NodeWebRtcOptions, nodeWebRtc } from "./webrtc/node-webrtc.ts"
import { startInThread } from "./workers.ts"

/** What a page and a Node process have in common, and where a process differs. */
export interface NodeJoinOptions
  extends Omit<JoinOptions, "workers" | "persistentIdentity" | "forwardMedia" | "videoCodecs" | "saving">,
    NodeWebRtcOptions {
  /** Who this process is. Default: a fresh identity, which lives as long as the room. */
  identity?: IdentitySigner
  /** What makes peer connections. Default: the package `node-datachannel`, which has to be installed. */
  webrtc?: WebRtc
  /**
   * Where this process keeps its part of the room's memory: `{ folder }` for the disk, one process at a time; `false` for no part in it.
   * Default: in this process, at most 256 MB, as long as the room.
   */
  memory?: NodeMemory
  /**
   * Your word that everybody reaches `udpPort` there, through no NAT or through a mapping that you made: it is announced as `nat:open`
   * without any look. An IP address and a UDP port. Where peers are to try is said by `external`.
   */
  reachableAt?: { host: string; port: number }
}

/**
 * Joins the room at `url` as a peer (founds it when nobody is there) and resolves when this process is a member: it sends messages,
 * calls and serves, and hands streams on like a page. It neither publishes nor shows any.
 *
 * @param url `wss://server/room#k=…`; the fragment is the invitation and never leaves the process
 * @throws AvError like `joinRoom` of a page, and `WebRtcMissing` when there is nothing that makes peer connections
 */
export async function joinRoom(url: string | URL, options: NodeJoinOptions = {}): Promise<Room> {
  const { identity, webrtc: given, bindAddress, udpPort, external, load, memory = {}, reachableAt, ...common } = options
  if (common.signal?.aborted) throw new AvError("Aborted")
  const reachable = reachableAt && readPlace(reachableAt)
  const address = readRoomAddress(String(url), common.open ?? false)
  const sockets = { ...(bindAddress && { bindAddress }), ...(udpPort && { udpPort }), ...(external && { external }) }
  const webrtc = given ?? (await nodeWebRtc({ ...sockets, ...(load && { load }) }))
  const signer = identity ?? (await createIdentity())
  return enterRoom(
    address,
    String(url),
    { ...common, persistentIdentity: false, saving: false },
    {
      webrtc,
      // One connection carries the control frames: compressing what is sealed gains nothing.
      openSocket: (server) => new WebSocket(server, { perMessageDeflate: false }) as WebSocketLike,
      headless: true,
      natProbe: nodeNatProbe(bindAddress),
      ...(reachable && { reachableAt: reachable }),
      memory: nodeMemory(memory),
      startWorkers: () => startInThread(signer),
      openSound: async () => noSound(),
    },
  )
}

/** @throws AvError `UsageError` unless it is an IP address with a port */
function readPlace({ host, port }: { host: string; port: number }): AddressBlock {
  const block = addressFromText(host, port)
  const usable = block !== undefined && block.family !== 0 && Number.isInteger(port) && port >= 1 && port <= 65_535
  if (!usable) throw new AvError("UsageError", { why: "reachableAt needs an IP address and a port" })
  return block
}
