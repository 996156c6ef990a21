/** The newest picture of a track, to be drawn at any time. */

export interface LivePicture {
  /** What `drawImage` takes, and its size; undefined before the first one. */
  now(): { image: CanvasImageSource; width: number; height: number } | undefined
  close(): void
}

/** Frames as they come where the browser lets a page read them, else what a video element shows: it stops in pages nobody looks at. */
export function livePicture(track: MediaStreamTrack): LivePicture {
  return canRead(track) ? new FrameReader(track) : new ElementPicture(track)
}

function canRead(track: MediaStreamTrack): track is MediaStreamVideoTrack {
  return typeof MediaStreamTrackProcessor !== "undefined" && track.readyState === "live"
}

class FrameReader implements LivePicture {
  readonly #reader: ReadableStreamDefaultReader<VideoFrame>
  #frame: VideoFrame | undefined
  #closed = false

  constructor(track: MediaStreamVideoTrack) {
    this.#reader = new MediaStreamTrackProcessor({ track, maxBufferSize: 1 }).readable.getReader()
    this.#read().catch(() => undefined)
  }

  now() {
    if (this.#frame === undefined) return undefined
    const { displayWidth: width, displayHeight: height } = this.#frame
    return { image: this.#frame, width, height }
  }

  close(): void {
    this.#closed = true
    this.#frame?.close()
    this.#frame = undefined
    this.#reader.cancel().catch(() => undefined)
  }

  async #read(): Promise<void> {
    while (!this.#closed) {
      const { value: frame } = await this.#reader.read()
      if (frame === undefined) return
      if (this.#closed) return frame.close()
      this.#frame?.close()
      this.#frame = frame
    }
  }
}

class ElementPicture implements LivePicture {
  readonly #video = document.createElement("video")

  constructor(track: MediaStreamTrack) {
    this.#video.muted = true
    this.#video.playsInline = true
    this.#video.srcObject = new MediaStream([track])
    void this.#video.play().catch(() => undefined)
  }

  now() {
    const { videoWidth: width, videoHeight: height } = this.#video
    return width > 0 ? { image: this.#video, width, height } : undefined
  }

  close(): void {
    this.#video.srcObject = null
  }
}
