/** The room's memory: record the call, put recordings and files there, see who keeps what, play it when its publisher has gone. */
import { describeError, isAvError, type Recording, type Room } from "holomesh"
import { h } from "../dom.ts"
import { sizeInWords } from "../files/save.ts"
import { icon } from "../icons.ts"
import type { Scope } from "../scope.ts"
import { type ItemRow, itemRow } from "./item-row.ts"
import { lengthInWords } from "./words.ts"

const DAY_MS = 86_400_000
const LIFETIMES = [
  ["1 day", DAY_MS],
  ["1 week", 7 * DAY_MS],
  ["30 days", 30 * DAY_MS],
  ["1 year", 365 * DAY_MS],
  ["Until I take it back", Number.POSITIVE_INFINITY],
] as const

export interface MemoryPanel {
  element: HTMLElement
  show(open: boolean): void
}

export interface MemoryPanelOptions {
  room: Room
  scope: Scope
  close: () => void
  say: (words: string, kind?: "news" | "problem") => void
}

export function createMemoryPanel({ room, scope, close, say }: MemoryPanelOptions): MemoryPanel {
  const nameOf = (id: string) =>
    id === room.local.id ? "you" : room.participants.get(id)?.name || (room.participants.has(id) ? "Guest" : "somebody who left")
  const rows = new Map<string, ItemRow>()
  let recording: Recording | undefined
  let clock: ReturnType<typeof setInterval> | undefined
  let reading = false
  let again = false

  const lifetime = h("select", { class: "field", name: "lifetime" })
  for (const [label, ms] of LIFETIMES) lifetime.append(h("option", { value: String(ms) }, label))
  lifetime.value = String(LIFETIMES[2][1])
  const record = h("button", { class: "button primary", type: "button" }, icon("record"), h("span", {}, "Record the call"))
  const recordText = record.querySelector("span")!
  const time = h("span", { class: "person-facts", role: "timer" })
  const input = h("input", { type: "file", multiple: true, hidden: true, "aria-label": "Files to keep" })
  const choose = h("button", { class: "button", type: "button", onclick: () => input.click() }, icon("files"), "Keep a file")
  const bar = h("progress", { max: 1, value: 0, "aria-label": "Progress" })
  const figure = h("span", { class: "person-facts", role: "status" })
  const progress = h("div", { class: "file-progress", hidden: true }, bar, figure)
  const items = h("ul", { class: "people-list", "aria-label": "In the room's memory" })
  const none = h("p", { class: "muted small" }, "Nothing yet.")
  const room0 = h("p", { class: "muted small" })
  const body = h(
    "div",
    { class: "panel-scroll" },
    h(
      "section",
      { class: "panel-part" },
      h("div", { class: "person-tools" }, record, choose, time),
      h("label", { class: "network-row" }, "It stays", lifetime),
      progress,
      h(
        "p",
        { class: "muted small" },
        "Tell the others before you record. What you put here is cut into pieces that the browsers of the people here keep, a few each, without any server. It can be read as long as enough of them are here, also when you have left.",
      ),
      input,
    ),
    h("section", { class: "panel-part" }, h("h3", {}, "In the room's memory"), none, items),
    room0,
  )
  const quit = h(
    "button",
    { class: "button quiet icon-only", type: "button", "aria-label": "Close room memory", onclick: close },
    icon("close"),
  )
  const head = h("header", { class: "panel-head" }, h("h2", {}, "Room memory"), quit)
  const element = h("aside", { class: "panel memory", "aria-label": "Room memory", hidden: true }, head, body)

  const put = async (file: File, options: { kind: "file" | "recording"; durationMs?: number }) => {
    progress.hidden = false
    try {
      await room.memory.put(file, {
        ...options,
        lifetimeMs: Number(lifetime.value),
        onProgress(done, total) {
          bar.value = total === 0 ? 1 : done / total
          figure.textContent = `${file.name}: ${sizeInWords(done)} of ${sizeInWords(total)}`
        },
      })
      say(`${file.name} is in the room's memory`)
    } finally {
      progress.hidden = true
    }
  }
  const attempt = (work: Promise<unknown>) => {
    work.catch((error: unknown) => {
      if (!isAvError(error, "Aborted")) say(describeError(error), "problem")
    })
  }

  const showRecording = () => {
    recordText.textContent = recording === undefined ? "Record the call" : "Stop and keep"
    record.classList.toggle("danger", recording !== undefined)
    time.textContent = recording === undefined ? "" : `Recording, ${lengthInWords(recording.durationMs)}`
  }
  const toggle = async () => {
    if (recording === undefined) {
      recording = await room.record()
      clock = setInterval(showRecording, 1_000)
      showRecording()
      say("Recording. Tell the others.")
      return
    }
    const ending = recording
    recording = undefined
    clearInterval(clock)
    showRecording()
    const { file, durationMs } = await ending.stop()
    await put(file, { kind: "recording", durationMs })
  }
  record.addEventListener("click", () => attempt(toggle()))
  input.addEventListener("change", () => {
    const chosen = [...(input.files ?? [])]
    input.value = ""
    attempt(
      (async () => {
        for (const file of chosen) await put(file, { kind: "file" })
      })(),
    )
  })

  /** One look at a time; what changes meanwhile is looked at afterwards. */
  const read = async () => {
    if (element.hidden || scope.closed) return
    again = true
    if (reading) return
    reading = true
    try {
      while (again && !scope.closed) {
        again = false
        const list = await room.memory.list()
        const usage = await room.memory.usage()
        const there = new Set(list.map(({ id }) => id))
        for (const [id, row] of rows) {
          if (there.has(id)) continue
          row.close()
          row.element.remove()
          rows.delete(id)
        }
        for (const [i, item] of list.entries()) {
          const known = rows.get(item.id)
          known?.update(item)
          const row = known ?? itemRow(item, { room, say, nameOf })
          rows.set(item.id, row)
          if (items.children[i] !== row.element) items.insertBefore(row.element, items.children[i] ?? null)
        }
        none.hidden = list.length > 0
        const lasting = usage.persistent ? "" : " This browser keeps its pieces only until you leave."
        const scarce = usage.level === "normal" ? "" : " Room is short: pieces of others go first."
        room0.textContent = `${sizeInWords(Math.max(0, usage.quota - usage.usage))} free on this device.${scarce}${lasting}`
      }
    } catch (error) {
      say(describeError(error), "problem")
    } finally {
      reading = false
    }
  }
  scope.add(room.on("memory", () => void read()))
  for (const event of ["participantJoined", "participantLeft", "participantUpdated"] as const) {
    scope.add(room.on(event, () => void read()))
  }
  scope.add(() => {
    clearInterval(clock)
    recording?.cancel()
    for (const row of rows.values()) row.close()
  })

  return {
    element,
    show(open) {
      element.hidden = !open
      if (!open) return
      void read()
      record.focus()
    },
  }
}
