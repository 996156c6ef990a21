/** One item of the room's memory: who keeps how much of it, play or save it, let it live longer, take it back. */
import { describeError, isAvError, type MemoryItem, type Room } from "holomesh"
import { confirm } from "../call/menus.ts"
import { h } from "../dom.ts"
import { sizeInWords } from "../files/save.ts"
import { icon } from "../icons.ts"
import { endInWords, lengthInWords, safetyInWords } from "./words.ts"

const DAY_MS = 86_400_000
/** Browsers read a download's link at once; this is for those that do not. */
const KEEP_LINK_MS = 60_000

export interface ItemRow {
  element: HTMLElement
  update(item: MemoryItem): void
  close(): void
}

export interface ItemRowOptions {
  room: Room
  say: (words: string, kind?: "news" | "problem") => void
  nameOf: (id: string) => string
}

export function itemRow(first: MemoryItem, { room, say, nameOf }: ItemRowOptions): ItemRow {
  let item = first
  let stop: AbortController | undefined
  let link = ""
  const facts = h("span", { class: "person-facts" })
  const safety = h("p", { class: "memory-safety" })
  const bars = h("ul", { class: "memory-holders", "aria-label": `Who keeps ${item.name}` })
  const bar = h("progress", { max: 1, value: 0, "aria-label": `Progress of ${item.name}` })
  const figure = h("span", { class: "person-facts", role: "status" })
  const progress = h("div", { class: "file-progress", hidden: true }, bar, figure)
  const video = h("video", { class: "memory-player", controls: true, playsinline: true, hidden: true })
  const tool = (label: string, style: string, run: () => void) =>
    h("button", { class: `button small ${style}`, type: "button", "aria-label": `${label}: ${item.name}`, onclick: run }, label)

  const get = async () => {
    stop = new AbortController()
    progress.hidden = false
    try {
      return await room.memory.get(item, {
        signal: stop.signal,
        onProgress(done, total) {
          bar.value = total === 0 ? 1 : done / total
          figure.textContent = `${sizeInWords(done)} of ${sizeInWords(total)}`
        },
      })
    } finally {
      progress.hidden = true
    }
  }
  const attempt = (run: () => Promise<unknown>) => {
    run().catch((error: unknown) => {
      if (!isAvError(error, "Aborted")) say(describeError(error), "problem")
    })
  }
  const playIt = async () => {
    const file = await get()
    URL.revokeObjectURL(link)
    link = URL.createObjectURL(file)
    video.src = link
    video.hidden = false
    video.focus()
    await video.play()
  }
  const saveIt = async () => {
    // As plain bytes: what strangers call a page must not be opened as one of this site.
    const url = URL.createObjectURL(new Blob([await get()], { type: "application/octet-stream" }))
    h("a", { href: url, download: item.name }).click()
    setTimeout(() => URL.revokeObjectURL(url), KEEP_LINK_MS)
  }
  const playable = /^(video|audio)\//.test(item.type)
  const play = tool("Play", "primary", () => attempt(playIt))
  play.hidden = !playable
  const save = tool("Save", playable ? "" : "primary", () => attempt(saveIt))
  const prolong = tool("30 days from now", "", () =>
    attempt(async () => {
      await room.memory.prolong(item, 30 * DAY_MS)
      say(`${item.name} stays 30 days from now`)
    }),
  )
  const takeBack = async () => {
    await room.memory.revoke(item)
    say(`${item.name} was taken back`)
  }
  const revoke = tool("Take back", "danger-text", () => {
    confirm(`Take back ${item.name}?`, "Every device deletes it, for good.", "Take back", () => attempt(takeBack))
  })
  const element = h(
    "li",
    { class: "person memory-item" },
    h("div", { class: "person-name" }, h("b", { dir: "auto" }, item.name), facts),
    safety,
    h("details", {}, h("summary", {}, icon("network"), "Who keeps it"), bars),
    progress,
    video,
    h("div", { class: "person-tools" }, play, save, prolong, revoke),
  )

  function update(next: MemoryItem): void {
    item = next
    const { kind, size, durationMs, own, publisherId, expiresAt, readable } = item
    const length = kind === "recording" && durationMs !== undefined ? `${lengthInWords(durationMs)}, ` : ""
    const from = own ? "you" : nameOf(publisherId)
    facts.textContent = `${length}${sizeInWords(size)} from ${from}, ${endInWords(expiresAt, Date.now())}`
    safety.textContent = safetyInWords(item, nameOf)
    safety.classList.toggle("at-risk", !readable || item.needed.length > 0)
    play.disabled = !readable
    save.disabled = !readable
    prolong.hidden = !own || expiresAt === undefined
    revoke.hidden = !own
    const rows = [...item.holders].sort((a, b) => b.share - a.share)
    bars.replaceChildren(
      ...rows.map(({ id, share }) => {
        const percent = Math.round(share * 100)
        const fill = h("span", { class: "memory-fill" })
        fill.style.inlineSize = `${Math.min(100, percent / 1.3)}%`
        return h(
          "li",
          {},
          h("span", { dir: "auto" }, nameOf(id)),
          h("span", { class: "memory-bar", "aria-hidden": "true" }, fill),
          h("span", { class: "person-facts" }, percent < 100 ? `${percent}\u00a0%` : "all"),
        )
      }),
    )
  }
  update(first)
  return {
    element,
    update,
    close() {
      stop?.abort()
      video.removeAttribute("src")
      URL.revokeObjectURL(link)
    },
  }
}
