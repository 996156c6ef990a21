/** The memory of a live room: what it needs of the room's other parts. */
import type { IdentitySigner } from "../../identity/index.ts"
import type { AvError } from "../../wire/errors.ts"
import type { Bytes } from "../../wire/types.ts"
import type { WallClock } from "../clock.ts"
import type { Emitter } from "../emitter.ts"
import type { RoomAddress } from "../invitation.ts"
import type { People } from "../people.ts"
import type { JoinOptions, RoomEvents } from "../types.ts"
import type { RoomWorkers } from "../workers.ts"
import { type MemoryPlace, memoryOfPage } from "./memory-part.ts"
import { PageMemory } from "./room-memory.ts"

interface MemoryRoom {
  people: People
  events: Emitter<RoomEvents>
  clock: WallClock
  driver: { machine: { root: Bytes | undefined } }
  /** Made after the memory. */
  media: { publications: { all: readonly unknown[] } }
  mesh: Pick<RoomWorkers["mesh"], "fountainModule">
  count(error: AvError): void
  warn(error: AvError): void
}

export function createMemory(
  room: MemoryRoom,
  parts: {
    signer: IdentitySigner
    address: RoomAddress
    options: JoinOptions
    controlStorage?: unknown
    around: { memory?: MemoryPlace }
  },
): PageMemory {
  const { people, events, clock, driver, mesh } = room
  const { signer, address, options, controlStorage, around } = parts
  const memory = new PageMemory({
    signer,
    roomName: address.name,
    root: () => driver.machine.root,
    // A second tab has an identity of its own and shares the storage. Who asked for an identity of this page alone leaves nothing behind.
    persistent: around.memory !== undefined || (options.persistentIdentity ?? true),
    storedIdentity: controlStorage !== undefined,
    place: around.memory ?? memoryOfPage(options.workers ?? {}),
    people,
    events,
    fountain: () => mesh.fountainModule(),
    offsetMs: () => clock.offsetMs,
    mediaFlows: () =>
      room.media.publications.all.length > 0 || [...people.remote.values()].some(({ subscriptions }) => subscriptions.length > 0),
    count: (error) => room.count(error),
    warn: (error) => room.warn(error),
  })
  memory.uplink = options.uplinkBitrate
  return memory
}
