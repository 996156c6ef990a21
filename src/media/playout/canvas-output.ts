/** Received pictures drawn on a canvas whose stream is the track: for browsers without MediaStreamTrackGenerator. Page side. */
import { PICTURE_TAKEN } from "../picture-port.ts"

/** True where {@link createCanvasOutput} works. */
export function canOutputByCanvas(): boolean {
  return typeof HTMLCanvasElement !== "undefined" && "captureStream" in HTMLCanvasElement.prototype
}

/** The port takes pictures and answers each with {@link PICTURE_TAKEN}; `null` ends it. Undefined when the canvas gives no track. */
export function createCanvasOutput(): { track: MediaStreamTrack; port: MessagePort } | undefined {
  const canvas = document.createElement("canvas")
  // Some browsers capture only a canvas that has a context already.
  const context = canvas.getContext("2d", { alpha: false, desynchronized: true })
  const track = canvas.captureStream().getVideoTracks()[0]
  if (context === null || track === undefined) return undefined
  const { port1: port, port2 } = new MessageChannel()
  port.onmessage = ({ data: picture }: MessageEvent<VideoFrame | null>) => {
    if (picture === null) {
      port.close()
      return
    }
    const { displayWidth, displayHeight } = picture
    if (canvas.width !== displayWidth || canvas.height !== displayHeight) {
      canvas.width = displayWidth
      canvas.height = displayHeight
    }
    context.drawImage(picture, 0, 0, displayWidth, displayHeight)
    picture.close()
    port.postMessage(PICTURE_TAKEN)
  }
  return { track, port: port2 }
}
