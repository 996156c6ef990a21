/** What the drivers of the mesh worker and the relay worker share: a timer, the port of events, and what both cores are asked. */
import { openLaneChannel } from "../../link/lane-port.ts"
import { AvError } from "../../wire/errors.ts"
import type { Bytes, PeerKeyId, ReceiverLayerPolicy } from "../../wire/types.ts"
import type { MeshAnswer, MeshEvent, MeshLane, MeshLinkId, MeshSubscribe, MeshSubscriber } from "../mesh/types.ts"
import type { RelayCore } from "./core.ts"
import type { DrivenCall } from "./types.ts"

/** Time between two turns of the clock: the step a pacer needs (LL-8), in ms. */
const TICK_MS = 5

type DrivenCore = Pick<RelayCore, DrivenCall | "tick">

export abstract class WorkerHost<Core extends DrivenCore> {
  #core: Core | undefined
  #events: MessagePort | undefined
  #timer: ReturnType<typeof setInterval> | undefined
  #closed = false

  setEventPort(port: MessagePort): void {
    this.#events?.close()
    this.#events = port
  }

  addLane({ link, laneId, role, source }: MeshLane): void {
    this.live().addLane(link, laneId, role, (handlers) => openLaneChannel(source, handlers))
  }

  removeLane(link: MeshLinkId, laneId: number): void {
    this.live().removeLane(link, laneId)
  }

  removeLink(link: MeshLinkId): void {
    this.live().removeLink(link)
  }

  setLinkKey(link: MeshLinkId, peer: PeerKeyId, sessionKey: Bytes): void {
    this.live().setLinkKey(link, peer, sessionKey)
  }

  pathChanged(link: MeshLinkId): void {
    this.live().pathChanged(link)
  }

  limitUplink(bitrate: number | undefined): void {
    this.live().limitUplink(bitrate)
  }

  addSubscriber(subscriber: MeshSubscriber): Promise<MeshAnswer> {
    return this.live().addSubscriber(subscriber)
  }

  setSubscriberPolicy(streamId: Bytes, peer: PeerKeyId, policy: ReceiverLayerPolicy, subNonce?: Bytes): MeshAnswer {
    return this.live().setSubscriberPolicy(streamId, peer, policy, subNonce)
  }

  removeSubscriber(streamId: Bytes, peer: PeerKeyId, subNonce?: Bytes): MeshAnswer {
    return this.live().removeSubscriber(streamId, peer, subNonce)
  }

  requestKeyframe(streamId: Bytes, peer: PeerKeyId): void {
    this.live().requestKeyframe(streamId, peer)
  }

  subscribeStream(subscription: MeshSubscribe): Promise<MeshAnswer> {
    return this.live().subscribeStream(subscription)
  }

  unsubscribeStream(streamId: Bytes, from?: PeerKeyId): void {
    this.live().unsubscribeStream(streamId, from)
  }

  close(): void {
    if (this.#closed) return
    this.#closed = true
    clearInterval(this.#timer)
    this.#core?.close()
    this.#core = undefined
    this.#events?.close()
  }

  /** Once; the clock runs from here on. @throws AvError `HandleClosedError`, `AlreadyInitialized` */
  protected start(make: (emit: (event: MeshEvent) => void) => Core): void {
    if (this.#closed) throw new AvError("HandleClosedError")
    if (this.#core !== undefined) throw new AvError("AlreadyInitialized")
    const core = make((event) => this.#events?.postMessage(event))
    this.#core = core
    this.#timer = setInterval(() => core.tick(), TICK_MS)
  }

  protected get started(): boolean {
    return this.#core !== undefined
  }

  /** @throws AvError `HandleClosedError`, or `UsageError` before the start */
  protected live(): Core {
    if (this.#closed) throw new AvError("HandleClosedError")
    if (this.#core === undefined) throw new AvError("UsageError", { why: "configure comes first" })
    return this.#core
  }
}
