/** A picture that is a pure function of its number: detailed and moving, so that an encoder needs its bits; the receiver can redraw it. */
import { seeded } from "../../src/wire/seeded.ts"
import { HEIGHT, NUMBERS, NumberReader, paintNumber, STRIP, WIDTH } from "../number-squares.ts"

export const FRAMES_PER_SECOND = 30

const TEXTURE = 512

type Context = CanvasRenderingContext2D

function context(width: number, height: number, readable = false): Context {
  const canvas = document.createElement("canvas")
  canvas.width = width
  canvas.height = height
  const made = canvas.getContext("2d", { alpha: false, willReadFrequently: readable })
  if (made === null) throw new Error("no 2d context")
  return made
}

/** Draws any number of the series. */
class MovingPicture {
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
    paintNumber(target, number)
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
  readonly #numbers = new NumberReader()
  readonly #whole = context(WIDTH, HEIGHT, true)
  readonly #again = context(WIDTH, HEIGHT, true)
  readonly #picture = new MovingPicture()

  /** Undefined when the number cannot be read. */
  number(source: CanvasImageSource, width: number, height: number): number | undefined {
    return this.#numbers.read(source, width, height)
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
  const random = seeded(seed)
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
