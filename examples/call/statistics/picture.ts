/** A small picture of who sends to whom: people on a circle, an arrow for each direction, thicker with more streams. */
import type { RoomStats } from "holomesh"
import { svg } from "../dom.ts"
import type { NameOf } from "./tables.ts"

const WIDTH = 360
const RADIUS_X = 128
/** Room above and below for the names. */
const MARGIN = 39
const DOT = 9
const LONGEST_NAME = 14

export function edgePicture(edges: RoomStats["edges"], people: string[], nameOf: NameOf): SVGSVGElement {
  // Two people need a line, more need a circle.
  const height = people.length > 2 ? 230 : 104
  const center = { x: WIDTH / 2, y: height / 2 }
  const at = new Map(people.map((id, index) => [id, placeOf(index, people.length, center)]))
  const streams = new Map<string, { from: string; to: string; count: number }>()
  for (const { from, to } of edges) {
    if (!at.has(from) || !at.has(to) || from === to) continue
    const key = `${from} ${to}`
    const known = streams.get(key) ?? { from, to, count: 0 }
    streams.set(key, { ...known, count: known.count + 1 })
  }
  const arrows = [...streams.values()].map(({ from, to, count }) => {
    const path = arrowPath(at.get(from) ?? center, at.get(to) ?? center)
    const words = `${nameOf(from)} sends ${count} ${count === 1 ? "stream" : "streams"} to ${nameOf(to)}`
    const width = 1 + Math.min(3, count) * 0.6
    return svg("path", { d: path, "stroke-width": width, "marker-end": "url(#arrow)", class: "edge" }, svg("title", {}, words))
  })
  const dots = people.flatMap((id, index) => {
    const { x, y } = at.get(id) ?? center
    const name = [...nameOf(id)]
    const label = name.length > LONGEST_NAME ? `${name.slice(0, LONGEST_NAME - 1).join("")}…` : name.join("")
    const below = y > center.y - 1
    return [
      svg("circle", { cx: x, cy: y, r: DOT, class: index === 0 ? "dot own" : "dot" }),
      svg("text", { x, y: below ? y + DOT + 15 : y - DOT - 7, "text-anchor": "middle" }, label),
    ]
  })
  const words = [...streams.values()].map(({ from, to }) => `${nameOf(from)} to ${nameOf(to)}`).join(", ")
  const head = svg("path", { d: "M0 0 7 3.5 0 7Z", class: "arrow-head" })
  const marker = svg(
    "marker",
    {
      id: "arrow",
      viewBox: "0 0 7 7",
      refX: 6,
      refY: 3.5,
      markerWidth: 7,
      markerHeight: 7,
      orient: "auto",
      markerUnits: "userSpaceOnUse",
    },
    head,
  )
  return svg(
    "svg",
    {
      viewBox: `0 0 ${WIDTH} ${height}`,
      class: "edges",
      role: "img",
      "aria-label": `Who sends to whom: ${words || "nobody yet"}`,
    },
    svg("defs", {}, marker),
    ...arrows,
    ...dots,
  )
}

interface Point {
  x: number
  y: number
}

function placeOf(index: number, count: number, center: Point): Point {
  // Two people stand side by side; more start at the bottom, where the own dot is.
  const angle = (index / count) * Math.PI * 2 + (count === 2 ? Math.PI : Math.PI / 2)
  return { x: center.x + RADIUS_X * Math.cos(angle), y: center.y + (center.y - MARGIN) * Math.sin(angle) }
}

/** Bends to one side, so that both directions can be told apart. */
function arrowPath(from: Point, to: Point): string {
  const [dx, dy] = [to.x - from.x, to.y - from.y]
  const length = Math.hypot(dx, dy) || 1
  const [ux, uy] = [dx / length, dy / length]
  const bend = Math.min(26, length * 0.14)
  const control = { x: (from.x + to.x) / 2 - uy * bend, y: (from.y + to.y) / 2 + ux * bend }
  const start = toward(from, control, DOT + 3)
  const end = toward(to, control, DOT + 4)
  return `M${start.x.toFixed(1)} ${start.y.toFixed(1)}Q${control.x.toFixed(1)} ${control.y.toFixed(1)} ${end.x.toFixed(1)} ${end.y.toFixed(1)}`
}

function toward(from: Point, to: Point, distance: number): Point {
  const length = Math.hypot(to.x - from.x, to.y - from.y) || 1
  return { x: from.x + ((to.x - from.x) / length) * distance, y: from.y + ((to.y - from.y) / length) * distance }
}
