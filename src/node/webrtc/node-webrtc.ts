/** WebRTC for Node: `node-datachannel`, an optional dependency, or any library that is given. */
import type { WebRtc } from "../../link/webrtc.ts"
import { AvError } from "../../wire/errors.ts"
import { Alive } from "./alive.ts"
import { makeCertificate } from "./certificate.ts"
import type { NodeDataChannel } from "./library.ts"
import { NodeCertificate, NodePeerConnection, type SocketOptions } from "./peer-connection.ts"

const PACKAGE = "node-datachannel"

/** Options of {@link nodeWebRtc}. */
export interface NodeWebRtcOptions extends SocketOptions {
  /** Loads the library; default: `import("node-datachannel")`. */
  load?: () => Promise<unknown>
}

export interface NodeWebRtc extends WebRtc {
  /**
   * Resolves when the library has closed everything it had opened. A worker thread must not end before; a process that is not made to
   * exit ends by itself then.
   */
  idle(): Promise<void>
}

/**
 * WebRTC through `node-datachannel`.
 *
 * @throws AvError `WebRtcMissing` when the package is not installed or does not run on this machine
 */
export async function nodeWebRtc(options: NodeWebRtcOptions = {}): Promise<NodeWebRtc> {
  const library = await loadLibrary(options.load ?? (() => import(/* @vite-ignore */ PACKAGE)))
  const { load: _, ...sockets } = options
  const alive = new Alive()
  return {
    connect: (configuration) => new NodePeerConnection(library, configuration, sockets, alive) as unknown as RTCPeerConnection,
    // The mesh runs in the same thread.
    givesChannels: true,
    restarts: false,
    idle: () => alive.idle(),
    certificate: async () => new NodeCertificate(makeCertificate()) as unknown as RTCCertificate,
  }
}

async function loadLibrary(load: () => Promise<unknown>): Promise<NodeDataChannel> {
  let module: unknown
  try {
    module = await load()
  } catch (cause) {
    throw missing(cause)
  }
  const library = [module, (module as { default?: unknown } | null)?.default].find(isLibrary)
  if (library === undefined) throw missing(undefined)
  return library
}

function isLibrary(module: unknown): module is NodeDataChannel {
  return typeof (module as Partial<NodeDataChannel> | null | undefined)?.PeerConnection === "function"
}

function missing(cause: unknown): AvError {
  const message = `Node has no WebRTC of its own. Install it beside holomesh: npm install ${PACKAGE}`
  return new AvError("WebRtcMissing", { package: PACKAGE }, { message, cause })
}
