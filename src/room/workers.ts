/** The four workers of a room and the ports between them. */
import * as Comlink from "comlink"
import type { MeshApi } from "../pipeline/index.ts"
import type { KeysApi } from "../pipeline/keys/index.ts"
import type { PublishApi } from "../pipeline/publish/types.ts"
import type { ReceiveApi } from "../pipeline/receive/types.ts"
import { AvError } from "../wire/errors.ts"
import type { WorkerUrls } from "./types.ts"
import { type WorkerEndpoint, workerEndpoint } from "./worker-endpoint.ts"
import { startWorker, type WorkerName } from "./worker-source.ts"

/** The workers as the page calls them. */
export interface RoomWorkers {
  mesh: Comlink.Remote<MeshApi>
  keys: Comlink.Remote<KeysApi>
  publish: Comlink.Remote<PublishApi>
  receive: Comlink.Remote<ReceiveApi>
  /** Events of a worker, as its `types.ts` lists them. */
  events: Record<"mesh" | "publish" | "receive", MessagePort>
  /** Starts the worker that decodes AV1 where the browser does not, unless it runs. @throws AvError `WorkerFailed` */
  startAv1(): void
  /** Posts to the mesh worker synchronously: a data channel can be transferred only in the task that made it. */
  close(): void
}

/** Starts the workers and connects them. `onFailure` is called at most once, when one of them breaks later. */
export function startWorkers(urls: WorkerUrls, onFailure: (error: AvError) => void): RoomWorkers {
  const running: WorkerEndpoint[] = []
  let failed = false
  const start = (name: WorkerName): WorkerEndpoint => {
    const endpoint = workerEndpoint(startWorker(name, urls), (event) => {
      if (failed) return
      failed = true
      onFailure(new AvError("WorkerFailed", { worker: name, reason: event.message ?? "could not be loaded" }))
    })
    running.push(endpoint)
    return endpoint
  }
  const mesh = Comlink.wrap<MeshApi>(start("mesh"))
  const keys = Comlink.wrap<KeysApi>(start("keys"))
  const publish = Comlink.wrap<PublishApi>(start("publish"))
  const receive = Comlink.wrap<ReceiveApi>(start("receive"))

  const keysToMesh = new MessageChannel()
  keys.setMeshPort(Comlink.transfer(keysToMesh.port1, [keysToMesh.port1]))
  mesh.setKeysPort(Comlink.transfer(keysToMesh.port2, [keysToMesh.port2]))
  const publishToMesh = new MessageChannel()
  publish.setMeshPort(Comlink.transfer(publishToMesh.port1, [publishToMesh.port1]))
  mesh.connectPublisher(Comlink.transfer(publishToMesh.port2, [publishToMesh.port2]))
  const meshToReceive = new MessageChannel()
  receive.setMeshPort(Comlink.transfer(meshToReceive.port1, [meshToReceive.port1]))
  mesh.connectReceiver(Comlink.transfer(meshToReceive.port2, [meshToReceive.port2]))

  const events = {
    mesh: eventPort((port) => mesh.setEventPort(port)),
    publish: eventPort((port) => publish.setEventPort(port)),
    receive: eventPort((port) => receive.setEventPort(port)),
  }
  let av1: Worker | undefined
  return {
    mesh,
    keys,
    publish,
    receive,
    events,
    startAv1() {
      if (av1 !== undefined || failed) return
      av1 = startWorker("av1", urls)
      const { port1, port2 } = new MessageChannel()
      // A room goes on without it: the streams that need it fail, and say so.
      av1.onerror = () => void receive.endAv1()
      av1.postMessage(undefined, [port1])
      receive.setAv1Port(Comlink.transfer(port2, [port2]))
    },
    close() {
      failed = true
      for (const port of Object.values(events)) port.close()
      for (const worker of running) worker.end()
      av1?.terminate()
    },
  }
}

function eventPort(give: (port: MessagePort) => unknown): MessagePort {
  const { port1, port2 } = new MessageChannel()
  give(Comlink.transfer(port2, [port2]))
  return port1
}
