/** Over the stage while somebody waits at the door: a host can answer without opening a panel. */
import { describeError, type Room } from "holomesh"
import { h } from "../dom.ts"
import { icon } from "../icons.ts"
import type { Scope } from "../scope.ts"

export function createKnockCard(room: Room, scope: Scope, say: (words: string, kind: "problem") => void): HTMLElement {
  const words = h("p", { dir: "auto" })
  const more = h("p", { class: "muted small" })
  let shown: string | undefined
  const decide = (admit: boolean) => {
    if (shown === undefined) return
    const work = admit ? room.host.admit(shown) : room.host.decline(shown)
    work.catch((error: unknown) => say(describeError(error), "problem"))
  }
  const admit = h("button", { class: "button primary", type: "button", onclick: () => decide(true) }, "Let in")
  const decline = h("button", { class: "button", type: "button", onclick: () => decide(false) }, "Not now")
  const text = h("div", { class: "knock-text", role: "status" }, words, more)
  const element = h(
    "section",
    { class: "knock", "aria-label": "Somebody asks to come in", hidden: true },
    icon("door"),
    text,
    h("div", { class: "knock-buttons" }, admit, decline),
  )
  const update = () => {
    const [first, ...others] = room.host.waiting
    element.hidden = first === undefined || !room.isHost
    shown = first?.id
    if (first === undefined) return
    words.textContent = `${first.name || "Somebody without a name"} asks to come in`
    more.textContent = others.length === 0 ? "" : `and ${others.length} more at the door`
    more.hidden = others.length === 0
  }
  for (const event of ["waiting", "rights"] as const) scope.add(room.on(event, update))
  update()
  return element
}
