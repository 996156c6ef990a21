/** `joinRoom`: from a link to a live room. */
import { AudioEngine } from "../media/index.ts"
import { installErrorTransfer } from "../pipeline/errors.ts"
import { remoteGroup, remoteSigner } from "../pipeline/keys/index.ts"
import { AvError, isAvError } from "../wire/errors.ts"
import { Conductor } from "./conductor.ts"
import { readRoomAddress } from "./invitation.ts"
import { LiveRoom } from "./live-room.ts"
import { checkedBitrate, meshOptions } from "./relaying.ts"
import { ControlStorage } from "./rpc/storage.ts"
import type { JoinOptions, Room } from "./types.ts"
import { workletUrl } from "./worker-source.ts"
import { type RoomWorkers, startWorkers } from "./workers.ts"

/**
 * Joins the room at `url` (founds it when nobody is there) and resolves when this page is a member.
 *
 * @param url `wss://server/room#k=…`; the fragment is the invitation and never leaves the browser
 * @throws AvError `RoomUrlInvalid`, `RoomNameInvalid`, `InvitationInvalid`, `InvitationRefused`, `RoomFull`, `RoomLocked`, `Barred`,
 *   `AdmissionDeclined`, `JoinTimeout`, `ServerUnreachable`, `ServerRefused`, `ProtocolVersion`, `MediaUnsupported`, `WorkerFailed`,
 *   `Aborted`. `describeError` gives the sentence for a person.
 */
export async function joinRoom(url: string | URL, options: JoinOptions = {}): Promise<Room> {
  const { signal } = options
  if (signal?.aborted) throw new AvError("Aborted")
  const address = readRoomAddress(String(url), options.open ?? false)
  requireBrowser()
  installErrorTransfer()
  const uplinkBitrate = checkedBitrate(options.uplinkBitrate)
  const uplink = uplinkBitrate === undefined ? {} : { uplinkBitrate }
  let conductor: Conductor | undefined
  let broken: AvError | undefined
  let onBroken: (error: AvError) => void = () => {}
  const failure = new Promise<never>((_, reject) => {
    onBroken = reject
  })
  failure.catch(() => undefined)
  const workers = startWorkers(options.workers ?? {}, (error) => {
    broken = error
    onBroken(error)
    conductor?.workerFailed(error)
  })
  let audio: AudioEngine | undefined
  try {
    const engineReady = AudioEngine.create({ workletUrl: workletUrl(options.workers) })
    const opened = await Promise.race([failure, Promise.all([openKeys(workers, options), engineReady])])
    const [{ signer, group, controlStorage }, engine] = opened
    audio = engine
    await Promise.race([failure, workers.mesh.configure({ ownKeyId: signer.keyId, ...meshOptions(options), ...uplink })])
    if (signal?.aborted) throw new AvError("Aborted")
    conductor = new Conductor({ address, url: String(url), options, workers, signer, group, audio, controlStorage })
  } catch (error) {
    workers.close()
    await audio?.close()
    throw isAvError(error) ? error : new AvError("WorkerFailed", {}, { cause: broken ?? error })
  }
  await conductor.join(signal)
  return new LiveRoom(conductor, { name: address.name, open: address.open })
}

async function openKeys(workers: RoomWorkers, options: JoinOptions) {
  const identity = await workers.keys.start({ persistent: options.persistentIdentity ?? true })
  const signer = remoteSigner(workers.keys, identity)
  const [group, controlStorage] = await Promise.all([
    remoteGroup(workers.keys),
    // An identity of this page alone never comes back: nothing of it is kept.
    identity.persistent ? ControlStorage.open(identity.nodeId) : undefined,
  ])
  return { signer, group, controlStorage }
}

function requireBrowser(): void {
  const missing = ["RTCPeerConnection", "WebSocket", "Worker", "AudioContext"].find((name) => !(name in globalThis))
  if (missing !== undefined) throw new AvError("MediaUnsupported", { missing })
}
