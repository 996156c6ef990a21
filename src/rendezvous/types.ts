/** The public shapes of the rendezvous client and of the introduction machines (control-plane 6.2, 6.7). */
import type { IdentitySigner } from "../identity/signer.ts"
import type { AddressBlock } from "../wire/address.ts"
import type { AvError } from "../wire/errors.ts"
import type { ReflexReplyEntry, RejectReason } from "../wire/rendezvous-message.ts"
import type { Bytes, Milliseconds, NodeId, RandomBytes, U64 } from "../wire/types.ts"

/** Why a coordinator or target refused (control-plane 6.7); numbers that are not listed read as `unspecified`. */
export type { RejectReason } from "../wire/rendezvous-message.ts"

/** A signed description on its way to somebody, with what may travel beside it. Bytes are forwarded untouched. */
export interface Introduction {
  /** `MSD1` bytes (control-plane 6.3). */
  description: Bytes
  /** Lane blocks and their signature, at most 1 024 bytes (key 8, D44). */
  key8?: Bytes
  /** `MAA1` bytes of the sender (control-plane 6.4). */
  attestation?: Bytes
}

/** An INTRODUCE that arrived. `from` is the coordinator's word; the description's signature is the evidence. */
export interface IncomingIntroduction extends Introduction {
  from: NodeId
  /** How long the attempt is worth an answer; clamped to 1 000..10 000 ms. */
  ttlMs: Milliseconds
}

/** A REJECT that arrived or is to be sent. Target 0 and attempt 0 of the wire are `undefined`: the registration itself. */
export interface Rejection {
  target: NodeId | undefined
  attemptId: U64
  reason: RejectReason
  /** Clamped to 0..60 000 ms. */
  retryAfterMs: Milliseconds
}

/** Who answers at the server's address: proven by its HELLO_AUTH on this socket (D45). */
export interface ServerIdentity {
  entityId: Bytes
  nodeId: NodeId
  /** The address of the server is a loopback one: loopback candidates are allowed (D45). */
  loopback: boolean
  /** Its wall clock in HELLO minus ours, ms; the way of the message is in it. */
  clockSkewMs: number
}

/** `waiting` is the pause between two attempts. `registered` follows ATTEST and ROSTER. */
export type RendezvousState = "connecting" | "proving" | "registering" | "registered" | "waiting" | "closed"

export type RendezvousEvents = {
  /** Every change of state; `error` says why a socket was lost or refused. */
  state: { state: RendezvousState; error?: AvError }
  serverIdentity: ServerIdentity
  /** ATTEST and ROSTER are here. Comes again after every reconnect. `registered` counts all nodes, the roster lists ≤ 256. */
  registered: { attestation: Bytes; roster: NodeId[]; registered: number }
  /** A fresh attestation on a registered socket. */
  attestation: { attestation: Bytes }
  rosterDelta: { joined: NodeId[]; left: NodeId[] }
  introduce: IncomingIntroduction
  /** The answer to my CONNECT; who sent it is read from the description's `from_entity` (D43). */
  answer: Introduction
  /** A trickled description; the sender is read from the description. */
  candidates: { description: Bytes }
  reject: Rejection
  /** Payload of a ROUTED frame, as received (control-plane 1.6). */
  routed: { payload: Bytes }
  routedHello: { payload: Bytes }
  /** The only ICE servers besides the application's own (D50). `relayAllow`: the TURN servers' addresses, port 0. */
  ice: { servers: IceServer[]; relayAllow: AddressBlock[]; ttlMs: Milliseconds }
}

/** Same members as the browser's RTCIceServer, so it can be passed on as it is. */
export interface IceServer {
  urls: string
  username?: string
  credential?: string
}

/** The part of the standard WebSocket that the client uses; the one of `ws` fits as well. */
export interface WebSocketLike {
  binaryType: string
  readonly bufferedAmount: number
  send(data: Uint8Array<ArrayBuffer>): void
  close(code?: number, reason?: string): void
  addEventListener(type: "open" | "close" | "error", listener: () => void): void
  addEventListener(type: "message", listener: (event: { data: unknown }) => void): void
}

export interface RendezvousOptions {
  /** `ws:` or `wss:` address of the server (RM-24). Query and fragment are cut off before anything is opened. */
  url: string
  /** Room name; must match `[a-z0-9][a-z0-9._-]{0,63}`. */
  namespace: string
  signer: IdentitySigner
  /** The entity the server must prove; another one is `ServerIdentityMismatch` and the client stops. */
  expectedEntity?: Bytes
  /** Default: the global `WebSocket`. In Node before 22 pass the class of `ws`. */
  openSocket?: (url: string) => WebSocketLike
  random?: RandomBytes
  /** `true` accepts `ws:` to an address that is not loopback (control-plane 0.5 wants `wss:` there). Default `false`. */
  allowInsecure?: boolean
  /** Ends the client like {@link RendezvousClient.close}. */
  signal?: AbortSignal
}

export interface WaitOptions {
  signal?: AbortSignal
  /** Default 5 000 ms. */
  timeoutMs?: Milliseconds
}

/**
 * A registration at a rendezvous server that reconnects by itself. Sending while not registered returns `false` and drops:
 * the callers have their own retries and know better what is still worth sending.
 */
export interface RendezvousClient {
  readonly state: RendezvousState
  readonly server: ServerIdentity | undefined
  /** The newest attestation of this node, kept after the socket is lost (D46). */
  readonly attestation: Bytes | undefined
  on<K extends keyof RendezvousEvents>(event: K, handler: (value: RendezvousEvents[K]) => void): () => void
  /** CONNECT. The attestation is added when the introduction has none. */
  connectTo(target: NodeId, introduction: Introduction): boolean
  /** ANSWER to an introduction from `to`. */
  answer(to: NodeId, introduction: Introduction): boolean
  sendCandidates(to: NodeId, description: Bytes): boolean
  /** Refuses an introduction that came through this server. */
  reject(rejection: Rejection): boolean
  sendRouted(payload: Bytes): boolean
  sendRoutedHello(payload: Bytes): boolean
  /** Publishes signed KeyPackageRecords of this identity (av-mesh 6.6, D-18). Rejects with what the server or socket said. */
  putKeyPackages(records: Bytes[], options?: WaitOptions): Promise<void>
  /** One record of that key id, used up by this call unless it is the last resort. `KeyPackageUnavailable` when there is none. */
  getKeyPackage(keyId: string, options?: WaitOptions): Promise<Bytes>
  /**
   * Asks where the server's STUN observers saw these addresses, at most eight (REFLEX_QUERY). Rejects with `TraversalError` when the
   * server refuses or is silent (default 3 s), `ServerUnreachable` without a registration.
   */
  queryReflex(addresses: readonly AddressBlock[], options?: WaitOptions): Promise<readonly ReflexReplyEntry[]>
  /** Tries again now, after a network change or a wake-up. */
  retryNow(): void
  /** Cuts the socket as a broken network would; the client goes on by itself. */
  interrupt(): void
  /** UNREGISTER and close; idempotent. */
  close(): void
}

/** Counts of what was refused, by reason. */
export type RendezvousDrops = Record<string, number>
