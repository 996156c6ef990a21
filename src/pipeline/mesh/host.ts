/** The mesh worker's driver: timers, ports and data channels around {@link MeshCore}. Thin on purpose; the rules are in the core. */
import { fountainModule } from "../../fountain/index.ts"
import { openLaneChannel } from "../../link/lane-port.ts"
import type { MeshToPublish, MeshToReceive, PublishToMesh, ReceiveToMesh } from "../../media/types.ts"
import { AvError } from "../../wire/errors.ts"
import type { Bytes, PeerKeyId, ReceiverLayerPolicy, U64 } from "../../wire/types.ts"
import { MeshCore } from "./core.ts"
import type {
  MeshAnswer,
  MeshApi,
  MeshEvent,
  MeshFeeds,
  MeshKeysMessage,
  MeshLane,
  MeshLinkId,
  MeshOptions,
  MeshPublish,
  MeshStats,
  MeshSubscribe,
  MeshSubscriber,
} from "./types.ts"

/** Time between two turns of the clock: the step a pacer needs (LL-8), in ms. */
const TICK_MS = 5

export class MeshHost implements MeshApi {
  readonly #loadFountain: () => Promise<void>
  readonly #ports = new Map<string, MessagePort>()
  #core: MeshCore | undefined
  #events: MessagePort | undefined
  #keys: MessagePort | undefined
  #timer: ReturnType<typeof setInterval> | undefined
  #closed = false

  /** @param loadFountain readies the RaptorQ codec; the worker passes one that finds the WASM in its bundle */
  constructor(loadFountain: () => Promise<void>) {
    this.#loadFountain = loadFountain
  }

  async configure(options: MeshOptions): Promise<void> {
    if (this.#closed) throw new AvError("HandleClosedError")
    if (this.#core !== undefined) throw new AvError("AlreadyInitialized")
    const core = new MeshCore(options, {
      now: () => performance.now(),
      timeOrigin: performance.timeOrigin,
      emit: (event: MeshEvent) => this.#events?.postMessage(event),
      toPublisher: (port: string, message: MeshToPublish) => this.#ports.get(port)?.postMessage(message),
      toReceiver: (port: string, message: MeshToReceive) => {
        this.#ports.get(port)?.postMessage(message, message.type === "frame" ? [message.frame.data] : [])
      },
    })
    this.#core = core
    this.#timer = setInterval(() => core.tick(), TICK_MS)
    this.#listenForKeys()
    try {
      await this.#loadFountain()
    } catch (cause) {
      throw new AvError("WorkerFailed", { what: "fountain codec" }, { cause })
    }
  }

  setEventPort(port: MessagePort): void {
    this.#events?.close()
    this.#events = port
  }

  setKeysPort(port: MessagePort): void {
    this.#keys?.close()
    this.#keys = port
    this.#listenForKeys()
  }

  connectPublisher(port: MessagePort, name = "publish"): void {
    this.#connect(name, port)
    port.onmessage = (event: MessageEvent<PublishToMesh>) => this.#live().publishFrame(event.data)
  }

  connectReceiver(port: MessagePort, name = "receive"): void {
    this.#connect(name, port)
    port.onmessage = (event: MessageEvent<ReceiveToMesh>) => this.#live().needKeyframe(event.data.streamKey)
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

  fountainModule(): WebAssembly.Module | undefined {
    return fountainModule()
  }

  setSealEpoch(epoch: U64): void {
    this.#live().setSealEpoch(epoch)
  }

  publishStream(stream: MeshPublish): MeshAnswer {
    return this.#live().publishStream(stream)
  }

  unpublishStream(streamId: Bytes): void {
    this.#live().unpublishStream(streamId)
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

  deliverStream(streamId: Bytes, deliver: boolean): void {
    this.#live().deliverStream(streamId, deliver)
  }

  unsubscribeStream(streamId: Bytes, from?: PeerKeyId): void {
    this.#live().unsubscribeStream(streamId, from)
  }

  feeds(): MeshFeeds {
    return this.#live().feeds()
  }

  stats(): MeshStats {
    return this.#live().stats()
  }

  close(): void {
    if (this.#closed) return
    this.#closed = true
    clearInterval(this.#timer)
    this.#core?.close()
    this.#core = undefined
    for (const port of [this.#events, this.#keys, ...this.#ports.values()]) port?.close()
    this.#ports.clear()
  }

  /** Keys wait in the port until there is somebody to take them: none may be lost. */
  #listenForKeys(): void {
    if (this.#keys === undefined || this.#core === undefined) return
    this.#keys.onmessage = (event: MessageEvent<MeshKeysMessage>) => this.#live().keys(event.data)
  }

  #connect(name: string, port: MessagePort): void {
    this.#ports.get(name)?.close()
    this.#ports.set(name, port)
  }

  #live(): MeshCore {
    if (this.#closed) throw new AvError("HandleClosedError")
    if (this.#core === undefined) throw new AvError("UsageError", { why: "configure comes first" })
    return this.#core
  }
}
