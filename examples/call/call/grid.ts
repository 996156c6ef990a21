/** Lays tiles out so that they use the space best, whatever its shape. */

const GAP = 10
/** Shapes a camera tile may take, width by height; the picture is cropped to it. */
const WIDEST = 16 / 9
const NARROWEST = { wide: 4 / 3, tall: 3 / 4 }

export interface TileSize {
  columns: number
  width: number
  height: number
}

/** The number of columns that gives `count` tiles the largest area in `width` × `height` CSS pixels. */
export function bestLayout(count: number, width: number, height: number): TileSize {
  let best: TileSize = { columns: 1, width: 0, height: 0 }
  const narrowest = width > height ? NARROWEST.wide : NARROWEST.tall
  for (let columns = 1; columns <= count; columns++) {
    const rows = Math.ceil(count / columns)
    const cellWidth = (width - GAP * (columns - 1)) / columns
    const cellHeight = (height - GAP * (rows - 1)) / rows
    if (cellWidth <= 0 || cellHeight <= 0) continue
    const tileWidth = Math.min(cellWidth, cellHeight * WIDEST)
    const tileHeight = Math.min(cellHeight, tileWidth / narrowest)
    // An uneven last row looks unfinished: it has to be worth at least a tenth more area.
    const evenness = rows * columns === count ? 1.1 : 1
    const known = best.width * best.height * (rowsOf(count, best.columns) * best.columns === count ? 1.1 : 1)
    if (tileWidth * tileHeight * evenness > known) best = { columns, width: tileWidth, height: tileHeight }
  }
  return { ...best, width: Math.floor(best.width), height: Math.floor(best.height) }
}

function rowsOf(count: number, columns: number): number {
  return Math.ceil(count / columns)
}

/** Keeps the children of `grid` laid out until the returned function is called. */
export function keepLaidOut(grid: HTMLElement): () => void {
  const layOut = () => {
    const style = getComputedStyle(grid)
    const width = grid.clientWidth - Number.parseFloat(style.paddingLeft) - Number.parseFloat(style.paddingRight)
    const height = grid.clientHeight - Number.parseFloat(style.paddingTop) - Number.parseFloat(style.paddingBottom)
    const tile = bestLayout(Math.max(1, grid.childElementCount), width, height)
    grid.style.setProperty("--tile-width", `${tile.width}px`)
    grid.style.setProperty("--tile-height", `${tile.height}px`)
  }
  const resizes = new ResizeObserver(layOut)
  resizes.observe(grid)
  const changes = new MutationObserver(layOut)
  changes.observe(grid, { childList: true })
  return () => {
    resizes.disconnect()
    changes.disconnect()
  }
}
