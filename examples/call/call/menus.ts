/** What opens over the call: the list behind "More", the key list, the settings, and the code to compare. */
import { describeError, type Room } from "holomesh"
import { createDeviceSelects } from "../device-selects.ts"
import { h } from "../dom.ts"
import { type IconName, icon } from "../icons.ts"
import { createLevelBar } from "../level-bar.ts"
import { loadPreferences, savePreferences } from "../preferences.ts"
import { Scope } from "../scope.ts"
import type { LocalMedia } from "./local-media.ts"
import { type ActionName, SHORTCUTS } from "./shortcuts.ts"

const WORDS: Readonly<Record<Exclude<ActionName, "more">, string>> = {
  microphone: "Microphone on or off",
  camera: "Camera on or off",
  share: "Share the screen, or stop",
  leave: "Leave",
  chat: "Open or close the chat",
  invite: "Copy the invitation",
  statistics: "Open or close the statistics",
  network: "Open or close the network",
  memory: "Open or close the room's memory",
  people: "Open or close the list of people",
  files: "Open or close the files",
  help: "This list",
}

export interface MenuItem {
  label: string
  icon: IconName
  run: () => void
  /** Shown only where the bar has no room for its button. */
  narrowOnly?: boolean
}

/** The list behind "More". The browser closes it on a click elsewhere and on Escape. */
export function createMenu(items: MenuItem[]): HTMLElement {
  const menu = h("div", { class: "menu", popover: "auto", id: "more-menu" })
  for (const item of items) {
    const run = () => {
      menu.hidePopover()
      item.run()
    }
    const style = item.narrowOnly ? "menu-item narrow-only" : "menu-item"
    menu.append(h("button", { class: style, type: "button", onclick: run }, icon(item.icon), item.label))
  }
  return menu
}

/** A dialogue that is built when it opens and forgotten when it closes. */
function openDialog(title: string, content: Node[], onClose: () => void = () => {}): void {
  const close = h("button", { class: "button quiet icon-only", type: "button", "aria-label": "Close" }, icon("close"))
  const head = h("header", { class: "panel-head" }, h("h2", { id: "dialog-title" }, title), close)
  const dialog = h("dialog", { class: "dialog", "aria-labelledby": "dialog-title" }, head, ...content)
  close.addEventListener("click", () => dialog.close())
  dialog.addEventListener("click", (event) => {
    // A click beside the content hits the dialogue element itself.
    if (event.target === dialog) dialog.close()
  })
  dialog.addEventListener("close", () => {
    dialog.remove()
    onClose()
  })
  document.body.append(dialog)
  dialog.showModal()
}

/** Asks before something that cannot be taken back. */
export function confirm(title: string, words: string, label: string, run: () => void): void {
  const yes = h("button", { class: "button danger", type: "button" }, label)
  const no = h("button", { class: "button", type: "button", autofocus: true }, "Cancel")
  openDialog(title, [h("p", {}, words), h("div", { class: "dialog-buttons" }, no, yes)])
  const close = () => no.closest("dialog")?.close()
  no.addEventListener("click", close)
  yes.addEventListener("click", () => {
    close()
    run()
  })
}

/** @param has whether this page has a use for the key */
export function openKeyList(has: (action: ActionName) => boolean): void {
  const keys = Object.entries(SHORTCUTS).filter(([, action]) => has(action))
  const rows = keys.map(([key, action]) =>
    h("div", { class: "key-row" }, h("dt", {}, h("kbd", {}, key.toUpperCase())), h("dd", {}, WORDS[action])),
  )
  rows.push(h("div", { class: "key-row" }, h("dt", {}, h("kbd", {}, "Esc")), h("dd", {}, "Close what is open")))
  openDialog("Keyboard", [h("dl", { class: "key-list" }, ...rows)])
}

/** @param media undefined: this page opens no devices, only the name can be chosen */
export function openSettings(room: Room, media: LocalMedia | undefined, onSpeaker: (id: string) => void): void {
  const scope = new Scope()
  const level = createLevelBar()
  scope.add(() => level.close())
  const name = h("input", { class: "field", maxlength: 64, autocomplete: "name", dir: "auto" })
  name.value = room.local.name
  const problem = h("p", { class: "form-problem", role: "alert", hidden: true })
  name.addEventListener("change", () => {
    const chosen = name.value.trim() || "Guest"
    savePreferences({ name: chosen })
    room.setName(chosen).catch((error: unknown) => {
      problem.textContent = describeError(error)
      problem.hidden = false
    })
  })
  const label = h("label", {}, "Your name", name)
  if (media === undefined) {
    openDialog("Settings", [h("div", { class: "settings" }, label, problem)], () => scope.close())
    return
  }
  const refresh = async () => {
    await selects.refresh()
    level.watch(media.isOn("microphone") ? media.track("microphone") : undefined)
  }
  const selects = createDeviceSelects({
    scope,
    current: (kind) => (media.isOn(kind) ? media.track(kind) : undefined),
    choose: (kind, device) => void (device === false ? media.toggleTo(kind, false) : media.choose(kind, device)).then(refresh),
    chooseSpeaker: onSpeaker,
  })
  const release = h("input", { type: "checkbox", class: "check" })
  release.checked = loadPreferences().releaseMicrophone
  release.addEventListener("change", () => media.setReleaseMicrophone(release.checked))
  const releaseRow = h(
    "label",
    { class: "check-row" },
    release,
    h(
      "span",
      {},
      "Switch the microphone off while muted",
      h("small", {}, "Else it stays open, so that this page can tell you when you talk while muted."),
    ),
  )
  openDialog("Settings", [h("div", { class: "settings" }, label, problem, selects.element, level.element, releaseRow)], () =>
    scope.close(),
  )
  void refresh()
}

/** Why the call is private, and how to make sure. */
export function openSecrecy(room: Room): void {
  const code = h("p", { class: "room-code" }, room.code)
  const off = room.on("epoch", () => {
    code.textContent = room.code
  })
  const first = room.open
    ? "Picture, sound and chat are encrypted in your browser. This is an open room, though: whoever knows its name can come in, the server included."
    : "Picture, sound and chat are encrypted in your browser and opened only in the browsers of the people here. The server never has the key."
  const second =
    "To be sure that nobody sits in between, read this code to each other. Everybody must see the same one. It changes when somebody comes or goes."
  openDialog(room.open ? "Open room" : "Encrypted end to end", [h("p", {}, first), code, h("p", { class: "muted" }, second)], off)
}
