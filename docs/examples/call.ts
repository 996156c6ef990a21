/** The shortest call: join, show everybody, send the camera. */
import { joinRoom, openDevices } from "holomesh"

export async function call(link: string, tiles: HTMLElement): Promise<() => Promise<void>> {
  const room = await joinRoom(link, { name: "Ada" })
  const videos = new Map<string, HTMLVideoElement>()
  room.on("track", ({ participant, track }) => {
    let video = videos.get(participant.id)
    if (video === undefined) {
      video = document.createElement("video")
      video.autoplay = true
      video.srcObject = new MediaStream()
      videos.set(participant.id, video)
      tiles.append(video)
    }
    if (video.srcObject instanceof MediaStream) video.srcObject.addTrack(track)
  })
  room.on("trackEnded", ({ participant, subscription }) => {
    const stream = videos.get(participant.id)?.srcObject
    if (stream instanceof MediaStream) stream.removeTrack(subscription.track)
  })
  room.on("participantLeft", ({ participant }) => {
    videos.get(participant.id)?.remove()
    videos.delete(participant.id)
  })
  const { stream, problems } = await openDevices({ camera: true, microphone: true })
  if (problems.length === 0 || stream.getTracks().length > 0) await room.publish(stream)
  return () => room.leave()
}
