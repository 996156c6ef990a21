/** The relay worker's driver: a timer, a port and data channels around {@link RelayCore}. */
import { openLaneChannel } from "../../link/lane-port.ts"
import { AvError } from "../../wire/errors.ts"
import type { Bytes, PeerKeyId, ReceiverLayerPolicy } from "../../wire/types.ts"
import type { MeshAnswer, MeshEvent, MeshLane, MeshLinkId, MeshOptions, MeshSubscribe, MeshSubscriber } from "../mesh/types.ts"
import { RelayCore } from "./core.ts"
import type { RelayApi, RelayStats } from "./types.ts"

/** Time between two turns of the clock: the step a pacer needs (LL-8), in ms. */
const TICK_MS = 5

export class RelayHost implements RelayApi {
  #core: RelayCore | undefined
  #events: MessagePort | undefined
  #timer: ReturnType<typeof setInterval> | undefined
  #closed = false

  async configure(options: MeshOptions): Promise<void> {
    if (this.#closed) throw new AvError("HandleClosedError")
    if (this.#core !== undefined) throw new AvError("AlreadyInitialized")
    const core = new RelayCore(
      { ...options, relay: options.relay ?? { enabled: true } },
      { now: () => performance.now(), emit: (event: MeshEvent) => this.#events?.postMessage(event) },
    )
    this.#core = core
    this.#timer = setInterval(() => core.tick(), TICK_MS)
  }

  setEventPort(port: MessagePort): void {
    this.#events?.close()
    this.#events = port
  }

  addLane({ link, laneId, role, source }: MeshLane): void {
    this.#live().addLane(link, laneId, role, (handlers) => openLaneChannel(source, handlers))
  }

  removeLane(link: MeshLinkId, laneId: number): void {
    this.#live().removeLane(link, laneId)
  }

  removeLink(link: MeshLinkId): void {
    this.#live().removeLink(link)
  }

  setLinkKey(link: MeshLinkId, peer: PeerKeyId, sessionKey: Bytes): void {
    this.#live().setLinkKey(link, peer, sessionKey)
  }

  pathChanged(link: MeshLinkId): void {
    this.#live().pathChanged(link)
  }

  limitUplink(bitrate: number | undefined): void {
    this.#live().limitUplink(bitrate)
  }

  addSubscriber(subscriber: MeshSubscriber): Promise<MeshAnswer> {
    return this.#live().addSubscriber(subscriber)
  }

  setSubscriberPolicy(streamId: Bytes, peer: PeerKeyId, policy: ReceiverLayerPolicy, subNonce?: Bytes): MeshAnswer {
    return this.#live().setSubscriberPolicy(streamId, peer, policy, subNonce)
  }

  removeSubscriber(streamId: Bytes, peer: PeerKeyId, subNonce?: Bytes): MeshAnswer {
    return this.#live().removeSubscriber(streamId, peer, subNonce)
  }

  requestKeyframe(streamId: Bytes, peer: PeerKeyId): void {
    this.#live().requestKeyframe(streamId, peer)
  }

  subscribeStream(subscription: MeshSubscribe): Promise<MeshAnswer> {
    return this.#live().subscribeStream(subscription)
  }

  unsubscribeStream(streamId: Bytes, from?: PeerKeyId): void {
    this.#live().unsubscribeStream(streamId, from)
  }

  stats(): RelayStats {
    return this.#live().stats()
  }

  close(): void {
    if (this.#closed) return
    this.#closed = true
    clearInterval(this.#timer)
    this.#core?.close()
    this.#core = undefined
    this.#events?.close()
  }

  #live(): RelayCore {
    if (this.#closed) throw new AvError("HandleClosedError")
    if (this.#core === undefined) throw new AvError("UsageError", { why: "configure comes first" })
    return this.#core
  }
}
