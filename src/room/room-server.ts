/** The room's connection to its server: what it says goes to the room machine, the connections and the clock. */
import type { IdentitySigner } from "../identity/index.ts"
import { AvError } from "../wire/errors.ts"
import type { WallClock } from "./clock.ts"
import type { Connections } from "./connections.ts"
import type { Emitter } from "./emitter.ts"
import type { RoomAddress } from "./invitation.ts"
import type { MachineDriver } from "./machine-driver.ts"
import type { Surroundings } from "./platform.ts"
import { ServerConnection } from "./server-connection.ts"
import type { RoomEvents, RoomState } from "./types.ts"

interface RoomServerHost {
  driver: Pick<MachineDriver, "feed">
  events: Emitter<RoomEvents>
  clock: Pick<WallClock, "heardServer">
  /** Made after this. */
  connections: Pick<Connections, "serverChanged">
  readonly state: RoomState
  warn(error: AvError): void
}

/** @param refused while joining, a server that cannot be used at all ends the attempt; later the call goes on without it */
export function roomServer(
  host: RoomServerHost,
  { address, signer, around }: { address: RoomAddress; signer: IdentitySigner; around: Surroundings },
  refused: (error: AvError) => void,
): ServerConnection {
  const { openSocket } = around
  const socket = openSocket === undefined ? {} : { openSocket }
  return new ServerConnection(
    { url: address.server, namespace: address.name, signer, ...socket },
    {
      feed: (event) => host.driver.feed(event),
      connected: (connected, reason) => {
        host.events.emit("server", { connected, reason })
        host.connections.serverChanged(connected)
      },
      clock: (skewMs) => {
        if (host.clock.heardServer(skewMs)) host.warn(new AvError("ClockOff", { seconds: Math.round(-skewMs / 1000) }))
      },
      trouble: (error, final) => (final && host.state === "joining" ? refused(error) : host.warn(error)),
    },
  )
}
