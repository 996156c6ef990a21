/** The statistics drawer. It asks the room once a second while it is open, and not at all while it is closed. */
import type { Room, RoomStats } from "holomesh"
import { h } from "../dom.ts"
import { icon } from "../icons.ts"
import { type Charts, createCharts } from "./charts.ts"
import { edgePicture } from "./picture.ts"
import { type Sample, takeSample } from "./rates.ts"
import { linkTable, receiveTable, sendTable, stageTable, summary } from "./tables.ts"

const EVERY_MS = 1_000

export interface Drawer {
  element: HTMLElement
  show(open: boolean): void
  close(): void
}

export function createDrawer(room: Room, on: { close: () => void; say: (text: string) => void }): Drawer {
  const facts = h("dl", { class: "facts" })
  const picture = h("div", { class: "edges-place" })
  const chartsPlace = h("div")
  const tables = h("div", { class: "tables" })
  const close = h(
    "button",
    { class: "button quiet icon-only", type: "button", "aria-label": "Close statistics", onclick: on.close },
    icon("close"),
  )
  const copy = h("button", { class: "button", type: "button", onclick: () => void copyText() }, icon("copy"), "Copy diagnostics")
  const content = h(
    "div",
    { class: "panel-scroll", tabindex: "0" },
    facts,
    h("h3", {}, "Who sends to whom"),
    picture,
    chartsPlace,
    tables,
    copy,
  )
  const head = h("header", { class: "panel-head" }, h("h2", {}, "Statistics"), close)
  const element = h("aside", { class: "panel statistics", "aria-label": "Statistics", hidden: true }, head, content)
  const nameOf = (id: string) =>
    id === room.local.id ? "You" : room.participants.get(id)?.name || (id === "" ? "–" : id.slice(0, 8))

  let charts: Charts | undefined
  let before: RoomStats | undefined
  let timer: ReturnType<typeof setInterval> | undefined
  let asking = false

  const read = async () => {
    if (asking) return
    asking = true
    try {
      const stats = await room.stats()
      if (!element.hidden) render(takeSample(stats, before))
      before = stats
    } catch {
      // The room is closing; the drawer goes with it.
    } finally {
      asking = false
    }
  }

  const render = (sample: Sample) => {
    facts.replaceChildren(
      ...summary(sample, nameOf).map(([title, value]) => h("div", {}, h("dt", {}, title), h("dd", {}, value))),
    )
    picture.replaceChildren(edgePicture(sample.stats.edges, [room.local.id, ...room.participants.keys()], nameOf))
    charts?.add(sample)
    replaceTables(tables, [linkTable(sample, nameOf), receiveTable(sample, nameOf), sendTable(sample), stageTable(sample)])
  }

  const copyText = async () => {
    try {
      await navigator.clipboard.writeText(await room.diagnostics())
      on.say("Diagnostics copied. They hold no names, no keys and nothing that was said.")
    } catch {
      on.say("The browser did not allow copying.")
    }
  }

  const stop = () => {
    clearInterval(timer)
    charts?.close()
    charts = undefined
    before = undefined
  }

  return {
    element,
    show(open) {
      if (open === !element.hidden) return
      element.hidden = !open
      stop()
      if (!open) return
      charts = createCharts()
      chartsPlace.replaceChildren(charts.element)
      timer = setInterval(() => void read(), EVERY_MS)
      void read()
      close.focus({ preventScroll: true })
    },
    close: stop,
  }
}

/** Puts fresh tables in place without losing how far each was scrolled sideways. */
function replaceTables(place: HTMLElement, fresh: HTMLElement[]): void {
  fresh.forEach((table, index) => {
    const box = place.children[index]
    if (box === undefined) place.append(h("div", { class: "table-box", tabindex: "0" }, table))
    else box.replaceChildren(table)
  })
}
