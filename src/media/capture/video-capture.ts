/** Pictures of a camera or screen track as a stream that can be transferred to the publish worker. */
import { AvError } from "../../wire/errors.ts"
import { requireFeature } from "../support.ts"

/** Pictures waiting for the worker at most: an old picture is worth nothing. */
const MAX_BUFFERED = 2

export interface VideoCapture {
  /** Transfer it to the publish worker (`PublishApi.addVideoSource`). It ends when the track does. */
  readonly readable: ReadableStream<VideoFrame>
  /** What the track says about itself; a hint for the encoder. */
  readonly width: number
  readonly height: number
  readonly frameRate: number
}

/**
 * Capturing ends with the track or when the readable is cancelled.
 *
 * @throws AvError `MediaUnsupported` without MediaStreamTrackProcessor, `TrackEnded` when the track has ended
 */
export function captureVideo(track: MediaStreamTrack): VideoCapture {
  requireFeature("MediaStreamTrackProcessor", "send video")
  if (!isVideo(track)) throw new AvError("UsageError", { kind: track.kind }, { message: "A video track is needed here." })
  if (track.readyState === "ended") throw new AvError("TrackEnded", { label: track.label })
  const { readable } = new MediaStreamTrackProcessor({ track, maxBufferSize: MAX_BUFFERED })
  const settings = track.getSettings()
  return {
    readable,
    width: settings.width ?? 640,
    height: settings.height ?? 360,
    frameRate: Math.min(30, settings.frameRate || 30),
  }
}

function isVideo(track: MediaStreamTrack): track is MediaStreamVideoTrack {
  return track.kind === "video"
}
