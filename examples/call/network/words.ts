/** The facts of a tree in words: for labels, for the line below the picture and for the table. */
import { bitrate, number, percent } from "../statistics/format.ts"
import type { NameOf } from "../statistics/tables.ts"
import type { StreamChoice, StreamTree, TreeEdge, TreeNode } from "./tree.ts"

/** Below this share of what is sent something is missing on the way. */
export const SHORT_SHARE = 0.85

export function streamName({ kind, publisher, spatial }: StreamChoice, nameOf: NameOf): string {
  const owner = nameOf(publisher) === "You" ? "Your" : `${nameOf(publisher)}’s`
  return kind === "audio" ? `${owner} sound` : `${owner} picture${spatial === undefined ? "" : `, size ${spatial + 1}`}`
}

/** Second line below a name. */
export function nodeFigure({ stream, sent }: StreamTree, node: TreeNode): string {
  if (node.id === stream.publisher) return sent === undefined ? "sends" : `sends ${bitrate(sent)}`
  if (node.ageMs === undefined) return "not heard yet"
  if (node.arrives === undefined) return "takes nothing"
  return node.share === undefined
    ? bitrate(node.arrives)
    : `${bitrate(node.arrives)}, ${percent(Math.round(node.share * 100) / 100)}`
}

export function nodeSentence(tree: StreamTree, node: TreeNode, nameOf: NameOf): string {
  const list = (ids: readonly string[]) => ids.map(nameOf).join(" and ")
  const source = node.id === tree.stream.publisher
  const parts = [`${nameOf(node.id)}${node.relayOnly ? " (relay only)" : ""}: ${nodeFigure(tree, node)}`]
  if (!source) parts.push(node.parents.length === 0 ? "takes it from nobody known" : `takes it from ${list(node.parents)}`)
  if (node.children.length > 0) parts.push(`gives it to ${list(node.children)}`)
  if (node.delivers > 0) parts.push(`the members say ${bitrate(node.delivers)} come from it`)
  if (node.promised !== undefined && node.promised > 0) parts.push(`it promised the room ${bitrate(node.promised)}`)
  if (node.uplink !== undefined) parts.push(`uplink limited to ${bitrate(node.uplink)}`)
  parts.push(sourceOf(node))
  return `${parts.join("; ")}.`
}

/** Whose word the figures of a member are. */
export function sourceOf({ ageMs }: TreeNode): string {
  if (ageMs === undefined) return "no report"
  return ageMs === 0 ? "measured here" : `reported ${number(ageMs / 1_000)} s ago`
}

export function edgeWords(edge: TreeEdge, nameOf: NameOf): string {
  const handed = edge.handed === undefined ? "" : `, ${bitrate(edge.handed)} handed over`
  const arrives = edge.arrives === undefined ? "" : `, ${bitrate(edge.arrives)} arrive`
  const role = edge.role === "backup" ? " as a second parent" : edge.role === "going" ? " until another one does" : ""
  const fits =
    edge.fits === undefined || edge.fits === "all" ? "" : `, room for ${edge.fits === "base" ? "the base layer" : "less"}`
  const word = { both: "", child: ", the parent has not confirmed it", parent: ", the child has not confirmed it" }[edge.word]
  return `${nameOf(edge.from)} feeds ${nameOf(edge.to)}${role}${handed}${arrives}${fits}${word}`
}

export function layersOf(node: TreeNode): string {
  if (node.spatial === undefined) return "–"
  return `size ${node.spatial + 1}${node.temporal === undefined ? "" : `, rate ${node.temporal + 1}`}`
}
