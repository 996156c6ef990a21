/** Files and folders of the people here: share by choosing or dropping, get what others share. */
import { describeError, type FileOffer, isAvError, type Room, type SharedFile } from "holomesh"
import { h } from "../dom.ts"
import { icon } from "../icons.ts"
import type { Scope } from "../scope.ts"
import { droppedFiles } from "./dropped.ts"
import { type OfferRow, offerRow } from "./offer-row.ts"
import { sizeInWords } from "./save.ts"

export interface FilesPanel {
  element: HTMLElement
  show(open: boolean): void
}

export interface FilesOptions {
  room: Room
  scope: Scope
  close: () => void
  say: (words: string, kind?: "news" | "problem") => void
  /** How many offers are new to the person; with the one that just came. */
  news: (count: number, offer: FileOffer | undefined) => void
}

export function createFilesPanel({ room, scope, close, say, news }: FilesOptions): FilesPanel {
  const files = h("input", { type: "file", multiple: true, hidden: true, "aria-label": "Files to share" })
  const folder = h("input", { type: "file", webkitdirectory: true, hidden: true, "aria-label": "Folder to share" })
  const busy = h("p", { class: "person-facts", role: "status", hidden: true })
  const drop = h(
    "div",
    { class: "drop" },
    icon("files"),
    h("p", {}, "Drop files or a folder here"),
    h(
      "div",
      { class: "person-tools" },
      h("button", { class: "button small", type: "button", onclick: () => files.click() }, "Choose files"),
      h("button", { class: "button small", type: "button", onclick: () => folder.click() }, "Choose a folder"),
    ),
    busy,
    files,
    folder,
  )
  const own = h("ul", { class: "people-list", "aria-label": "You share" })
  const ownPart = h("section", { class: "panel-part", hidden: true }, h("h3", {}, "You share"), own)
  const offers = h("ul", { class: "people-list", "aria-label": "Shared by others" })
  const none = h("p", { class: "muted small" }, "Nobody else shares anything now.")
  const offersPart = h("section", { class: "panel-part" }, h("h3", {}, "Shared by others"), none, offers)
  const about = h(
    "p",
    { class: "muted small" },
    "Files go from browser to browser, encrypted like the call, and only while whoever shares them is here.",
  )
  const closeButton = h(
    "button",
    { class: "button quiet icon-only", type: "button", "aria-label": "Close files", onclick: close },
    icon("close"),
  )
  const head = h("header", { class: "panel-head" }, h("h2", {}, "Files"), closeButton)
  const body = h("div", { class: "panel-scroll" }, h("section", { class: "panel-part" }, drop), ownPart, offersPart, about)
  const element = h("aside", { class: "panel files", "aria-label": "Files", hidden: true }, head, body)
  const rows = new Map<string, OfferRow>()
  const seen = new Set<string>()

  const share = async (chosen: readonly (File | SharedFile)[]) => {
    if (chosen.length === 0) return
    busy.hidden = false
    try {
      await room.files.share(chosen, {
        onProgress({ bytes, totalBytes }) {
          busy.textContent = `Reading ${sizeInWords(bytes)} of ${sizeInWords(totalBytes)} …`
        },
      })
    } catch (error) {
      if (!isAvError(error, "Aborted")) say(describeError(error), "problem")
    } finally {
      busy.hidden = true
      updateOwn()
    }
  }
  for (const input of [files, folder]) {
    input.addEventListener("change", () => {
      const chosen = [...(input.files ?? [])]
      input.value = ""
      void share(chosen)
    })
  }
  for (const event of ["dragenter", "dragover"] as const) {
    drop.addEventListener(event, (drag) => {
      drag.preventDefault()
      drop.classList.add("over")
    })
  }
  drop.addEventListener("dragleave", (event) => {
    if (!(event.relatedTarget instanceof Node) || !drop.contains(event.relatedTarget)) drop.classList.remove("over")
  })
  drop.addEventListener("drop", (event) => {
    event.preventDefault()
    drop.classList.remove("over")
    if (event.dataTransfer !== null) void droppedFiles(event.dataTransfer).then(share)
  })
  // A file that misses the place would replace the call with its content.
  for (const event of ["dragover", "drop"]) scope.listen(document, event, (drag) => drag.preventDefault())

  const updateOwn = () => {
    ownPart.hidden = room.files.shares.length === 0
    own.replaceChildren(
      ...room.files.shares.map((item) => {
        const count = item.files === 1 ? "" : `${item.files} files, `
        const facts = h("span", { class: "person-facts" }, `${count}${sizeInWords(item.bytes)}`)
        const attributes = { class: "button small", type: "button", "aria-label": `Stop sharing ${item.name}` }
        const stop = h("button", attributes, "Stop")
        stop.addEventListener("click", () => {
          item.stop()
          updateOwn()
        })
        const name = h("div", { class: "person-name" }, h("b", { dir: "auto" }, item.name), facts)
        return h("li", { class: "person" }, name, h("div", { class: "person-tools" }, stop))
      }),
    )
  }

  const keyOf = ({ from, id }: FileOffer) => `${from.id} ${id}`
  const updateOffers = () => {
    const present = new Set(room.files.offers.map(keyOf))
    for (const [key, row] of rows) {
      if (present.has(key)) continue
      row.close()
      row.element.remove()
      rows.delete(key)
      seen.delete(key)
    }
    let latest: FileOffer | undefined
    for (const offer of room.files.offers) {
      const key = keyOf(offer)
      if (rows.has(key)) continue
      const row = offerRow(room, offer, say)
      rows.set(key, row)
      offers.append(row.element)
      latest = offer
      if (!element.hidden) seen.add(key)
    }
    none.hidden = rows.size > 0
    news(rows.size - seen.size, latest)
  }
  scope.add(room.on("filesOffered", updateOffers))
  scope.add(() => {
    for (const row of rows.values()) row.close()
  })

  return {
    element,
    show(open) {
      element.hidden = !open
      if (!open) return
      for (const key of rows.keys()) seen.add(key)
      news(0, undefined)
      updateOwn()
      closeButton.focus({ preventScroll: true })
    },
  }
}
