/** The curve of readability, drawn as SVG: it takes its colours from the page and any size. */
import { type Chance, percent } from "./figures.ts"

const SVG = "http://www.w3.org/2000/svg"
const [WIDTH, HEIGHT, LEFT, BOTTOM] = [640, 280, 44, 30]

export function drawChances(chances: readonly Chance[], now: Chance): SVGElement {
  const svg = element("svg", { viewBox: `0 0 ${WIDTH} ${HEIGHT}`, role: "img" })
  svg.setAttribute(
    "aria-label",
    `Readable in ${percent(now.distinct)} of cases with ${percent(now.availability)} of the devices there`,
  )
  for (const share of [0, 0.25, 0.5, 0.75, 1]) {
    svg.append(element("line", { x1: LEFT, x2: WIDTH - 8, y1: y(share), y2: y(share), class: "grid" }))
    svg.append(text(percent100(share), LEFT - 6, y(share) + 4, "end"))
  }
  for (const availability of [0.5, 0.6, 0.7, 0.8, 0.9, 1])
    svg.append(text(percent100(availability), x(availability), HEIGHT - 8, "middle"))
  svg.append(curve(chances, ({ independent }) => independent, "independent"))
  svg.append(curve(chances, ({ distinct }) => distinct, "distinct"))
  if (now.availability >= 0.5) {
    svg.append(element("circle", { cx: x(now.availability), cy: y(now.distinct), r: 5, class: "now" }))
  }
  return svg
}

function curve(chances: readonly Chance[], value: (chance: Chance) => number, name: string): SVGElement {
  const points = chances.map((chance) => `${x(chance.availability).toFixed(1)},${y(value(chance)).toFixed(1)}`)
  return element("polyline", { points: points.join(" "), class: name })
}

function x(availability: number): number {
  return LEFT + ((availability - 0.5) / 0.5) * (WIDTH - LEFT - 16)
}

function y(share: number): number {
  return 10 + (1 - share) * (HEIGHT - BOTTOM - 20)
}

function percent100(share: number): string {
  return `${Math.round(share * 100)} %`
}

function text(content: string, at: number, baseline: number, anchor: string): SVGElement {
  const node = element("text", { x: at, y: baseline, "text-anchor": anchor })
  node.textContent = content
  return node
}

function element(name: string, attributes: Record<string, string | number>): SVGElement {
  const node = document.createElementNS(SVG, name)
  for (const [attribute, value] of Object.entries(attributes)) node.setAttribute(attribute, String(value))
  return node
}
