/** Mute, another camera, screen sharing, an unplugged device. */
import {
  describeError,
  type KeptDevice,
  keepDevice,
  onPermissionChange,
  openDevices,
  openScreen,
  type Publication,
  type Room,
} from "holomesh"

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

/** From a click. The browser's own "stop sharing" ends the publications; `onEnded` is told once. */
export async function shareScreen(room: Room, onEnded: () => void): Promise<Publication[]> {
  const screen = await openScreen()
  const published = await room.publish(screen, { maxBitrate: 1_500_000 })
  const off = room.on("shareEnded", ({ publications }) => {
    if (!published.some((publication) => publications.includes(publication))) return
    off()
    onEnded()
  })
  return published
}

/** Goes on with another camera when this one is pulled out, and comes back to `chosen` when it is there again. */
export function lookAfter(camera: Publication, chosen: string, say: (words: string) => void): KeptDevice {
  return keepDevice(camera, {
    preferred: chosen,
    onChange: (track) => say(`Now using ${track.label}`),
    onLost: () => say("Your camera is gone. It goes on as soon as one is there again."),
    onProblem: (error) => say(describeError(error)),
  })
}

/** Publishes the microphone as soon as the person allows it, without a reload. Returns how to stop waiting. */
export function publishWhenAllowed(room: Room): () => void {
  const stop = onPermissionChange("microphone", (state) => {
    if (state !== "granted") return
    stop()
    void openDevices({ microphone: true }).then(({ stream }) => room.publish(stream))
  })
  return stop
}
