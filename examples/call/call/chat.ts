/** Messages to everybody in the room. What strangers write is only ever put in as text. */
import { type ChatMessage, describeError, type Room } from "holomesh"
import { h } from "../dom.ts"
import { icon } from "../icons.ts"
import type { Scope } from "../scope.ts"

/** Older messages leave the page, or a talkative member could fill its memory. */
const MAX_MESSAGES = 500
/** Longest text the input takes; the room's own limit is in bytes and higher. */
const MAX_LENGTH = 2_000

export interface Chat {
  element: HTMLElement
  show(open: boolean): void
}

/** @param onUnread told how many messages came while the panel was closed */
export function createChat(
  room: Room,
  scope: Scope,
  on: { close: () => void; unread: (count: number, from: string) => void },
): Chat {
  const list = h("ol", { class: "messages", role: "log", "aria-label": "Messages", tabindex: "0" })
  const empty = h(
    "p",
    { class: "panel-empty" },
    "Messages reach everybody who is in the room now. Nobody keeps them: they are gone when you leave.",
  )
  const problem = h("p", { class: "form-problem", role: "alert", hidden: true })
  const input = h("textarea", {
    class: "field",
    rows: "1",
    maxlength: MAX_LENGTH,
    placeholder: "Message everybody",
    "aria-label": "Message",
    enterkeyhint: "send",
  })
  const send = h(
    "button",
    { class: "button primary icon-only", type: "submit", "aria-label": "Send", title: "Send (Enter)" },
    icon("send"),
  )
  const form = h("form", { class: "composer" }, input, send)
  const close = h(
    "button",
    { class: "button quiet icon-only", type: "button", "aria-label": "Close chat", onclick: on.close },
    icon("close"),
  )
  const head = h("header", { class: "panel-head" }, h("h2", {}, "Chat"), close)
  const element = h("aside", { class: "panel chat", "aria-label": "Chat", hidden: true }, head, empty, list, problem, form)
  let unread = 0
  let last: ChatMessage | undefined

  scope.add(
    room.on("message", (message) => {
      const nearEnd = list.scrollHeight - list.scrollTop - list.clientHeight < 80
      list.append(bubble(message, last))
      last = message
      empty.hidden = true
      while (list.childElementCount > MAX_MESSAGES) list.firstElementChild?.remove()
      if (nearEnd || message.from.isLocal) list.scrollTop = list.scrollHeight
      if (!element.hidden || message.from.isLocal) return
      unread += 1
      on.unread(unread, message.from.name || "Guest")
    }),
  )

  const submit = async () => {
    const text = input.value.trim()
    if (text === "") return
    input.value = ""
    grow(input)
    problem.hidden = true
    try {
      await room.sendMessage(text)
    } catch (error) {
      // The text comes back so that nothing typed is lost.
      if (input.value === "") input.value = text
      problem.textContent = describeError(error)
      problem.hidden = false
    }
  }
  form.addEventListener("submit", (event) => {
    event.preventDefault()
    void submit()
  })
  input.addEventListener("input", () => grow(input))
  input.addEventListener("keydown", (event) => {
    if (event.key !== "Enter" || event.shiftKey || event.isComposing) return
    event.preventDefault()
    void submit()
  })

  return {
    element,
    show(open) {
      element.hidden = !open
      if (!open) return
      unread = 0
      on.unread(0, "")
      list.scrollTop = list.scrollHeight
      input.focus()
    },
  }
}

/** A message; its head is left out when the same person goes on within two minutes. */
function bubble(message: ChatMessage, before: ChatMessage | undefined): HTMLElement {
  const { from, text, at } = message
  const goesOn = before !== undefined && before.from.id === from.id && at - before.at < 120_000
  const time = new Date(at)
  const clock = time.toLocaleTimeString([], { hour: "2-digit", minute: "2-digit" })
  const head = h(
    "header",
    goesOn ? { class: "sr-only" } : {},
    h("b", {}, from.isLocal ? "You" : from.name || "Guest"),
    " ",
    h("time", { datetime: time.toISOString() }, clock),
  )
  return h(
    "li",
    { class: `message${from.isLocal ? " own" : ""}${goesOn ? " goes-on" : ""}` },
    head,
    h("p", { dir: "auto" }, text),
  )
}

function grow(input: HTMLTextAreaElement): void {
  input.style.height = "auto"
  input.style.height = `${Math.min(input.scrollHeight + 2, 140)}px`
}
