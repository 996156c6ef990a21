/** The parts of a room that a page runs in workers, here in one thread: nothing is encoded or decoded, so there is little to do. */
import { initFountainFromPackage } from "../fountain/node.ts"
import type { IdentitySigner } from "../identity/index.ts"
import type { MeshApi } from "../pipeline/index.ts"
import { KeysService } from "../pipeline/keys/service.ts"
import type { KeysApi } from "../pipeline/keys/types.ts"
import { MeshHost } from "../pipeline/mesh/host.ts"
import type { RoomWorkers } from "../room/workers.ts"
import { inThread } from "./in-thread.ts"
import { noPublisher, noReceiver } from "./no-media.ts"

/** Never fails later: there is no worker that could break. */
export function startInThread(signer: IdentitySigner): RoomWorkers {
  const meshHost = new MeshHost(initFountainFromPackage)
  // Whoever gave the identity keeps it; published key packages live as long as the room.
  const keysService = new KeysService(async () => ({ signer, persistent: false, release: () => {} }))
  const mesh = inThread<MeshApi>(meshHost)
  const keys = inThread<KeysApi>(keysService)
  const publish = inThread(noPublisher())
  const receive = inThread(noReceiver())
  const toMesh = new MessageChannel()
  keysService.setMeshPort(toMesh.port1)
  meshHost.setKeysPort(toMesh.port2)
  const events = new MessageChannel()
  meshHost.setEventPort(events.port2)
  // Nothing ever comes out of these.
  const silent = [new MessageChannel(), new MessageChannel()] as const
  const ports = [events.port1, silent[0].port1, silent[1].port1] as const
  return {
    mesh: mesh.remote,
    keys: keys.remote,
    publish: publish.remote,
    receive: receive.remote,
    events: { mesh: ports[0], publish: ports[1], receive: ports[2] },
    startAv1: () => undefined,
    close() {
      for (const part of [mesh, keys, publish, receive]) part.end()
      meshHost.close()
      void keysService.close()
      for (const port of ports) port.close()
    },
  }
}
