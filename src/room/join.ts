/** `joinRoom` in a page. */
import { AudioEngine } from "../media/index.ts"
import { AvError } from "../wire/errors.ts"
import { enterRoom } from "./enter.ts"
import { readRoomAddress } from "./invitation.ts"
import type { Platform } from "./platform.ts"
import type { JoinOptions, Room } from "./types.ts"
import { workletUrl } from "./worker-source.ts"
import { startWorkers } from "./workers.ts"

const page: Platform = {
  startWorkers: ({ workers = {} }, onFailure) => startWorkers(workers, onFailure),
  openSound: ({ workers }) => AudioEngine.create({ workletUrl: workletUrl(workers) }),
}

/**
 * Joins the room at `url` (founds it when nobody is there) and resolves when this page is a member.
 *
 * @param url `wss://server/room#k=…`; the fragment is the invitation and never leaves the browser
 * @throws AvError `RoomUrlInvalid`, `RoomNameInvalid`, `InvitationInvalid`, `InvitationRefused`, `RoomFull`, `RoomLocked`, `Barred`,
 *   `AdmissionDeclined`, `JoinTimeout`, `ServerUnreachable`, `ServerRefused`, `ProtocolVersion`, `MediaUnsupported`, `WorkerFailed`,
 *   `Aborted`. `describeError` gives the sentence for a person.
 */
export async function joinRoom(url: string | URL, options: JoinOptions = {}): Promise<Room> {
  if (options.signal?.aborted) throw new AvError("Aborted")
  const address = readRoomAddress(String(url), options.open ?? false)
  requireBrowser()
  return enterRoom(address, String(url), options, page)
}

function requireBrowser(): void {
  const missing = ["RTCPeerConnection", "WebSocket", "Worker", "AudioContext"].find((name) => !(name in globalThis))
  if (missing !== undefined) throw new AvError("MediaUnsupported", { missing })
}
