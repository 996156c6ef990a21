/** The control plane of a live room: what it needs of the room's other parts. */
import { type IdentitySigner, PinTable } from "../../identity/index.ts"
import type { AvError } from "../../wire/errors.ts"
import type { NodeId, PeerKeyId } from "../../wire/types.ts"
import type { WallClock } from "../clock.ts"
import type { People } from "../people.ts"
import { ControlPlane } from "./control-plane.ts"
import type { ControlStorage } from "./storage.ts"

interface RoomControlHost {
  people: People
  clock: WallClock
  /** Made after the control plane. */
  hub: { openRouted(node: NodeId, via: "server" | string): void }
  /** Made after it too; hears when tokens may have died. */
  hostTools: { recheck(): void }
  driver: { machine: { nodeOf(keyId: PeerKeyId): NodeId | undefined } }
  count(error: AvError): void
  warn(error: AvError): void
}

export function roomControl(
  host: RoomControlHost,
  { signer, controlStorage }: { signer: IdentitySigner; controlStorage?: ControlStorage | undefined },
): ControlPlane {
  const { people, clock, driver } = host
  const pins = new PinTable()
  pins.pinForever(signer.nodeId, signer.entityId)
  return new ControlPlane({
    signer,
    pins,
    storage: controlStorage,
    now: () => Date.now(),
    offsetMs: () => clock.offsetMs,
    participant: (keyId) => (keyId === people.local.id ? people.local : people.remote.get(keyId)),
    nodeOf: (keyId) => driver.machine.nodeOf(keyId),
    floorRose: () => host.hostTools.recheck(),
    reach: (node, via) => host.hub.openRouted(node, via),
    dropped: (error) => host.count(error),
    warn: (error) => host.warn(error),
  })
}
