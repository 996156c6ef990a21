/** A picture that carries a number: drawn on a canvas by the sender, read back from the rendered video by the receiver. */

export const WIDTH = 640
export const HEIGHT = 360
export const FRAMES_PER_SECOND = 30

/** Two rows of ten squares: 16 bits of the number, 4 of a checksum. */
const COLUMNS = 10
const ROWS = 2
const SQUARE = 64
const NUMBERS = 2 ** 16
/** The receiver looks at a copy scaled down by this. */
const SCALE = 4

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
    for (const [index, bit] of bitsOf(number).entries()) {
      context.fillStyle = bit ? "#fff" : "#000"
      context.fillRect((index % COLUMNS) * SQUARE, Math.floor(index / COLUMNS) * SQUARE, SQUARE, SQUARE)
    }
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
  readonly #context: CanvasRenderingContext2D

  constructor(video: HTMLVideoElement) {
    this.#video = video
    const canvas = document.createElement("canvas")
    canvas.width = (COLUMNS * SQUARE) / SCALE
    canvas.height = (ROWS * SQUARE) / SCALE
    const context = canvas.getContext("2d", { willReadFrequently: true })
    if (context === null) throw new Error("no 2d context")
    this.#context = context
  }

  /** Resolves at the next presented frame whose number can be read. */
  async next(): Promise<SeenNumber> {
    for (;;) {
      const at = await new Promise<number>((resolve) => {
        this.#video.requestVideoFrameCallback(() => resolve(wallClock()))
      })
      const number = this.#read()
      if (number !== undefined) return { number, at }
    }
  }

  #read(): number | undefined {
    const { videoWidth, videoHeight } = this.#video
    const { canvas } = this.#context
    const part = (ROWS * SQUARE * videoHeight) / HEIGHT
    this.#context.drawImage(this.#video, 0, 0, videoWidth, part, 0, 0, canvas.width, canvas.height)
    const { data } = this.#context.getImageData(0, 0, canvas.width, canvas.height)
    const side = SQUARE / SCALE
    const bits: boolean[] = []
    for (let index = 0; index < ROWS * COLUMNS; index++) {
      const x = (index % COLUMNS) * side + side / 2
      const y = Math.floor(index / COLUMNS) * side + side / 2
      const green = data[(y * canvas.width + x) * 4 + 1] ?? 128
      if (green > 90 && green < 165) return undefined
      bits.push(green >= 165)
    }
    const number = bits.slice(0, 16).reduce((value, bit, index) => value | (bit ? 1 << index : 0), 0)
    return bitsOf(number).every((bit, index) => bit === bits[index]) ? number : undefined
  }
}

function bitsOf(number: number): boolean[] {
  const checksum = (number ^ (number >> 4) ^ (number >> 8) ^ (number >> 12) ^ 0b1010) & 0b1111
  const word = number | (checksum << 16)
  return Array.from({ length: ROWS * COLUMNS }, (_, index) => ((word >> index) & 1) === 1)
}
