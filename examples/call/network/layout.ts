/** Where the members of a tree stand in its picture: the publisher on top, everybody below the one that feeds them. */
import type { StreamTree, TreeNode } from "./tree.ts"

const COLUMN = 92
const ROW = 116
const TOP = 34
const BOTTOM = 52
const NARROWEST = 300
/** More in one row are in the table only. */
export const MAX_IN_ROW = 24

export interface Placed {
  node: TreeNode
  x: number
  y: number
}

export interface Layout {
  width: number
  height: number
  placed: Map<string, Placed>
  /** Members for whom there was no room. */
  left: number
}

/** In rows by level; within a row as their parents stand, so that ways cross as little as possible. */
export function layOut({ nodes }: StreamTree): Layout {
  const levels = new Map<number, TreeNode[]>()
  for (const node of nodes) levels.set(node.level, [...(levels.get(node.level) ?? []), node])
  const rows = [...levels].sort(([a], [b]) => a - b).map(([, row]) => row)
  const widest = Math.min(MAX_IN_ROW, Math.max(1, ...rows.map((row) => row.length)))
  const width = Math.max(NARROWEST, widest * COLUMN)
  const placed = new Map<string, Placed>()
  let left = 0
  rows.forEach((row, index) => {
    const wish = (node: TreeNode) => placed.get(node.parents[0] ?? "")?.x ?? width / 2
    const sorted = row.toSorted((a, b) => wish(a) - wish(b) || (a.id < b.id ? -1 : 1))
    const shown = sorted.slice(0, MAX_IN_ROW)
    left += sorted.length - shown.length
    shown.forEach((node, place) => {
      placed.set(node.id, { node, x: ((place + 0.5) / shown.length) * width, y: TOP + index * ROW })
    })
  })
  return { width, height: TOP + Math.max(0, rows.length - 1) * ROW + BOTTOM, placed, left }
}

export type Direction = "up" | "down" | "left" | "right"

/** The member to go to with an arrow key: the parent, the first child, or the neighbour in the row. */
export function neighbour({ placed }: Layout, id: string, direction: Direction): string | undefined {
  const here = placed.get(id)
  if (here === undefined) return undefined
  if (direction === "up") return here.node.parents.find((parent) => placed.has(parent))
  if (direction === "down") {
    const children = here.node.children.filter((child) => placed.has(child))
    return children.find((child) => placed.get(child)?.node.parents[0] === id) ?? children[0]
  }
  const row = [...placed.values()].filter(({ y }) => y === here.y).sort((a, b) => a.x - b.x)
  return row[row.indexOf(here) + (direction === "left" ? -1 : 1)]?.node.id
}
