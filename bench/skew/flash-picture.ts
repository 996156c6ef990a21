/** A moving picture that flashes white, and who sees the flash begin in a video element. */

export const FRAMES_PER_SECOND = 30
const WIDTH = 640
const HEIGHT = 360
const FLASH_MS = 150
/**
 * From the compositor to the screen: a refresh. `expectedDisplayTime` would say it, but in Chromium without a screen it is up to three
 * refreshes off for minutes, and at times before the picture came out of the track.
 */
const SCREEN_MS = 1_000 / 60
/** The moving part is darker than this, a flash is brighter. */
const BRIGHT = 170
const LOOK = 8

/** Draws at the rate of the capture, so that every picture drawn is a picture taken. */
export class FlashPainter {
  readonly #context: CanvasRenderingContext2D
  #number = 0
  #due = 0
  #flashUntil = 0

  /** @param flashes asked at every picture whether a flash begins with it */
  constructor(canvas: HTMLCanvasElement, flashes: (nowMs: number) => boolean) {
    canvas.width = WIDTH
    canvas.height = HEIGHT
    const context = canvas.getContext("2d", { alpha: false })
    if (context === null) throw new Error("no 2d context")
    this.#context = context
    const step = (nowMs: number) => {
      requestAnimationFrame(step)
      if (nowMs < this.#due - 1) return
      this.#due = Math.max(this.#due + 1_000 / FRAMES_PER_SECOND, nowMs)
      if (flashes(nowMs)) this.#flashUntil = nowMs + FLASH_MS
      this.#draw(nowMs < this.#flashUntil)
    }
    requestAnimationFrame(step)
  }

  #draw(white: boolean): void {
    const context = this.#context
    const number = this.#number++
    const soft = context.createLinearGradient((number * 3) % WIDTH, 0, WIDTH, HEIGHT)
    soft.addColorStop(0, white ? "#fff" : `hsl(${number % 360} 60% 10%)`)
    soft.addColorStop(1, white ? "#eee" : `hsl(${(number + 120) % 360} 50% 25%)`)
    context.fillStyle = soft
    context.fillRect(0, 0, WIDTH, HEIGHT)
  }
}

/** Says whether a picture belongs to a flash. */
class Look {
  readonly #context: CanvasRenderingContext2D

  constructor() {
    const canvas = document.createElement("canvas")
    canvas.width = LOOK
    canvas.height = LOOK
    const context = canvas.getContext("2d", { willReadFrequently: true })
    if (context === null) throw new Error("no 2d context")
    this.#context = context
  }

  isFlash(picture: HTMLVideoElement | VideoFrame): boolean {
    this.#context.drawImage(picture, 0, 0, LOOK, LOOK)
    const { data } = this.#context.getImageData(LOOK / 2, LOOK / 2, 1, 1)
    return (data[1] ?? 0) > BRIGHT
  }
}

/** Reads every picture that the element presents, and says when a flash is to be seen first. */
export class FlashWatcher {
  /** Flashes whose first picture was presented before we looked. */
  missed = 0
  readonly #video: HTMLVideoElement
  readonly #look = new Look()
  readonly #seen: (atMs: number) => void
  #white = false
  #presented = 0

  /** @param seen gets when the picture was on the screen, a refresh after the browser composed it, on the page's clock */
  constructor(video: HTMLVideoElement, track: MediaStreamTrack, seen: (atMs: number) => void) {
    this.#video = video
    this.#seen = seen
    video.srcObject = new MediaStream([track])
    video.requestVideoFrameCallback(this.#onPicture)
  }

  readonly #onPicture = (_: number, { presentationTime, presentedFrames }: VideoFrameCallbackMetadata): void => {
    this.#video.requestVideoFrameCallback(this.#onPicture)
    const notLookedAt = presentedFrames - this.#presented - 1
    this.#presented = presentedFrames
    const white = this.#look.isFlash(this.#video)
    if (white && !this.#white) {
      if (notLookedAt > 0) this.missed++
      else this.#seen(presentationTime + SCREEN_MS)
    }
    this.#white = white
  }
}

/** So many pictures back the fastest is looked for: four seconds. */
const ARRIVALS = 4 * FRAMES_PER_SECOND

/** Reads a track as a capturing worker does, and says when a flash was taken: by the picture's own time, as the fastest one came. */
export async function watchCapture(track: MediaStreamTrack, now: () => number, seen: (atMs: number) => void): Promise<void> {
  const pictures = new MediaStreamTrackProcessor({ track: track as MediaStreamVideoTrack }).readable.getReader()
  const look = new Look()
  const arrivals: number[] = []
  let white = false
  for (;;) {
    const { value: picture, done } = await pictures.read()
    if (done) return
    const ownMs = picture.timestamp / 1_000
    arrivals.push(now() - ownMs)
    if (arrivals.length > ARRIVALS) arrivals.shift()
    const flash = look.isFlash(picture)
    picture.close()
    if (flash && !white) seen(ownMs + Math.min(...arrivals))
    white = flash
  }
}
