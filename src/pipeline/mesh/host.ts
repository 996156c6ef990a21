/** The mesh worker's driver: ports and data channels around {@link MeshCore}. Thin on purpose; the rules are in the core. */
import { fountainModule } from "../../fountain/index.ts"
import type { MeshToPublish, MeshToReceive, PublishToMesh, ReceiveToMesh } from "../../media/types.ts"
import { AvError } from "../../wire/errors.ts"
import type { Bytes, U64 } from "../../wire/types.ts"
import { WorkerHost } from "../relay/worker-host.ts"
import { MeshCore } from "./core.ts"
import type { MeshAnswer, MeshApi, MeshFeeds, MeshKeysMessage, MeshOptions, MeshPublish, MeshStats } from "./types.ts"

export class MeshHost extends WorkerHost<MeshCore> implements MeshApi {
  readonly #loadFountain: () => Promise<void>
  readonly #ports = new Map<string, MessagePort>()
  #keys: MessagePort | undefined

  /** @param loadFountain readies the RaptorQ codec; the worker passes one that finds the WASM in its bundle */
  constructor(loadFountain: () => Promise<void>) {
    super()
    this.#loadFountain = loadFountain
  }

  async configure(options: MeshOptions): Promise<void> {
    this.start(
      (emit) =>
        new MeshCore(options, {
          now: () => performance.now(),
          timeOrigin: performance.timeOrigin,
          emit,
          toPublisher: (port: string, message: MeshToPublish) => this.#ports.get(port)?.postMessage(message),
          toReceiver: (port: string, message: MeshToReceive) => {
            this.#ports.get(port)?.postMessage(message, message.type === "frame" ? [message.frame.data] : [])
          },
        }),
    )
    this.#listenForKeys()
    try {
      await this.#loadFountain()
    } catch (cause) {
      throw new AvError("WorkerFailed", { what: "fountain codec" }, { cause })
    }
  }

  setKeysPort(port: MessagePort): void {
    this.#keys?.close()
    this.#keys = port
    this.#listenForKeys()
  }

  connectPublisher(port: MessagePort, name = "publish"): void {
    this.#connect(name, port)
    port.onmessage = (event: MessageEvent<PublishToMesh>) => this.live().publishFrame(event.data)
  }

  connectReceiver(port: MessagePort, name = "receive"): void {
    this.#connect(name, port)
    port.onmessage = (event: MessageEvent<ReceiveToMesh>) => this.live().needKeyframe(event.data.streamKey)
  }

  fountainModule(): WebAssembly.Module | undefined {
    return fountainModule()
  }

  setSealEpoch(epoch: U64): void {
    this.live().setSealEpoch(epoch)
  }

  publishStream(stream: MeshPublish): MeshAnswer {
    return this.live().publishStream(stream)
  }

  unpublishStream(streamId: Bytes): void {
    this.live().unpublishStream(streamId)
  }

  deliverStream(streamId: Bytes, deliver: boolean): void {
    this.live().deliverStream(streamId, deliver)
  }

  feeds(): MeshFeeds {
    return this.live().feeds()
  }

  stats(): MeshStats {
    return this.live().stats()
  }

  override close(): void {
    super.close()
    for (const port of [this.#keys, ...this.#ports.values()]) port?.close()
    this.#ports.clear()
  }

  /** Keys wait in the port until there is somebody to take them: none may be lost. */
  #listenForKeys(): void {
    if (this.#keys === undefined || !this.started) return
    this.#keys.onmessage = (event: MessageEvent<MeshKeysMessage>) => this.live().keys(event.data)
  }

  #connect(name: string, port: MessagePort): void {
    this.#ports.get(name)?.close()
    this.#ports.set(name, port)
  }
}
