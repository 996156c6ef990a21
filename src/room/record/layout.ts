/** Where each picture of a recording goes: equal cells, as many columns as make them largest. */

interface Box {
  x: number
  y: number
  width: number
  height: number
}

/** One cell for each of `count` pictures, row by row; the last row is centred. */
export function cells(count: number, width: number, height: number): Box[] {
  const columns = bestColumns(count, width, height)
  const rows = Math.ceil(count / columns)
  const [cellWidth, cellHeight] = [width / columns, height / rows]
  return Array.from({ length: count }, (_, i) => {
    const row = Math.floor(i / columns)
    const inRow = row < rows - 1 ? columns : count - columns * (rows - 1)
    const x = (width - inRow * cellWidth) / 2 + (i % columns) * cellWidth
    return { x, y: row * cellHeight, width: cellWidth, height: cellHeight }
  })
}

/** The largest box of a picture's shape inside a cell, in its middle. */
export function placeIn(pictureWidth: number, pictureHeight: number, cell: Box): Box {
  const scale = Math.min(cell.width / pictureWidth, cell.height / pictureHeight)
  const [width, height] = [pictureWidth * scale, pictureHeight * scale]
  return { x: cell.x + (cell.width - width) / 2, y: cell.y + (cell.height - height) / 2, width, height }
}

const USUAL_SHAPE = 16 / 9

function bestColumns(count: number, width: number, height: number): number {
  let [best, largest] = [1, 0]
  for (let columns = 1; columns <= Math.max(1, count); columns++) {
    const cell = { width: width / columns, height: height / Math.ceil(count / columns) }
    const shown = Math.min(cell.width, cell.height * USUAL_SHAPE)
    if (shown >= largest) [best, largest] = [columns, shown]
  }
  return best
}
