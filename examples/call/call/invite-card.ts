/** Stands beside the own tile while nobody else is in the room: the link to send. */
import { h } from "../dom.ts"
import { icon } from "../icons.ts"

export function createInviteCard(link: string, open: boolean, copy: () => void): HTMLElement {
  const field = h("input", { class: "field", readonly: true, "aria-label": "Invitation link", value: link })
  field.addEventListener("focus", () => field.select())
  const button = h("button", { class: "button primary", type: "button", onclick: copy }, icon("copy"), "Copy invitation")
  const text = open
    ? "Send this link to the people you want to see. Whoever knows the room's name can come in without it."
    : "Send this link to the people you want to see. It holds the key to this room, so pass it on with care."
  return h(
    "section",
    { class: "tile invite-card", "aria-label": "Invite" },
    h("h2", {}, "You are the first one here"),
    h("p", {}, text),
    field,
    button,
  )
}
