/** Short news: shown for a few seconds and read out by screen readers when they have a pause. */
import { h } from "../dom.ts"

const SHOWN_MS = 5_000
/** More at once is noise; the oldest goes. */
const MAX_SHOWN = 3

export interface Announcer {
  element: HTMLElement
  say(text: string, kind?: "news" | "problem"): void
  /** Takes everything away that is shown: the person looks at the thing itself now. */
  clear(): void
}

export function createAnnouncer(): Announcer {
  const element = h("div", { class: "toasts", role: "status", "aria-live": "polite" })
  return {
    element,
    clear: () => element.replaceChildren(),
    say(text, kind = "news") {
      const same = [...element.children].find((toast) => toast.textContent === text)
      same?.remove()
      const toast = h("p", { class: `toast ${kind}` }, text)
      element.append(toast)
      while (element.childElementCount > MAX_SHOWN) element.firstElementChild?.remove()
      setTimeout(() => toast.remove(), kind === "problem" ? SHOWN_MS * 2 : SHOWN_MS)
    },
  }
}
