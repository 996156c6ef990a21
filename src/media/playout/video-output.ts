/** A received video stream as a MediaStreamTrack whose pictures the receive worker gives. */
import { requireFeature } from "../support.ts"
import { canOutputByCanvas, createCanvasOutput } from "./canvas-output.ts"

interface VideoOutput {
  readonly track: MediaStreamTrack
  /** Transfer it to the receive worker (`ReceiveApi.addVideo`). */
  readonly sink: WritableStream<VideoFrame> | MessagePort
}

/**
 * A generator where the browser has one, and a canvas otherwise.
 *
 * @throws AvError `MediaUnsupported` where there is neither
 */
export function createVideoOutput(): VideoOutput {
  if (typeof MediaStreamTrackGenerator === "undefined" && canOutputByCanvas()) {
    const output = createCanvasOutput()
    if (output !== undefined) return { track: output.track, sink: output.port }
  }
  requireFeature("MediaStreamTrackGenerator", "show video")
  const generator = new MediaStreamTrackGenerator({ kind: "video" })
  return { track: generator, sink: generator.writable }
}
