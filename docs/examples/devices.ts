/** Mute, another camera, screen sharing, an unplugged device. */
import { openDevices, openScreen, type Publication, type Room } from "holomesh"

export async function toggle(publication: Publication): Promise<void> {
  await (publication.muted ? publication.unmute() : publication.mute())
}

/** The others keep their subscription; nothing flickers but the picture. */
export async function otherCamera(camera: Publication, deviceId: string): Promise<void> {
  const { stream } = await openDevices({ camera: deviceId })
  const [track] = stream.getVideoTracks()
  if (track === undefined) return
  const before = camera.track
  await camera.replaceTrack(track)
  before?.stop()
}

/** From a click. The browser's own "stop sharing" ends the track: then the publication is taken back. */
export async function shareScreen(room: Room): Promise<Publication[]> {
  const screen = await openScreen()
  const published = await room.publish(screen, { maxBitrate: 1_500_000 })
  room.on("deviceLost", ({ publication }) => {
    if (published.includes(publication)) void publication.unpublish()
  })
  return published
}
