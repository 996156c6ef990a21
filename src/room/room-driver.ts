/** The machine of the room protocol and its driver, made for one room. */
import { secureRandom } from "../crypto/index.ts"
import type { IdentitySigner } from "../identity/index.ts"
import { RoomMachine, type RoomOpContext, type RoomRights } from "../membership/index.ts"
import { type ActionHost, performAction } from "./actions.ts"
import type { WallClock } from "./clock.ts"
import type { HostTools } from "./host/host-tools.ts"
import type { RoomAddress } from "./invitation.ts"
import { MachineDriver } from "./machine-driver.ts"
import type { JoinOptions } from "./types.ts"

/** What a room is made with, as far as the protocol is concerned. */
interface RoomDriverParts {
  address: RoomAddress
  options: JoinOptions
  signer: IdentitySigner
  group: RoomOpContext["group"]
}

/** The parts of a room that the machine's actions reach, all but `people` and `clock` made after it. */
interface RoomDriverHost extends ActionHost {
  clock: WallClock
  hostTools: HostTools
}

export function createDriver(
  host: RoomDriverHost,
  { address, options, signer, group }: RoomDriverParts,
  rights: RoomRights,
): MachineDriver {
  const { name } = host.people.local
  const machine = new RoomMachine({
    name: address.name,
    self: signer,
    inviteKey: address.inviteKey,
    relayKey: address.relayKey,
    ...(address.root === undefined ? {} : { root: address.root }),
    ...(name === "" ? {} : { displayName: name }),
    ...(options.maxNeighbours === undefined ? {} : { maxNeighbours: options.maxNeighbours }),
    isHost: (entity) => host.hostTools.isHostEntity(entity),
    writeOffsetMs: () => host.clock.offsetMs,
    random: secureRandom,
  })
  const around = { wallClock: host.clock.now, sessions: () => host.hub.sessions.map(({ id }) => id) }
  return new MachineDriver(machine, { group, signer, rights }, around, (action) => performAction(action, host))
}
