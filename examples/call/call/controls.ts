/** The control bar. Every button says what it does, by name, by tooltip with its key, and by `aria-pressed`. */
import { h } from "../dom.ts"
import { type IconName, icon } from "../icons.ts"
import { type ActionName, SHORTCUTS } from "./shortcuts.ts"

/** What each button and key does; "more" is a popover the browser opens by itself. */
export type Actions = Record<Exclude<ActionName, "more">, () => void>

export type Panel = "chat" | "people" | "files" | "memory" | "statistics" | "network"

export interface ControlState {
  microphone: boolean
  camera: boolean
  sharing: boolean
  panel: Panel | undefined
  unread: number
  /** People at the door whom this page may let in. */
  waiting: number
  /** Offers that came while the files were not open. */
  newFiles: number
}

export interface Controls {
  element: HTMLElement
  update(state: ControlState): void
}

/** @param has whether this page has a use for the button */
export function createControls(actions: Actions, has: (action: ActionName) => boolean): Controls {
  const button = (action: ActionName, name: IconName, label: string, style = "") => {
    const key = Object.entries(SHORTCUTS).find(([, bound]) => bound === action)?.[0]
    const title = key === undefined ? label : `${label} (${key.toUpperCase()})`
    const attributes = {
      class: `control ${style}`,
      type: "button",
      "aria-label": label,
      title,
      onclick: action === "more" ? undefined : actions[action],
    }
    const element = h(
      "button",
      attributes,
      h("span", { class: "control-face" }, icon(name)),
      h("span", { class: "control-text" }, label),
    )
    element.dataset.action = action
    return element
  }
  const microphone = button("microphone", "microphone", "Microphone", "device")
  const camera = button("camera", "camera", "Camera", "device")
  const share = button("share", "screen", "Share screen", "roomy")
  const chat = button("chat", "chat", "Chat")
  const unread = withBadge(chat)
  const people = button("people", "people", "People", "roomy")
  const waiting = withBadge(people)
  const files = button("files", "files", "Files", "roomy")
  const newFiles = withBadge(files)
  const invite = button("invite", "invite", "Copy invite", "roomy")
  const more = button("more", "more", "More")
  more.setAttribute("popovertarget", "more-menu")
  const leave = button("leave", "leave", "Leave", "danger")
  const middle = h("div", { class: "controls-middle" }, microphone, camera, share, leave)
  const side = h("div", { class: "controls-side" }, invite, people, chat, files, more)
  for (const each of [microphone, camera, share, invite, files]) each.hidden = !has(each.dataset.action as ActionName)
  return {
    element: h("div", { class: "controls", role: "group", "aria-label": "Call controls" }, middle, side),
    update(state) {
      press(microphone, state.microphone, state.microphone ? "microphone" : "microphoneOff")
      press(camera, state.camera, state.camera ? "camera" : "cameraOff")
      press(share, state.sharing)
      press(chat, state.panel === "chat")
      press(people, state.panel === "people")
      press(files, state.panel === "files")
      newFiles(state.newFiles)
      unread(state.unread)
      waiting(state.waiting)
      people.setAttribute("aria-label", state.waiting === 0 ? "People" : `People, ${state.waiting} at the door`)
      files.setAttribute("aria-label", state.newFiles === 0 ? "Files" : `Files, ${state.newFiles} new`)
      chat.setAttribute("aria-label", state.unread === 0 ? "Chat" : `Chat, ${state.unread} unread`)
    },
  }
}

/** Returns how to set the number on a button's corner. */
function withBadge(button: HTMLElement): (count: number) => void {
  const badge = h("span", { class: "badge", hidden: true })
  button.querySelector(".control-face")?.append(badge)
  return (count) => {
    badge.hidden = count === 0
    badge.textContent = count > 99 ? "99+" : String(count)
  }
}

function press(button: HTMLElement, pressed: boolean, name?: IconName): void {
  if (button.getAttribute("aria-pressed") === String(pressed)) return
  button.setAttribute("aria-pressed", String(pressed))
  if (name !== undefined) button.querySelector("svg")?.replaceWith(icon(name))
}
