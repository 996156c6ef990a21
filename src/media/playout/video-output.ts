/** A received video stream as a MediaStreamTrack whose pictures the receive worker writes. */
import { requireFeature } from "../support.ts"

export interface VideoOutput {
  readonly track: MediaStreamTrack
  /** Transfer it to the receive worker (`ReceiveApi.addVideo`). */
  readonly writable: WritableStream<VideoFrame>
}

/** @throws AvError `MediaUnsupported` without MediaStreamTrackGenerator */
export function createVideoOutput(): VideoOutput {
  requireFeature("MediaStreamTrackGenerator", "show video")
  const generator = new MediaStreamTrackGenerator({ kind: "video" })
  return { track: generator, writable: generator.writable }
}
