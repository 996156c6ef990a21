/** A number on top of a picture, as black and white squares that survive an encoder: 16 bits, and 4 of a checksum. */

/** Size of every picture that carries a number. */
export const WIDTH = 640
export const HEIGHT = 360
/** Two rows of ten squares. */
const COLUMNS = 10
const ROWS = 2
const SQUARE = 64
/** Rows of pixels that the squares take, from the top. */
export const STRIP = ROWS * SQUARE
/** Numbers begin anew after so many. */
export const NUMBERS = 2 ** 16
/** The number is read from a copy scaled down by this. */
const SCALE = 4

export function paintNumber(target: CanvasRenderingContext2D, number: number): void {
  for (const [index, bit] of bitsOf(number).entries()) {
    target.fillStyle = bit ? "#fff" : "#000"
    target.fillRect((index % COLUMNS) * SQUARE, Math.floor(index / COLUMNS) * SQUARE, SQUARE, SQUARE)
  }
}

export class NumberReader {
  readonly #context: CanvasRenderingContext2D

  constructor() {
    const canvas = document.createElement("canvas")
    canvas.width = (COLUMNS * SQUARE) / SCALE
    canvas.height = STRIP / SCALE
    const context = canvas.getContext("2d", { alpha: false, willReadFrequently: true })
    if (context === null) throw new Error("no 2d context")
    this.#context = context
  }

  /** Undefined when the number cannot be read. @param width of the picture as it is shown, in pixels; so is `height` */
  read(picture: CanvasImageSource, width: number, height: number): number | undefined {
    const { canvas } = this.#context
    this.#context.drawImage(picture, 0, 0, width, (height * STRIP) / HEIGHT, 0, 0, canvas.width, canvas.height)
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
