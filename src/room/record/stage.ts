/** The picture of a recording: everybody in one frame, with their names. */
import { cells, placeIn } from "./layout.ts"
import type { RecordSources } from "./sources.ts"

const BACKGROUND = "#10141a"
const LABEL = "rgb(0 0 0 / 60%)"

export class Stage {
  readonly canvas = document.createElement("canvas")
  readonly #labels: boolean

  constructor(width: number, height: number, labels: boolean) {
    this.canvas.width = width
    this.canvas.height = height
    this.#labels = labels
  }

  draw({ pictures }: Pick<RecordSources, "pictures">): void {
    const { width, height } = this.canvas
    const context = this.canvas.getContext("2d")
    if (context === null) return
    context.fillStyle = BACKGROUND
    context.fillRect(0, 0, width, height)
    const boxes = cells(pictures.length, width, height)
    for (const [i, { live, label, muted }] of pictures.entries()) {
      const cell = boxes[i]!
      const picture = muted ? undefined : live.now()
      if (picture !== undefined) {
        const box = placeIn(picture.width, picture.height, cell)
        context.drawImage(picture.image, box.x, box.y, box.width, box.height)
      }
      if (this.#labels && label !== "") write(context, label, cell.x, cell.y + cell.height, height)
    }
  }
}

function write(context: CanvasRenderingContext2D, text: string, left: number, bottom: number, frameHeight: number): void {
  const size = Math.max(10, Math.round(frameHeight / 36))
  context.font = `600 ${size}px system-ui, sans-serif`
  const { width } = context.measureText(text)
  context.fillStyle = LABEL
  context.fillRect(left + size / 2, bottom - 2 * size, width + size, size * 1.5)
  context.fillStyle = "white"
  context.textBaseline = "middle"
  context.fillText(text, left + size, bottom - 1.25 * size)
}
