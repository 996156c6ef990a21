/** What turns frames into pictures: the browser's decoder, or one of our own, behind one face. */
import type { EncodedFrame } from "../../media/types.ts"

export interface PictureDecoderSink {
  /** The receiver closes the picture. */
  output(picture: VideoFrame): void
  /** Nothing comes out any more: make a new decoder and begin with a keyframe. */
  failed(cause: unknown): void
  /** There is room for another frame. */
  dequeued(): void
}

export interface PictureDecoder {
  /** Frames that wait in the decoder. */
  readonly queueSize: number
  /** Throws when the frame cannot be taken; the decoder is at its end then. */
  decode(frame: EncodedFrame): void
  /** Nothing is told to the sink any more. Idempotent. */
  close(): void
}

/** Makes a decoder for a WebCodecs codec string. */
export type MakePictureDecoder = (codec: string, sink: PictureDecoderSink) => PictureDecoder

/** The browser's own. */
export function browserDecoder(codec: string, sink: PictureDecoderSink): PictureDecoder {
  let closed = false
  const decoder = new VideoDecoder({
    output(picture) {
      if (closed) picture.close()
      else sink.output(picture)
    },
    error(error) {
      if (!closed) sink.failed(error)
    },
  })
  decoder.ondequeue = () => {
    if (!closed) sink.dequeued()
  }
  decoder.configure({ codec, optimizeForLatency: true })
  return {
    get queueSize() {
      return decoder.decodeQueueSize
    },
    decode({ keyframe, ptsUs, data }) {
      decoder.decode(new EncodedVideoChunk({ type: keyframe ? "key" : "delta", timestamp: ptsUs, data }))
    },
    close() {
      closed = true
      if (decoder.state !== "closed") decoder.close()
    },
  }
}
