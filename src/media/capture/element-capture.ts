/** Pictures of a track by way of a hidden video element: for browsers without MediaStreamTrackProcessor. Page side. */
import { WANT_PICTURE } from "../picture-port.ts"

/** A hidden page gets no frame callbacks: then a picture is taken this often, as far as the browser lets timers run. */
const HIDDEN_EVERY_MS = 500
/** Without a callback for this long the page counts as hidden. */
const CALLBACK_OVERDUE_MS = 400

/** True where {@link captureByElement} works. */
export function canCaptureByElement(): boolean {
  return (
    typeof VideoFrame !== "undefined" &&
    typeof HTMLVideoElement !== "undefined" &&
    "requestVideoFrameCallback" in HTMLVideoElement.prototype
  )
}

/** The port takes {@link WANT_PICTURE} and gives pictures, then `null` when the track ends. `close` stops it from our side. */
export function captureByElement(track: MediaStreamTrack): { port: MessagePort; close(): void } {
  const { port1: port, port2 } = new MessageChannel()
  const video = document.createElement("video")
  video.muted = true
  video.playsInline = true
  video.srcObject = new MediaStream([track])
  let wanted = 0
  let lastMs = performance.now()
  let open = true

  const take = (atMs: number) => {
    lastMs = performance.now()
    if (wanted === 0) return
    let picture: VideoFrame
    try {
      picture = new VideoFrame(video, { timestamp: Math.round(atMs * 1_000) })
    } catch {
      // The element has no picture yet.
      return
    }
    wanted--
    port.postMessage(picture, [picture])
  }
  const onFrame = (nowMs: number, { captureTime }: VideoFrameCallbackMetadata) => {
    if (!open) return
    take(captureTime ?? nowMs)
    video.requestVideoFrameCallback(onFrame)
  }
  const timer = setInterval(() => {
    const nowMs = performance.now()
    if (nowMs - lastMs > CALLBACK_OVERDUE_MS && track.readyState === "live" && !track.muted) take(nowMs)
  }, HIDDEN_EVERY_MS)
  const stop = () => {
    open = false
    clearInterval(timer)
    track.removeEventListener("ended", close)
    video.srcObject = null
    port.close()
  }
  const close = () => {
    if (!open) return
    port.postMessage(null)
    stop()
  }
  port.onmessage = ({ data }: MessageEvent<unknown>) => {
    if (data === WANT_PICTURE) wanted++
    else if (data === null && open) stop()
  }
  track.addEventListener("ended", close)
  video.requestVideoFrameCallback(onFrame)
  // A muted element plays without a click; should it be refused all the same, the timer still looks.
  video.play().catch(() => undefined)
  return { port: port2, close }
}
