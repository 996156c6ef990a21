/** Carries out what the room machine asks for: links, messages, keys and notices. */
import type { GroupView } from "../group/types.ts"
import type { ControlSession } from "../link/index.ts"
import { AvError, isAvError } from "../wire/errors.ts"
import type { DriverAction } from "./machine-driver.ts"
import type { PageMemory } from "./memory/room-memory.ts"
import { type NoticeHost, takeNotice } from "./notices.ts"
import type { PeerHub } from "./peer-hub.ts"
import type { ControlPlane } from "./rpc/control-plane.ts"
import type { ServerConnection } from "./server-connection.ts"
import type { RoomWorkers } from "./workers.ts"

/** The parts of a room that actions reach. */
export interface ActionHost extends NoticeHost {
  hub: PeerHub
  server: ServerConnection
  control: ControlPlane
  memory: Pick<PageMemory, "classified">
  mesh: RoomWorkers["mesh"]
  send(session: ControlSession | undefined, message: Parameters<ControlSession["send"]>[0]): boolean
  count(error: AvError): void
  /** The group is in a new epoch. */
  entered(view: GroupView): void
  /** Everything was said. */
  finished(): void
}

export function performAction(action: DriverAction, host: ActionHost): void {
  switch (action.type) {
    case "connect":
      host.hub.connect(action.node, action.via)
      return
    case "openRouted":
      host.hub.openRouted(action.node, action.via)
      return
    case "send":
      host.send(host.hub.session(action.session), action.message)
      return
    case "goaway":
      host.hub.session(action.session)?.close(action.code)
      return
    case "deliver":
      host.media.deliver(action.session, action.keyId, action.message).catch((error: unknown) => host.count(asAvError(error)))
      return
    case "peerClass":
      host.control.classified(action.session, action.peerClass === "member")
      host.memory.classified(host.hub.session(action.session), action.peerClass === "member")
      if (action.peerClass !== "stranger") host.hub.link(action.session)?.allowLaneControl()
      return
    case "epoch":
      host.entered(action.view)
      return
    case "seal":
      void host.mesh.setSealEpoch(action.epoch)
      return
    case "unregister":
      host.server.client.close()
      return
    case "serverGoaway":
      host.server.client.close()
      return
    case "retryServer":
      host.server.client.retryNow()
      return
    case "emit":
      takeNotice(action.event, host)
      return
    case "finished":
      host.finished()
  }
}

/** What is thrown in a worker or in between becomes one of our errors. */
export function asAvError(error: unknown): AvError {
  return isAvError(error) ? error : new AvError("WorkerFailed", {}, { cause: error })
}
