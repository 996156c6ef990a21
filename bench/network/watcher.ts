/** Writes down every frame that a remote track delivers and every frame that the page shows. Runs in the page. */
import { PictureReader } from "./moving-picture.ts"

/** The number of a frame and when it was there. */
export type Sighting = [number: number, at: number]

export interface Watched {
  /** Frames that came out of the decoder and the jitter buffer. */
  decoded: Sighting[]
  /** Frames that the video element presented. */
  shown: Sighting[]
  /** dB, of one shown frame in {@link PSNR_EVERY}. */
  psnr: number[]
  width: number
  height: number
}

const PSNR_EVERY = 30

export class Watcher {
  readonly #video: HTMLVideoElement
  readonly #clock: () => number
  readonly #reader = new PictureReader()
  readonly #stop = new AbortController()
  #watched: Watched = empty()
  #frames = 0

  constructor(video: HTMLVideoElement, track: MediaStreamTrack, clock: () => number) {
    this.#video = video
    this.#clock = clock
    video.srcObject = new MediaStream([track])
    video.requestVideoFrameCallback(() => this.#shown())
    void this.#decoded(track)
  }

  /** What was seen since the last call. */
  take(): Watched {
    const watched = this.#watched
    this.#watched = empty()
    return { ...watched, width: this.#video.videoWidth, height: this.#video.videoHeight }
  }

  close(): void {
    this.#stop.abort()
    this.#video.srcObject = null
  }

  #shown(): void {
    const at = this.#clock()
    if (this.#stop.signal.aborted) return
    this.#video.requestVideoFrameCallback(() => this.#shown())
    const { videoWidth, videoHeight } = this.#video
    const number = this.#reader.number(this.#video, videoWidth, videoHeight)
    if (number === undefined) return
    this.#watched.shown.push([number, at])
    if (this.#frames++ % PSNR_EVERY !== 0) return
    const psnr = this.#reader.psnr(this.#video, videoWidth, videoHeight)
    if (psnr !== undefined) this.#watched.psnr.push(psnr)
  }

  /** Looks at the track itself: two frames between two ticks of the screen are both there in time. */
  async #decoded(track: MediaStreamTrack): Promise<void> {
    const copy = track.clone()
    const frames = new MediaStreamTrackProcessor({ track: copy as MediaStreamVideoTrack }).readable.getReader()
    this.#stop.signal.onabort = () => {
      void frames.cancel()
      copy.stop()
    }
    for (;;) {
      const { value: frame, done } = await frames.read()
      if (done) return
      const at = this.#clock()
      const number = this.#reader.number(frame, frame.displayWidth, frame.displayHeight)
      frame.close()
      if (number !== undefined) this.#watched.decoded.push([number, at])
    }
  }
}

function empty(): Watched {
  return { decoded: [], shown: [], psnr: [], width: 0, height: 0 }
}
