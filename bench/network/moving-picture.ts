/** A picture that is a pure function of its number: detailed and moving, so that an encoder needs its bits; the receiver can redraw it. */
import { seededRandom } from "../../e2e/network/chance.ts"

export const WIDTH = 640
export const HEIGHT = 360
export const FRAMES_PER_SECOND = 30

/** Two rows of ten squares on top: 16 bits of the number, 4 of a checksum. */
const COLUMNS = 10
const ROWS = 2
const SQUARE = 64
const STRIP = ROWS * SQUARE
const NUMBERS = 2 ** 16
/** The number is read from a copy scaled down by this. */
const SCALE = 4
const TEXTURE = 512

type Context = CanvasRenderingContext2D

export function context(width: number, height: number, readable = false): Context {
  const canvas = document.createElement("canvas")
  canvas.width = width
  canvas.height = height
  const made = canvas.getContext("2d", { alpha: false, willReadFrequently: readable })
  if (made === null) throw new Error("no 2d context")
  return made
}

/** Draws any number of the series. */
export class MovingPicture {
  readonly #texture = texture(8, 1)
  readonly #grain = texture(1, 2)

  draw(target: Context, number: number): void {
    target.globalAlpha = 1
    tile(target, this.#texture, number * 3, number * 2)
    // Something that moves against the rest.
    target.save()
    target.beginPath()
    target.arc(WIDTH / 2 + 180 * Math.sin(number / 25), 244, 90, 0, 2 * Math.PI)
    target.clip()
    tile(target, this.#texture, -number * 5, number)
    target.restore()
    target.globalAlpha = 0.08
    tile(target, this.#grain, (number * 197) % TEXTURE, (number * 331) % TEXTURE)
    target.globalAlpha = 1
    for (const [index, bit] of bitsOf(number).entries()) {
      target.fillStyle = bit ? "#fff" : "#000"
      target.fillRect((index % COLUMNS) * SQUARE, Math.floor(index / COLUMNS) * SQUARE, SQUARE, SQUARE)
    }
  }
}

/** Draws the numbers in order at the frame rate and remembers when. */
export class MovingPainter {
  /** By number, on the clock that is given. */
  readonly drawnAt = new Map<number, number>()
  #number = 0
  #due = 0

  constructor(canvas: HTMLCanvasElement, clock: () => number) {
    canvas.width = WIDTH
    canvas.height = HEIGHT
    const target = canvas.getContext("2d", { alpha: false })
    if (target === null) throw new Error("no 2d context")
    const picture = new MovingPicture()
    const step = (now: number) => {
      requestAnimationFrame(step)
      // A millisecond of tolerance: at 60 Hz every second tick is due.
      if (now < this.#due - 1) return
      this.#due = Math.max(this.#due + 1_000 / FRAMES_PER_SECOND, now)
      picture.draw(target, this.#number)
      this.drawnAt.set(this.#number, clock())
      this.#number = (this.#number + 1) % NUMBERS
    }
    requestAnimationFrame(step)
  }
}

/** Reads numbers off pictures, and how close a picture is to what was drawn. */
export class PictureReader {
  readonly #strip = context((COLUMNS * SQUARE) / SCALE, STRIP / SCALE, true)
  readonly #whole = context(WIDTH, HEIGHT, true)
  readonly #again = context(WIDTH, HEIGHT, true)
  readonly #picture = new MovingPicture()

  /** Undefined when the number cannot be read. */
  number(source: CanvasImageSource, width: number, height: number): number | undefined {
    const { canvas } = this.#strip
    this.#strip.drawImage(source, 0, 0, width, (height * STRIP) / HEIGHT, 0, 0, canvas.width, canvas.height)
    const { data } = this.#strip.getImageData(0, 0, canvas.width, canvas.height)
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

  /** PSNR in dB of the luma below the squares, at the size of the source. */
  psnr(source: CanvasImageSource, width: number, height: number): number | undefined {
    this.#whole.drawImage(source, 0, 0, width, height, 0, 0, WIDTH, HEIGHT)
    const number = this.number(this.#whole.canvas, WIDTH, HEIGHT)
    if (number === undefined) return undefined
    this.#picture.draw(this.#again, number)
    const seen = this.#whole.getImageData(0, STRIP, WIDTH, HEIGHT - STRIP).data
    const drawn = this.#again.getImageData(0, STRIP, WIDTH, HEIGHT - STRIP).data
    let squares = 0
    for (let at = 0; at < seen.length; at += 4) squares += (luma(seen, at) - luma(drawn, at)) ** 2
    const mean = squares / (seen.length / 4)
    return 10 * Math.log10(255 ** 2 / Math.max(mean, 1e-3))
  }
}

function luma(data: Uint8ClampedArray, at: number): number {
  return 0.299 * (data[at] ?? 0) + 0.587 * (data[at + 1] ?? 0) + 0.114 * (data[at + 2] ?? 0)
}

/** Noise with dots of `dot` pixels, smoothed by the scaling; tiles without a seam that matters. */
function texture(dot: number, seed: number): HTMLCanvasElement {
  const small = context(TEXTURE / dot, TEXTURE / dot)
  const pixels = small.getImageData(0, 0, small.canvas.width, small.canvas.height)
  const random = seededRandom(seed)
  for (let at = 0; at < pixels.data.length; at += 4) {
    const grey = 40 + random() * 175
    for (let channel = 0; channel < 3; channel++) pixels.data[at + channel] = grey + (random() - 0.5) * 60
    pixels.data[at + 3] = 255
  }
  small.putImageData(pixels, 0, 0)
  const full = context(TEXTURE, TEXTURE)
  full.drawImage(small.canvas, 0, 0, TEXTURE, TEXTURE)
  return full.canvas
}

function tile(target: Context, image: HTMLCanvasElement, x: number, y: number): void {
  const [left, top] = [modulo(x, TEXTURE), modulo(y, TEXTURE)]
  for (let column = -left; column < WIDTH; column += TEXTURE) {
    for (let row = -top; row < HEIGHT; row += TEXTURE) target.drawImage(image, column, row)
  }
}

const modulo = (value: number, by: number) => ((value % by) + by) % by

function bitsOf(number: number): boolean[] {
  const checksum = (number ^ (number >> 4) ^ (number >> 8) ^ (number >> 12) ^ 0b1010) & 0b1111
  const word = number | (checksum << 16)
  return Array.from({ length: ROWS * COLUMNS }, (_, index) => ((word >> index) & 1) === 1)
}
