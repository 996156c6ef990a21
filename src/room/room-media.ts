/** The media of a room: what its media plane asks of links, parents and hosts. */
import { secureRandom } from "../crypto/index.ts"
import type { IdentitySigner } from "../identity/index.ts"
import type { ControlSession } from "../link/index.ts"
import type { AudioEngine } from "../media/index.ts"
import { toHex } from "../wire/index.ts"
import type { Bytes } from "../wire/types.ts"
import type { WallClock } from "./clock.ts"
import type { HostTools } from "./host/host-tools.ts"
import { type MediaEventsHost, mediaEvents } from "./media-events.ts"
import { MediaPlane } from "./media-plane.ts"
import type { ParentDirector } from "./parents/director.ts"
import type { Surroundings } from "./platform.ts"
import type { JoinOptions } from "./types.ts"
import type { RoomWorkers } from "./workers.ts"

/** What a room is made with, as far as media are concerned. */
interface RoomMediaParts {
  options: JoinOptions
  workers: RoomWorkers
  signer: IdentitySigner
  audio: AudioEngine
  around: Surroundings
}

/** The parts of a room that the media plane reaches; `parents` and `hostTools` come after it. */
interface RoomMediaHost extends MediaEventsHost {
  clock: WallClock
  parents: ParentDirector
  hostTools: Pick<HostTools, "own">
  roomId(): Bytes
  send(session: ControlSession | undefined, message: Parameters<ControlSession["send"]>[0]): boolean
}

export function createMedia(host: RoomMediaHost, { options, workers, signer, audio, around }: RoomMediaParts): MediaPlane {
  const media: MediaPlane = new MediaPlane({
    workers,
    audio,
    random: secureRandom,
    ownKeyId: signer.keyId,
    ...(options.videoCodecs === undefined ? {} : { videoCodecs: options.videoCodecs }),
    headless: around.headless,
    roomId: () => host.roomId(),
    send: (keyId, message) => host.send(host.directSession(keyId), message),
    reply: (session, message) => host.send(host.hub.session(session), message),
    linkTo: (keyId) => {
      const session = host.directSession(keyId)
      return session && { id: session.id, send: (message) => host.send(session, message) }
    },
    makePlace: (streamId, asker) => host.parents.makePlace(streamId, asker),
    isKept: (streamId, asker) => host.parents.isKept(streamId, asker),
    mayServe: (streamId) => host.hostTools.own.mayRelay || media.publications.byStreamKey(toHex(streamId)) !== undefined,
    capacity: (from, signed) => void host.parents.desk.offer(from, signed, host.clock.now()),
    events: mediaEvents(host),
  })
  audio.onLatency((ms) => void workers.receive.setOutputLatency(ms))
  return media
}
