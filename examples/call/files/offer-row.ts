/** One thing that somebody shares: get it, watch it come, save it. */
import { describeError, type FetchedFiles, type FileOffer, isAvError, type Room } from "holomesh"
import { h } from "../dom.ts"
import { icon } from "../icons.ts"
import { folderSaver, saveFile, sizeInWords } from "./save.ts"

/** More single files than this are only saved as a folder. */
const MAX_LISTED = 200

export interface OfferRow {
  element: HTMLElement
  close(): void
}

export function offerRow(room: Room, offer: FileOffer, say: (words: string, kind?: "news" | "problem") => void): OfferRow {
  const title = h("b", { dir: "auto" }, offer.name)
  const count = offer.files === 1 ? "" : `${offer.files} files, `
  const facts = h("span", { class: "person-facts" }, `${count}${sizeInWords(offer.bytes)} from ${offer.from.name || "Guest"}`)
  const bar = h("progress", { max: 1, value: 0, "aria-label": `Progress of ${offer.name}` })
  const figure = h("span", { class: "person-facts", role: "status" })
  const progress = h("div", { class: "file-progress", hidden: true }, bar, figure)
  const get = h("button", { class: "button small primary", type: "button", "aria-label": `Get ${offer.name}` }, "Get")
  const cancel = h(
    "button",
    { class: "button small", type: "button", hidden: true, "aria-label": `Cancel ${offer.name}` },
    "Cancel",
  )
  const save = h("button", { class: "button small primary", type: "button", hidden: true, "aria-label": `Save ${offer.name}` })
  save.append(icon("save"), "Save")
  const single = h("details", { class: "single-files", hidden: true }, h("summary", {}, "Single files"))
  const tools = h("div", { class: "person-tools" }, get, cancel, save)
  const name = h("div", { class: "person-name" }, title, facts)
  const element = h("li", { class: "person" }, name, progress, tools, single)
  let stop: AbortController | undefined
  let fetched: FetchedFiles | undefined

  const attempt = (work: Promise<unknown>) => {
    work.catch((error: unknown) => {
      if (!isAvError(error, "Aborted")) say(describeError(error), "problem")
    })
  }
  const show = (fetching: boolean) => {
    progress.hidden = !fetching
    cancel.hidden = !fetching
    get.hidden = fetching || fetched !== undefined
    save.hidden = fetched === undefined || (offer.files > 1 && folderSaver === undefined)
    single.hidden = fetched === undefined || offer.files === 1
  }

  const run = async () => {
    stop = new AbortController()
    show(true)
    try {
      const { signal } = stop
      fetched = await room.files.fetch(offer, {
        signal,
        onProgress({ bytes, totalBytes }) {
          bar.value = totalBytes === 0 ? 1 : bytes / totalBytes
          figure.textContent = `${sizeInWords(bytes)} of ${sizeInWords(totalBytes)}`
        },
      })
      listSingle(fetched)
      say(`${offer.name} is here. It stays in this browser until you leave: save it.`)
    } finally {
      show(false)
    }
    ;(save.hidden ? single.querySelector("summary") : save)?.focus()
  }
  get.addEventListener("click", () => attempt(run()))
  cancel.addEventListener("click", () => {
    stop?.abort()
    get.textContent = "Go on"
  })
  save.addEventListener("click", () => {
    const [first] = fetched?.files ?? []
    if (fetched === undefined || first === undefined) return
    if (fetched.files.length === 1) attempt(saveFile(fetched, first.path))
    else if (folderSaver !== undefined) attempt(folderSaver(fetched).then(() => say(`${offer.name} was saved`)))
  })

  function listSingle(files: FetchedFiles): void {
    const list = h("ul", { class: "file-list" })
    for (const { path, size } of files.files.slice(0, MAX_LISTED)) {
      const button = h("button", { class: "link", type: "button", onclick: () => attempt(saveFile(files, path)) }, path)
      list.append(h("li", {}, button, h("span", { class: "person-facts" }, sizeInWords(size))))
    }
    single.append(list)
  }

  return { element, close: () => stop?.abort() }
}
