/** A full page with one friendly sentence: refusals, and the end of a call. */
import { h } from "./dom.ts"
import { mark } from "./icons.ts"

export interface NoticeAction {
  label: string
  run: () => void
}

export interface Notice {
  title: string
  text: string
  actions: NoticeAction[]
}

/** The first action is the one suggested. */
export function noticePage({ title, text, actions }: Notice): HTMLElement {
  const buttons = actions.map(({ label, run }, index) =>
    h("button", { class: index === 0 ? "button primary" : "button", type: "button", onclick: run }, label),
  )
  const heading = h("h1", { tabindex: "-1" }, title)
  const card = h(
    "div",
    { class: "notice-card" },
    mark(),
    heading,
    h("p", {}, text),
    h("div", { class: "notice-actions" }, ...buttons),
  )
  // The page changed as a whole: screen readers should start at its heading.
  queueMicrotask(() => heading.focus({ preventScroll: true }))
  return h("main", { class: "notice" }, card)
}
