/** The figures of a call as tables: one row for each link and each stream. */
import type { LaneStats, LinkStats, ReceiveStreamStats, SendStreamStats } from "holomesh"
import { h } from "../dom.ts"
import { bitrate, counts, milliseconds, number, percent } from "./format.ts"
import type { Sample } from "./rates.ts"

export type NameOf = (id: string) => string

interface Column<Row> {
  title: string
  /** What the title means, as a tooltip. */
  about?: string
  cell: (row: Row) => string
}

export function summary({ stats }: Sample, nameOf: NameOf): [string, string][] {
  const { room } = stats
  return [
    ["Code to compare", room.code || "–"],
    ["Key epoch", room.epoch.toString()],
    ["Members", number(room.members)],
    ["Orders key changes", room.committer === "" ? "–" : nameOf(room.committer)],
    ["Meeting server", room.serverConnected ? "connected" : "away; the call goes on"],
  ]
}

export function linkTable({ stats, links }: Sample, nameOf: NameOf): HTMLElement {
  return table("Links", stats.links, [
    { title: "With", cell: (link) => nameOf(link.peer) },
    { title: "Way", about: "How the two browsers reach each other", cell: wayOf },
    { title: "Out", cell: (link) => bitrate(links.get(link.peer)?.sent) },
    { title: "In", cell: (link) => bitrate(links.get(link.peer)?.received) },
    { title: "Round trip", cell: (link) => milliseconds(link.rttMs) },
    { title: "Lost in", about: "Messages that were sent and never arrived", cell: (link) => number(sum(link, "lostMessages")) },
    { title: "Lost out", about: "Share of our messages that the other side misses", cell: (link) => percent(worstLoss(link)) },
    { title: "Waiting", about: "Bytes not yet sent", cell: (link) => number(sum(link, "bufferedAmount")) },
    { title: "Held back", about: "Messages dropped because a lane was full", cell: (link) => number(sum(link, "gateRefusals")) },
    { title: "Media lanes", about: "Lanes that live in the worker, or pass through the page", cell: lanesOf },
    { title: "Refused", cell: (link) => counts(link.drops) || "nothing" },
  ])
}

export function receiveTable({ stats }: Sample, nameOf: NameOf): HTMLElement {
  return table("Received", stats.receive, [
    { title: "From", cell: (stream) => nameOf(stream.participant) },
    { title: "What", cell: whatOf },
    { title: "Quality", about: "5 is best; and what lowers it", cell: qualityOf },
    { title: "Frozen", about: "How often the picture stood still, how long in all, and why", cell: freezesOf },
    { title: "Rate", cell: (stream) => bitrate(stream.bitrate) },
    { title: "Jitter", about: "Delay beyond that of the fastest frame", cell: (stream) => milliseconds(stream.jitterMs) },
    { title: "Buffer", about: "Current target of the jitter buffer", cell: (stream) => milliseconds(stream.bufferMs) },
    { title: "Layer", about: "Spatial and temporal layer", cell: layerOf },
    { title: "Repaired", about: "Frames completed by repair symbols", cell: (stream) => number(stream.repairedFrames) },
    { title: "Lost", about: "Frames given up", cell: (stream) => number(stream.lostFrames) },
    { title: "Skipped", about: "Frames whose reference was missing", cell: (stream) => number(stream.skippedFrames) },
    { title: "Shown", cell: (stream) => `${number(stream.renderedFrames)} of ${number(stream.frames)}` },
    { title: "Longest gap", cell: (stream) => milliseconds(stream.longestGapMs) },
    { title: "Keyframes asked", cell: (stream) => number(stream.keyframeRequests) },
    { title: "Decoder errors", cell: (stream) => number(stream.decoderErrors) },
    { title: "Through", about: "Who passed it on", cell: (stream) => (stream.from === "" ? "–" : nameOf(stream.from)) },
  ])
}

export function sendTable({ stats }: Sample): HTMLElement {
  return table("Sent", stats.send, [
    { title: "What", cell: whatOf },
    { title: "Quality", about: "5 is best; and what lowers it", cell: qualityOf },
    { title: "Rate", about: "Of the encoder, before repair symbols", cell: (stream) => bitrate(stream.bitrate) },
    { title: "Receivers", cell: (stream) => number(stream.subscribers.length) },
    { title: "Frames", cell: (stream) => number(stream.frames) },
    { title: "Keyframes", cell: (stream) => number(stream.keyframes) },
    { title: "Per second", cell: (stream) => number(stream.frameRate, 1) },
    { title: "Encoding", about: "Time for one frame", cell: (stream) => milliseconds(stream.encodeMs) },
    { title: "Dropped", about: "Frames the encoder had no time for", cell: (stream) => number(stream.droppedFrames) },
  ])
}

export function stageTable({ stats }: Sample): HTMLElement {
  const rows = Object.entries(stats.stages).map(([stage, drops]) => ({ stage, drops }))
  return table("Dropped, by stage", rows, [
    { title: "Stage", cell: ({ stage }) => stage },
    { title: "What and how often", cell: ({ drops }) => counts(drops) || "nothing" },
  ])
}

/** The first column is the row's header. */
function table<Row>(caption: string, rows: readonly Row[], columns: Column<Row>[]): HTMLElement {
  const head = h("tr", {}, ...columns.map(({ title, about }) => h("th", { scope: "col", title: about }, title)))
  const body = rows.map((row) =>
    h(
      "tr",
      {},
      ...columns.map(({ cell }, index) => (index === 0 ? h("th", { scope: "row" }, cell(row)) : h("td", {}, cell(row)))),
    ),
  )
  if (body.length === 0) body.push(h("tr", {}, h("td", { colspan: columns.length, class: "muted" }, "Nothing yet")))
  return h("table", {}, h("caption", {}, caption), h("thead", {}, head), h("tbody", {}, ...body))
}

function wayOf(link: LinkStats): string {
  if (link.kind === "routed") return "through a member"
  if (link.path === undefined) return "direct"
  return link.path === "relay" ? "through TURN" : `direct (${link.path})`
}

function lanesOf(link: LinkStats): string {
  const count = (path: LaneStats["path"]) => link.lanes.filter((lane) => lane.role !== "control" && lane.path === path).length
  const parts = (["transferred", "forwarded"] as const).map((path) => [count(path), path] as const)
  const shown = parts.filter(([amount]) => amount > 0).map(([amount, path]) => `${amount} ${path}`)
  return shown.join(", ") || "–"
}

function whatOf(stream: SendStreamStats | ReceiveStreamStats): string {
  const size = stream.width === undefined ? "" : ` ${stream.width}×${stream.height ?? "?"}`
  return `${stream.kind}${size}, ${stream.codec}`
}

function qualityOf({ quality }: SendStreamStats | ReceiveStreamStats): string {
  if (quality === undefined) return "–"
  return quality.reason === "none" ? number(quality.score, 1) : `${number(quality.score, 1)}, ${quality.reason}`
}

function freezesOf({ freezes }: ReceiveStreamStats): string {
  if (freezes === undefined || freezes.count === 0) return freezes === undefined ? "–" : "never"
  return `${number(freezes.count)}×, ${milliseconds(freezes.totalMs)} (${counts(freezes.causes)})`
}

function layerOf(stream: ReceiveStreamStats): string {
  return stream.layer === undefined ? "–" : `${stream.layer.spatial}/${stream.layer.temporal}`
}

function sum(link: LinkStats, member: "lostMessages" | "bufferedAmount" | "gateRefusals"): number {
  return link.lanes.reduce((total, lane) => total + lane[member], 0)
}

function worstLoss(link: LinkStats): number | undefined {
  const reported = link.lanes.map((lane) => lane.reportedLoss).filter((loss) => loss !== undefined)
  return reported.length === 0 ? undefined : Math.max(...reported)
}
