/** Before the call: name, room, and a look at camera and microphone. Joining works with neither. */
import type { OpenedDevices } from "holomesh"
import { type PageAddress, type PageMode, publishes, suggestRoomName } from "./address.ts"
import { createDeviceSelects } from "./device-selects.ts"
import { h } from "./dom.ts"
import { type IconName, icon, mark } from "./icons.ts"
import { createLevelBar } from "./level-bar.ts"
import { loadPreferences } from "./preferences.ts"
import { Preview } from "./preview.ts"
import { Scope } from "./scope.ts"

/** Whoever is in a hurry waits so long for camera and microphone, ms. What opens later joins the call by itself. */
const DEVICES_MS = 3_000

export interface LobbyChoice {
  name: string
  room: string
  /** Resolves late where the person has not answered the browser's question yet. */
  devices: Promise<OpenedDevices>
  mode: PageMode
}

export interface Lobby {
  element: HTMLElement
  close(): void
}

export interface LobbyEvents {
  join: (choice: LobbyChoice) => void
  /** Somebody invited would rather have a room of their own. */
  newRoom: () => void
}

export function createLobby(address: PageAddress, on: LobbyEvents): Lobby {
  return publishes(address) ? lobbyWithDevices(address, on) : lobbyWithout(address, on)
}

/** Whoever only watches or hands on is not asked for devices. */
function lobbyWithout(address: PageAddress, on: LobbyEvents): Lobby {
  const form = joinForm(address, on.newRoom, (name, room, mode) => {
    on.join({ name, room, mode, devices: Promise.resolve({ stream: new MediaStream(), problems: [] }) })
  })
  const brand = h("header", { class: "brand" }, mark(), h("span", {}, "holomesh"))
  return { element: h("main", { class: "lobby" }, brand, h("div", { class: "lobby-body alone" }, form)), close: () => {} }
}

function lobbyWithDevices(address: PageAddress, on: LobbyEvents): Lobby {
  const scope = new Scope()
  const preview = new Preview(() => update())
  scope.add(() => preview.close())
  const video = h("video", { autoplay: true, playsinline: true, "aria-label": "Your camera" })
  video.muted = true
  const level = createLevelBar()
  scope.add(() => level.close())
  const hint = h("p", { class: "preview-hint" })
  const problems = h("div", { class: "problems", role: "alert" })
  const selects = createDeviceSelects({
    scope,
    current: (kind) => preview.track(kind),
    choose: (kind, device) => void preview.choose(kind, device),
    chooseSpeaker: () => {},
  })
  const toggle = (kind: "camera" | "microphone", label: string) => {
    const press = () => void preview.choose(kind, preview.track(kind) === undefined)
    return h("button", { class: "control device", type: "button", "aria-label": label, title: label, onclick: press })
  }
  const microphone = toggle("microphone", "Microphone")
  const camera = toggle("camera", "Camera")

  const update = () => {
    if (scope.closed) return
    const [picture, sound] = [preview.track("camera"), preview.track("microphone")]
    video.hidden = picture === undefined
    // An element that waits for an empty stream would keep the page "loading" for ever.
    const shown = picture === undefined ? null : preview.stream
    if (video.srcObject !== shown) video.srcObject = shown
    level.watch(sound)
    face(microphone, sound !== undefined, "microphone", "microphoneOff")
    face(camera, picture !== undefined, "camera", "cameraOff")
    hint.hidden = picture !== undefined
    hint.textContent = preview.waiting ? "Answer the browser’s question to use your camera and microphone." : "Your camera is off"
    const sentences = preview.problems
    if (sentences.length > 0) sentences.push("You can also join without: you will see and hear the others.")
    problems.replaceChildren(...sentences.map((sentence) => h("p", {}, sentence)))
    if (!preview.waiting) void selects.refresh()
  }

  const stage = h(
    "div",
    { class: "preview" },
    video,
    hint,
    h("div", { class: "preview-controls" }, microphone, camera),
    level.element,
  )
  const left = h("section", { class: "lobby-preview", "aria-label": "Camera and microphone" }, stage, problems, selects.element)
  const right = joinForm(address, on.newRoom, async (name, room, mode) => {
    await preview.settled(DEVICES_MS)
    if (!scope.closed) on.join({ name, room, mode, devices: preview.handOver() })
  })
  const brand = h("header", { class: "brand" }, mark(), h("span", {}, "holomesh"))
  update()
  void preview.start()
  const element = h("main", { class: "lobby" }, brand, h("div", { class: "lobby-body" }, left, right))
  return { element, close: () => scope.close() }
}

const WORDS: Readonly<Record<PageMode, { lead: string; go: string }>> = {
  call: { lead: "You are about to join this room.", go: "Join the call" },
  stage: { lead: "You are about to go on stage: everybody in the audience sees and hears you.", go: "Go on stage" },
  audience: {
    lead: "You are about to watch a broadcast. Your camera and microphone stay off.",
    go: "Watch the broadcast",
  },
  relay: {
    lead: "This browser will hand on pictures and sound for others. It opens no camera and no microphone, and shows nothing.",
    go: "Start to hand on",
  },
}

function joinForm(
  address: PageAddress,
  newRoom: () => void,
  join: (name: string, room: string, mode: PageMode) => void | Promise<void>,
): HTMLElement {
  const invited = address.room !== ""
  const name = h("input", {
    class: "field",
    name: "name",
    maxlength: 64,
    autocomplete: "name",
    placeholder: "Guest",
    dir: "auto",
  })
  name.value = address.name || loadPreferences().name
  const room = h("input", {
    class: "field",
    name: "room",
    maxlength: 64,
    autocomplete: "off",
    spellcheck: "false",
    required: true,
  })
  room.value = address.room || suggestRoomName()
  const heading = invited ? address.room : "Start a call"
  const lead = invited
    ? WORDS[address.mode].lead
    : "You get a link with a secret key. Send it to the people you want to see; nobody else can come in."
  const submit = (event: Event) => {
    event.preventDefault()
    const pressed = event instanceof SubmitEvent ? event.submitter : null
    const mode = pressed instanceof HTMLButtonElement && pressed.value === "stage" ? "stage" : address.mode
    if (form.ariaBusy === "true") return
    form.ariaBusy = "true"
    status.textContent = "Starting your camera and microphone …"
    void join(name.value.trim(), room.value, mode)
  }
  const status = h("p", { class: "join-status", role: "status" })
  const other = invited && h("button", { class: "button quiet", type: "button", onclick: newRoom }, "Make a new room instead")
  const form = h(
    "form",
    { class: "join-form", onsubmit: submit },
    h("h1", {}, heading),
    h("p", { class: "lead" }, lead),
    h("label", {}, "Your name", name),
    !invited && h("label", {}, "Room", room),
    h("button", { class: "button primary large", type: "submit" }, invited ? WORDS[address.mode].go : "Start the call"),
    !invited && h("button", { class: "button large", type: "submit", value: "stage" }, icon("broadcast"), "Start a broadcast"),
    !invited && h("p", { class: "muted small" }, "In a broadcast you are seen and heard, and the others watch."),
    status,
    other,
    secrecyLine(address.open),
  )
  return form
}

function secrecyLine(open: boolean): HTMLElement {
  return open
    ? h("p", { class: "secrecy open" }, icon("unlocked"), "Open room: whoever knows the name can come in, the server included.")
    : h("p", { class: "secrecy" }, icon("lock"), "Encrypted from browser to browser. No server sees or hears the call.")
}

function face(button: HTMLElement, on: boolean, name: IconName, off: IconName): void {
  if (button.getAttribute("aria-pressed") === String(on)) return
  button.setAttribute("aria-pressed", String(on))
  button.replaceChildren(h("span", { class: "control-face" }, icon(on ? name : off)))
}
