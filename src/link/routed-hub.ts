/** All routed sessions of a page: who is shaking hands, who is connected, and which payload belongs to whom (control-plane 1.6). */
import { FRAME_ROUTED, FRAME_ROUTED_HELLO } from "../wire/control-frame.ts"
import { AvError } from "../wire/errors.ts"
import { decodeRoutedFrame, decodeRoutedHello, type RoutedFrame, type RoutedHello } from "../wire/routed.ts"
import type { Bytes, NodeId } from "../wire/types.ts"
import { Emitter } from "./emitter.ts"
import { asAvError } from "./errors.ts"
import { RoutedPeer } from "./routed-peer.ts"
import type { RoutedCarrier, RoutedHub, RoutedHubEvents, RoutedHubOptions } from "./types.ts"

/** Sessions and handshakes at a time. Strangers can start handshakes through any relay. */
const MAX_PEERS = 64
/** Handshakes that others may start within {@link WINDOW_MS}: each costs us a signature. */
const MAX_STARTED = 32
const WINDOW_MS = 10_000

export function createRoutedHub(options: RoutedHubOptions): RoutedHub {
  return new Hub(options)
}

class Hub implements RoutedHub {
  readonly #options: RoutedHubOptions
  readonly #events = new Emitter<RoutedHubEvents>()
  readonly on = this.#events.on
  readonly #peers = new Map<NodeId, RoutedPeer>()
  #windowStart = Number.NEGATIVE_INFINITY
  #started = 0
  #closed = false

  constructor(options: RoutedHubOptions) {
    this.#options = options
  }

  open(peerNode: NodeId, carrier: RoutedCarrier): void {
    const { signer } = this.#options
    if (this.#closed) throw new AvError("SessionClosed")
    if (peerNode === signer.nodeId) throw new AvError("SessionSelf")
    if (this.#peers.get(peerNode)?.alive) return
    this.#add(peerNode, carrier)?.start()
  }

  receive(type: number, payload: Bytes, carrier: RoutedCarrier): void {
    if (this.#closed) return
    try {
      if (type === FRAME_ROUTED_HELLO) this.#hello(decodeRoutedHello(payload), carrier)
      else if (type === FRAME_ROUTED) this.#frame(decodeRoutedFrame(payload), carrier)
      else throw new AvError("RoutedInvalid", { type })
    } catch (error) {
      this.#dropped(error)
    }
  }

  close(): void {
    this.#closed = true
    for (const peer of this.#peers.values()) peer.close()
    this.#peers.clear()
    this.#events.clear()
  }

  #hello(hello: RoutedHello, carrier: RoutedCarrier): void {
    const { signer, acceptPeer } = this.#options
    const { src, dst } = hello
    if (dst !== signer.nodeId || src === signer.nodeId) throw new AvError("RoutedInvalid", { why: "not for us" })
    const known = this.#peers.get(src)
    if (hello.step !== 1) {
      if (known === undefined) throw new AvError("RoutedInvalid", { why: "no handshake" })
      known.hello(hello, carrier)
      return
    }
    // Both asked at the same time: the smaller node id stays initiator.
    if (known?.asking && signer.nodeId < src) return
    if (acceptPeer !== undefined && !acceptPeer(src)) throw new AvError("NotAllowed", { node: src })
    if (!this.#mayStart()) throw new AvError("LimitExceeded", { what: "routed handshakes", max: MAX_STARTED })
    const peer = known ?? this.#add(src, carrier)
    peer?.hello(hello, carrier)
  }

  #frame(frame: RoutedFrame, carrier: RoutedCarrier): void {
    if (frame.dst !== this.#options.signer.nodeId) throw new AvError("RoutedInvalid", { why: "not for us" })
    const peer = this.#peers.get(frame.src)
    if (peer === undefined) throw new AvError("SessionClosed", { node: frame.src })
    peer.frame(frame, carrier)
  }

  #add(node: NodeId, carrier: RoutedCarrier): RoutedPeer | undefined {
    if (this.#peers.size >= MAX_PEERS && !this.#peers.has(node)) {
      this.#dropped(new AvError("LimitExceeded", { what: "routed sessions", max: MAX_PEERS }))
      return undefined
    }
    const peer: RoutedPeer = new RoutedPeer(this.#options, node, carrier, {
      session: (session) => this.#events.emit("session", { session }),
      failed: (error) => this.#events.emit("failed", { peerNode: node, error }),
      dropped: (error) => this.#dropped(error),
      idle: () => {
        if (this.#peers.get(node) === peer) this.#peers.delete(node)
      },
    })
    this.#peers.get(node)?.close()
    this.#peers.set(node, peer)
    return peer
  }

  #mayStart(): boolean {
    const now = performance.now()
    if (now - this.#windowStart >= WINDOW_MS) {
      this.#windowStart = now
      this.#started = 0
    }
    return ++this.#started <= MAX_STARTED
  }

  #dropped(error: unknown): void {
    this.#events.emit("dropped", { error: asAvError(error, "RoutedInvalid") })
  }
}
