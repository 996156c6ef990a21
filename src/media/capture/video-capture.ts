/** Pictures of a camera or screen track on their way to the publish worker. */
import { AvError } from "../../wire/errors.ts"
import { requireFeature } from "../support.ts"
import { canCaptureByElement, captureByElement } from "./element-capture.ts"

/** Pictures waiting for the worker at most: an old picture is worth nothing. */
const MAX_BUFFERED = 2

interface VideoCapture {
  /** Transfer it to the publish worker (`PublishApi.addVideoSource`). It ends when the track does. */
  readonly source: ReadableStream<VideoFrame> | MessagePort
  /** Ends it without touching the track. Idempotent; cancelling in the worker does the same. */
  close(): void
}

/**
 * Takes the track's own stream of pictures where the browser has one, and a hidden video element otherwise.
 *
 * @throws AvError `MediaUnsupported` where there is neither, `TrackEnded` when the track has ended
 */
export function captureVideo(track: MediaStreamTrack): VideoCapture {
  if (!isVideo(track)) throw new AvError("UsageError", { kind: track.kind }, { message: "A video track is needed here." })
  if (track.readyState === "ended") throw new AvError("TrackEnded", { label: track.label })
  if (typeof MediaStreamTrackProcessor === "undefined" && canCaptureByElement()) {
    const { port, close } = captureByElement(track)
    return { source: port, close }
  }
  requireFeature("MediaStreamTrackProcessor", "send video")
  const { readable } = new MediaStreamTrackProcessor({ track, maxBufferSize: MAX_BUFFERED })
  return { source: readable, close: () => undefined }
}

function isVideo(track: MediaStreamTrack): track is MediaStreamVideoTrack {
  return track.kind === "video"
}
