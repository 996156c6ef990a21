/** The network panel: a live picture of the tree of each stream, with figures, and what this page gives. */
import type { Room } from "holomesh"
import { h } from "../dom.ts"
import { icon } from "../icons.ts"
import type { Scope } from "../scope.ts"
import { createDrawing } from "./drawing.ts"
import type { NetworkExchange } from "./exchange.ts"
import { MAX_IN_ROW } from "./layout.ts"
import { relayCounts } from "./relay-counts.ts"
import { treeTable } from "./table.ts"
import { type Reports, type StreamChoice, type StreamTree, streamsIn, treeOf } from "./tree.ts"
import type { UplinkChoice } from "./uplink.ts"
import { nodeSentence, streamName } from "./words.ts"

const EVERY_MS = 1_000

export interface NetworkPanelOptions {
  room: Room
  scope: Scope
  exchange: NetworkExchange
  uplink: UplinkChoice
  close: () => void
  /** Copies the link with which a browser joins to hand streams on only. */
  copyRelayLink: () => void
}

export interface NetworkPanel {
  element: HTMLElement
  show(open: boolean): void
}

export function createNetworkPanel({ room, scope, exchange, uplink, close, copyRelayLink }: NetworkPanelOptions): NetworkPanel {
  const own = room.local.id
  const nameOf = (id: string) =>
    id === own ? "You" : room.participants.get(id)?.name || (room.participants.has(id) ? "Guest" : id.slice(0, 8))
  let tree: StreamTree | undefined
  let chosen = ""
  let looksAt = own
  const details = h("p", { class: "tree-details" })
  const tellDetails = () => {
    const node = tree?.nodes.find(({ id }) => id === looksAt)
    const words = tree === undefined || node === undefined ? "" : nodeSentence(tree, node, nameOf)
    if (details.textContent !== words) details.textContent = words
  }
  const drawing = createDrawing(own, nameOf, (id) => {
    looksAt = id
    tellDetails()
  })
  const empty = h(
    "p",
    { class: "panel-empty" },
    "No stream flows yet. As soon as somebody sends a picture or sound, its tree is here.",
  )
  const streams = h("select", { class: "field", name: "stream" })
  streams.addEventListener("change", () => {
    chosen = streams.value
    void read()
  })
  const streamRow = h("label", { class: "network-row" }, "Stream", streams)
  const place = h("div", { class: "tree-place" }, drawing.element)
  const more = h("p", { class: "muted small", hidden: true })
  const table = h("div", { class: "table-box", tabindex: "0", role: "region", "aria-label": "Tree as a table" })
  const whole = h("div", { class: "tree-whole" }, streamRow, place, details, more, h("div", { class: "tables" }, table))
  const counts = h("dl", { class: "facts" })
  const quit = h(
    "button",
    { class: "button quiet icon-only", type: "button", "aria-label": "Close network", onclick: close },
    icon("close"),
  )
  const copy = h("button", { class: "button", type: "button", onclick: copyRelayLink }, icon("copy"), "Copy relay-only link")
  const content = h(
    "div",
    { class: "panel-scroll", tabindex: "0" },
    empty,
    whole,
    h("h3", {}, "What this browser gives"),
    counts,
    h("label", { class: "network-row" }, "Own uplink", uplink.select()),
    h(
      "p",
      { class: "muted small" },
      "Every browser knows only whom it takes streams from and gives them to, and tells the others while somebody looks here. Your own figures are measured; those of others are what they say.",
    ),
    h("p", { class: "muted small" }, "A browser opened with the relay-only link opens no devices and helps to hand streams on."),
    copy,
  )
  const head = h("header", { class: "panel-head" }, h("h2", {}, "Network"), quit)
  const element = h("aside", { class: "panel network", "aria-label": "Network", hidden: true }, head, content)
  let asking = false

  const read = async () => {
    if (asking || element.hidden) return
    asking = true
    try {
      const { stats, reports } = await exchange.read()
      const report = reports.get(own)?.report
      if (report !== undefined) {
        const facts = relayCounts(stats, report)
        counts.replaceChildren(...facts.map(([title, value]) => h("div", {}, h("dt", {}, title), h("dd", {}, value))))
      }
      render(reports)
    } catch {
      // The room is closing; the panel goes with it.
    } finally {
      asking = false
    }
  }

  const render = (reports: Reports) => {
    const choices = streamsIn(reports)
    const choice = choices.find(({ stream }) => stream === chosen) ?? choices[0]
    empty.hidden = choice !== undefined
    whole.hidden = choice === undefined
    if (choice === undefined) return
    chosen = choice.stream
    offer(choices)
    tree = treeOf(choice, reports)
    drawing.show(tree)
    const left = tree.nodes.length - drawing.element.querySelectorAll(".tree-node").length
    more.hidden = left <= 0
    more.textContent = `${left} more are in the table; a row of the picture has room for ${MAX_IN_ROW}.`
    table.replaceChildren(treeTable(tree, nameOf))
    tellDetails()
  }

  /** Changes the list only where it differs: an open one would close. */
  const offer = (choices: readonly StreamChoice[]) => {
    const words = choices.map((choice) => [choice.stream, streamName(choice, nameOf)] as const)
    const shown = [...streams.options].map(({ value, text }) => [value, text] as const)
    if (JSON.stringify(words) !== JSON.stringify(shown)) {
      streams.replaceChildren(...words.map(([value, text]) => h("option", { value }, text)))
    }
    if (streams.value !== chosen) streams.value = chosen
  }

  scope.every(EVERY_MS, () => void read())
  return {
    element,
    show(open) {
      if (open === !element.hidden) return
      element.hidden = !open
      exchange.watch(open)
      if (!open) return
      void read()
      quit.focus({ preventScroll: true })
    },
  }
}
