/** The tree of one stream as a picture that can be walked through with the arrow keys. */
import { svg } from "../dom.ts"
import type { NameOf } from "../statistics/tables.ts"
import { type Direction, type Layout, layOut, neighbour, type Placed } from "./layout.ts"
import type { StreamTree, TreeEdge } from "./tree.ts"
import { edgeWords, nodeFigure, nodeSentence, SHORT_SHARE, streamName } from "./words.ts"

const DOT = 11
/** From the middle of a dot to below the two lines of text under it. */
const BELOW_NAMES = DOT + 39
const LONGEST_NAME = 13
const KEYS: Readonly<Record<string, Direction>> = {
  ArrowUp: "up",
  ArrowDown: "down",
  ArrowLeft: "left",
  ArrowRight: "right",
}

export interface Drawing {
  element: SVGSVGElement
  show(tree: StreamTree): void
}

/** @param choose told which member the person looks at */
export function createDrawing(own: string, nameOf: NameOf, choose: (id: string) => void): Drawing {
  const element = svg("svg", { class: "tree", role: "group" })
  let layout: Layout | undefined
  let drawn = ""
  let chosen = own
  const marks = new Map<string, NodeMark>()

  const select = (id: string, focus: boolean) => {
    chosen = id
    for (const [each, { group }] of marks) {
      group.setAttribute("tabindex", each === id ? "0" : "-1")
      group.setAttribute("aria-pressed", String(each === id))
    }
    if (focus) marks.get(id)?.group.focus()
    choose(id)
  }

  const onKey = (event: KeyboardEvent, id: string) => {
    const direction = KEYS[event.key]
    if (event.ctrlKey || event.metaKey || event.altKey) return
    if (event.key === "Enter" || event.key === " ") select(id, false)
    else if (direction !== undefined && layout !== undefined) {
      const next = neighbour(layout, id, direction)
      if (next !== undefined) select(next, true)
    } else return
    event.preventDefault()
  }

  const draw = (tree: StreamTree, current: Layout) => {
    const focused = marks.get(chosen)?.group === document.activeElement
    marks.clear()
    const lines = tree.edges.flatMap((edge) => line(edge, current, nameOf))
    for (const place of current.placed.values()) {
      const { id } = place.node
      const mark = nodeMark(place, id === own, id === tree.stream.publisher)
      mark.group.addEventListener("click", () => select(id, true))
      mark.group.addEventListener("keydown", (event) => onKey(event, id))
      marks.set(id, mark)
    }
    element.setAttribute("viewBox", `0 0 ${current.width} ${current.height}`)
    element.style.setProperty("--tree-width", `${current.width}px`)
    element.replaceChildren(svg("g", { class: "tree-lines", "aria-hidden": "true" }, ...lines))
    element.append(...[...marks.values()].map(({ group }) => group))
    if (!marks.has(chosen)) chosen = tree.stream.publisher
    select(chosen, focused)
  }

  return {
    element,
    show(tree) {
      layout = layOut(tree)
      element.setAttribute("aria-label", `${streamName(tree.stream, nameOf)}: who feeds whom. Arrow keys go from one to another.`)
      // While nothing moves only the words change: whoever stands on a member stays there.
      const shape = shapeOf(tree, layout)
      if (shape !== drawn) draw(tree, layout)
      drawn = shape
      for (const [id, mark] of marks) {
        const node = layout.placed.get(id)?.node
        if (node === undefined) continue
        setText(mark.name, shorten(nameOf(id)))
        setText(mark.figure, nodeFigure(tree, node))
        const words = nodeSentence(tree, node, nameOf)
        if (mark.group.getAttribute("aria-label") !== words) mark.group.setAttribute("aria-label", words)
        mark.group.classList.toggle("short", node.share !== undefined && node.share < SHORT_SHARE)
        mark.group.classList.toggle("silent", node.ageMs === undefined)
      }
    },
  }
}

interface NodeMark {
  group: SVGGElement
  name: SVGTextElement
  figure: SVGTextElement
}

function nodeMark({ node, x, y }: Placed, own: boolean, source: boolean): NodeMark {
  const shape = node.relayOnly
    ? svg("rect", { x: x - DOT, y: y - DOT, width: 2 * DOT, height: 2 * DOT, rx: 4, class: "tree-dot" })
    : svg("circle", { cx: x, cy: y, r: source ? DOT + 3 : DOT, class: "tree-dot" })
  const ring = svg("circle", { cx: x, cy: y, r: DOT + 7, class: "tree-ring" })
  const name = svg("text", { x, y: y + DOT + 19, "text-anchor": "middle", class: "tree-name" })
  const figure = svg("text", { x, y: y + DOT + 33, "text-anchor": "middle", class: "tree-figure" })
  const style = `tree-node${own ? " own" : ""}${source ? " source" : ""}`
  const group = svg("g", { class: style, role: "button", tabindex: -1 }, ring, shape, name, figure)
  group.dataset.member = node.id
  return { group, name, figure }
}

function line(edge: TreeEdge, { placed }: Layout, nameOf: NameOf): SVGPathElement[] {
  const [from, to] = [placed.get(edge.from), placed.get(edge.to)]
  if (from === undefined || to === undefined) return []
  const style = `tree-line${edge.main ? " main" : ""}${edge.word === "parent" ? " doubtful" : ""}`
  return [svg("path", { d: path(from, to), class: style }, svg("title", {}, edgeWords(edge, nameOf)))]
}

/** Leaves below the names of the upper one; within a row it goes round the top. */
function path(from: Placed, to: Placed): string {
  if (from.y === to.y) {
    const top = from.y - DOT - 8
    return `M${from.x.toFixed(1)} ${from.y - DOT}C${from.x.toFixed(1)} ${top - 14} ${to.x.toFixed(1)} ${top - 14} ${to.x.toFixed(1)} ${to.y - DOT}`
  }
  // A parent may stand below its child when reports contradict each other: then the way ends below the child's name.
  const down = to.y > from.y
  const [start, end] = down ? [from.y + BELOW_NAMES, to.y - DOT] : [from.y - DOT, to.y + BELOW_NAMES]
  const middle = (start + end) / 2
  return `M${from.x.toFixed(1)} ${start}C${from.x.toFixed(1)} ${middle} ${to.x.toFixed(1)} ${middle} ${to.x.toFixed(1)} ${end}`
}

/** What has to be drawn anew when it changes. */
function shapeOf({ stream, edges }: StreamTree, { placed }: Layout): string {
  const nodes = [...placed].map(([id, { x, y, node }]) => [id, x, y, node.relayOnly])
  return JSON.stringify([stream.stream, stream.publisher, nodes, edges.map(({ from, to, main, word }) => [from, to, main, word])])
}

function shorten(name: string): string {
  const letters = [...name]
  return letters.length > LONGEST_NAME ? `${letters.slice(0, LONGEST_NAME - 1).join("")}…` : name
}

function setText(element: SVGTextElement, text: string): void {
  if (element.textContent !== text) element.textContent = text
}
