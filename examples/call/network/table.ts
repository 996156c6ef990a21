/** The tree as a table: the same facts as the picture, for those who read instead of look. */
import { h } from "../dom.ts"
import { bitrate, percent } from "../statistics/format.ts"
import type { NameOf } from "../statistics/tables.ts"
import type { StreamTree } from "./tree.ts"
import { edgeWords, layersOf, sourceOf, streamName } from "./words.ts"

const TITLES: readonly (readonly [title: string, about: string])[] = [
  ["Member", ""],
  ["Takes it from", "The first one is the way in the picture; others are second parents"],
  ["Gives it to", ""],
  ["Handed over", "What its parents say they give; with repair and headers. Publishers do not count copies"],
  ["Arrives", "Media only; of a relay everything that comes in"],
  ["Of what is sent", "What arrives in relation to what the publisher says it sends"],
  ["Layer", "Size and frame rate that arrive, 1 the smallest"],
  ["Promised", "What the member promised to carry for the whole room"],
  ["Delivers", "What the members say comes from it, over all streams"],
  ["Uplink limit", "Set by the person there"],
  ["Whose word", "Own figures are measured, those of others are what they say"],
]
const MAX_ROWS = 200

export function treeTable(tree: StreamTree, nameOf: NameOf): HTMLElement {
  const list = (ids: readonly string[]) => ids.map(nameOf).join(", ") || "–"
  const rows = tree.nodes.slice(0, MAX_ROWS).map((node) => {
    const source = node.id === tree.stream.publisher
    const into = tree.edges.filter(({ to }) => to === node.id)
    const handed = into.flatMap(({ handed }) => handed ?? [])
    const cells = [
      source ? "publishes it" : list(node.parents),
      list(node.children),
      handed.length === 0 ? "–" : bitrate(handed.reduce((sum, bits) => sum + bits, 0)),
      source ? `sends ${bitrate(tree.sent)}` : bitrate(node.arrives),
      percent(node.share === undefined ? undefined : Math.round(node.share * 100) / 100),
      layersOf(node),
      bitrate(node.promised),
      node.delivers === 0 ? "–" : bitrate(node.delivers),
      bitrate(node.uplink),
      sourceOf(node),
    ]
    const name = `${nameOf(node.id)}${node.relayOnly ? " (relay only)" : ""}`
    const title = into.map((edge) => edgeWords(edge, nameOf)).join("; ")
    return h("tr", { title }, h("th", { scope: "row" }, name), ...cells.map((cell) => h("td", {}, cell)))
  })
  const head = h("tr", {}, ...TITLES.map(([title, about]) => h("th", { scope: "col", title: about }, title)))
  return h("table", {}, h("caption", {}, streamName(tree.stream, nameOf)), h("thead", {}, head), h("tbody", {}, ...rows))
}
