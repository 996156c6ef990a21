/** A picture that carries a number: drawn on a canvas by the sender, read back from the rendered video by the receiver. */
import { HEIGHT, NUMBERS, NumberReader, paintNumber, WIDTH } from "../number-squares.ts"

export const FRAMES_PER_SECOND = 30

/** Time on a clock that both browsers share: they run on one machine. */
export const wallClock = (): number => performance.timeOrigin + performance.now()

/**
 * How far {@link wallClock} of this process is behind the system's clock, in milliseconds: `Date.now()` cuts off fractions, so the
 * largest of many differences comes close to the truth from below.
 */
export function wallClockError(): number {
  let error = Number.NEGATIVE_INFINITY
  const end = performance.now() + 60
  while (performance.now() < end) error = Math.max(error, Date.now() - wallClock())
  return error
}

/** Draws numbers in order and remembers when. */
export class ClockPainter {
  /** Wall-clock time at which each number was drawn. */
  readonly drawnAt = new Map<number, number>()
  readonly #context: CanvasRenderingContext2D
  #number = 0
  #due = 0
  #running = true

  constructor(canvas: HTMLCanvasElement) {
    canvas.width = WIDTH
    canvas.height = HEIGHT
    const context = canvas.getContext("2d", { alpha: false })
    if (context === null) throw new Error("no 2d context")
    this.#context = context
    const step = (now: number) => {
      if (!this.#running) return
      // A millisecond of tolerance: at 60 Hz every second tick is due.
      if (now >= this.#due - 1) {
        this.#due = Math.max(this.#due + 1_000 / FRAMES_PER_SECOND, now)
        this.#draw()
      }
      requestAnimationFrame(step)
    }
    requestAnimationFrame(step)
  }

  stop(): void {
    this.#running = false
  }

  #draw(): void {
    const number = this.#number
    this.#number = (number + 1) % NUMBERS
    const context = this.#context
    // Something soft that moves everywhere, as in a camera's picture.
    const sky = context.createLinearGradient((number * 3) % WIDTH, 0, WIDTH, HEIGHT)
    sky.addColorStop(0, `hsl(${number % 360} 60% 40%)`)
    sky.addColorStop(1, `hsl(${(number + 120) % 360} 50% 60%)`)
    context.fillStyle = sky
    context.fillRect(0, 0, WIDTH, HEIGHT)
    paintNumber(context, number)
    this.drawnAt.set(number, wallClock())
  }
}

export interface SeenNumber {
  number: number
  /** Wall-clock time at which the browser said the frame was handed to the compositor. */
  at: number
}

/** Reads the numbers of the frames that a video element presents. Frames that cannot be read are left out. */
export class ClockReader {
  readonly #video: HTMLVideoElement
  readonly #numbers = new NumberReader()

  constructor(video: HTMLVideoElement) {
    this.#video = video
  }

  /** Resolves at the next presented frame whose number can be read. */
  async next(): Promise<SeenNumber> {
    for (;;) {
      const at = await new Promise<number>((resolve) => {
        this.#video.requestVideoFrameCallback(() => resolve(wallClock()))
      })
      const { videoWidth, videoHeight } = this.#video
      const number = this.#numbers.read(this.#video, videoWidth, videoHeight)
      if (number !== undefined) return { number, at }
    }
  }
}
