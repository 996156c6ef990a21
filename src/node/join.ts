/** `joinRoom` in Node: the same room as in a page, over the same links, without a camera and without anybody who watches. */
import { WebSocket } from "ws"
import { createIdentity, type IdentitySigner } from "../identity/index.ts"
import type { WebRtc } from "../link/index.ts"
import type { WebSocketLike } from "../rendezvous/types.ts"
import { enterRoom } from "../room/enter.ts"
import { readRoomAddress } from "../room/invitation.ts"
import type { JoinOptions, Room } from "../room/types.ts"
import { AvError } from "../wire/errors.ts"
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
}

/**
 * Joins the room at `url` as a peer (founds it when nobody is there) and resolves when this process is a member: it sends messages,
 * calls and serves, and hands streams on like a page. It neither publishes nor shows any.
 *
 * @param url `wss://server/room#k=…`; the fragment is the invitation and never leaves the process
 * @throws AvError like `joinRoom` of a page, and `WebRtcMissing` when there is nothing that makes peer connections
 */
export async function joinRoom(url: string | URL, options: NodeJoinOptions = {}): Promise<Room> {
  const { identity, webrtc: given, bindAddress, udpPort, external, load, ...common } = options
  if (common.signal?.aborted) throw new AvError("Aborted")
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
      startWorkers: () => startInThread(signer),
      openSound: async () => noSound(),
    },
  )
}
