/** Lays tiles out so that they use the space best, whatever its shape. */

const GAP = 10
/** Shapes a camera tile may take, width by height; the picture is cropped to it. */
const SHAPES = { wide: { widest: 16 / 9, narrowest: 4 / 3 }, tall: { widest: 4 / 3, narrowest: 3 / 4 } }
/** An uneven last row looks unfinished: it has to be worth this much more area. */
const EVEN_BONUS = 1.1

export interface TileSize {
  columns: number
  width: number
  height: number
}

/** The number of columns that gives `count` tiles the largest area in `width` × `height` CSS pixels. */
export function bestLayout(count: number, width: number, height: number): TileSize {
  const { widest, narrowest } = width > height ? SHAPES.wide : SHAPES.tall
  let best: TileSize = { columns: 1, width: 0, height: 0 }
  let bestWorth = 0
  for (let columns = 1; columns <= count; columns++) {
    const rows = Math.ceil(count / columns)
    const cellWidth = (width - GAP * (columns - 1)) / columns
    const cellHeight = (height - GAP * (rows - 1)) / rows
    if (cellWidth <= 0 || cellHeight <= 0) continue
    const tileWidth = Math.min(cellWidth, cellHeight * widest)
    const tileHeight = Math.min(cellHeight, tileWidth / narrowest)
    const worth = tileWidth * tileHeight * (rows * columns === count ? EVEN_BONUS : 1)
    if (worth <= bestWorth) continue
    bestWorth = worth
    best = { columns, width: Math.floor(tileWidth), height: Math.floor(tileHeight) }
  }
  return best
}

/** Keeps the children of `grid` laid out in the space of `place` until the returned function is called. */
export function keepLaidOut(place: HTMLElement, grid: HTMLElement): () => void {
  const layOut = () => {
    const style = getComputedStyle(place)
    const width = place.clientWidth - Number.parseFloat(style.paddingLeft) - Number.parseFloat(style.paddingRight)
    const height = place.clientHeight - Number.parseFloat(style.paddingTop) - Number.parseFloat(style.paddingBottom)
    const tile = bestLayout(Math.max(1, grid.childElementCount), width, height)
    grid.style.setProperty("--tile-width", `${tile.width}px`)
    grid.style.setProperty("--tile-height", `${tile.height}px`)
    // Wide enough for these columns and no more, or narrow tiles would flow into longer rows.
    grid.style.setProperty("--grid-width", `${tile.columns * tile.width + (tile.columns - 1) * GAP}px`)
  }
  const resizes = new ResizeObserver(layOut)
  resizes.observe(place)
  const changes = new MutationObserver(layOut)
  changes.observe(grid, { childList: true })
  return () => {
    resizes.disconnect()
    changes.disconnect()
  }
}
