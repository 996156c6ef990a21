/** From a link to a live room, wherever it runs. */
import type { AudioEngine } from "../media/index.ts"
import { installErrorTransfer } from "../pipeline/errors.ts"
import { remoteGroup, remoteSigner } from "../pipeline/keys/index.ts"
import { AvError, isAvError } from "../wire/errors.ts"
import { Conductor } from "./conductor.ts"
import type { RoomAddress } from "./invitation.ts"
import { LiveRoom } from "./live-room.ts"
import type { Platform } from "./platform.ts"
import { checkedBitrate, meshOptions } from "./relaying.ts"
import { ControlStorage } from "./rpc/storage.ts"
import type { JoinOptions, Room } from "./types.ts"
import type { RoomWorkers } from "./workers.ts"

/** @param address what `url` says, checked */
export async function enterRoom(address: RoomAddress, url: string, options: JoinOptions, platform: Platform): Promise<Room> {
  const { signal } = options
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
  const workers = platform.startWorkers(options, (error) => {
    broken = error
    onBroken(error)
    conductor?.workerFailed(error)
  })
  let audio: AudioEngine | undefined
  try {
    const engineReady = platform.openSound(options)
    const opened = await Promise.race([failure, Promise.all([openKeys(workers, options), engineReady])])
    const [{ signer, group, controlStorage }, engine] = opened
    audio = engine
    await Promise.race([failure, workers.mesh.configure({ ownKeyId: signer.keyId, ...meshOptions(options), ...uplink })])
    if (signal?.aborted) throw new AvError("Aborted")
    conductor = new Conductor({ address, url, options, workers, signer, group, audio, controlStorage, around: platform })
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
