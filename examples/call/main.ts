/** Entry of the call page: decides between lobby, call and a sentence that explains why not. */
import "./styles/base.css"
import "./styles/lobby.css"
import "./styles/call.css"
import "./styles/tiles.css"
import "./styles/panels.css"
import "./styles/network.css"
import "./styles/memory.css"
import "./styles/people.css"
import "./styles/files.css"
import "./styles/overlays.css"
import {
  createInvitation,
  describeError,
  isAvError,
  type JoinStep,
  joinRoom,
  type OpenedDevices,
  openDevices,
  type Room,
} from "holomesh"
import {
  inviteLink,
  lacksSecret,
  linkFor,
  type PageAddress,
  publishes,
  readAddress,
  roomNameFrom,
  roomUrl,
  serverUrl,
  suggestRoomName,
} from "./address.ts"
import { createCallPage } from "./call/call-page.ts"
import { h } from "./dom.ts"
import { mark } from "./icons.ts"
import { createLobby } from "./lobby.ts"
import { type Notice, noticePage } from "./notice.ts"
import { loadPreferences, savePreferences } from "./preferences.ts"

declare global {
  /** For tests and scripts: the room this page is in. */
  var holomesh: { room?: Room }
}

globalThis.holomesh = {}

let address = readAddress(location.href)
let closeView = () => {}

function show(element: HTMLElement, close: () => void = () => {}): void {
  closeView()
  closeView = close
  document.querySelector("#app")?.replaceChildren(element)
}

function showNotice(notice: Notice): void {
  document.title = `${notice.title} · holomesh`
  show(noticePage(notice))
}

const newRoom = { label: "Make a new room", run: () => startNewRoom() }

function showLobby(): void {
  document.title = address.room === "" ? "holomesh" : `${address.room} · holomesh`
  const lobby = createLobby(address, {
    join({ name, room, devices, mode }) {
      savePreferences({ name })
      address = { ...address, mode }
      if (prepareRoom(room)) void join(name, devices)
      else void devices.then(({ stream }) => stopAll(stream))
    },
    newRoom: startNewRoom,
  })
  show(lobby.element, lobby.close)
}

function startNewRoom(): void {
  address = { ...address, room: "", fragment: "", open: false, autojoin: false, mode: "call" }
  history.replaceState(null, "", location.pathname)
  showLobby()
}

/** Gives a new room its secret and puts the link into the address bar, so that copying the address invites. */
function prepareRoom(typed: string): boolean {
  if (address.room !== "") return true
  const room = roomNameFrom(typed) || suggestRoomName()
  try {
    const fragment = address.open ? "" : `#${createInvitation(serverUrl(), room).fragment}`
    address = { ...address, room, fragment }
    // A broadcast that is loaded again is still on stage; the link to send is another one.
    history.replaceState(null, "", address.mode === "stage" ? linkFor(address, "stage") : inviteLink(address))
    return true
  } catch (error) {
    showNotice({ title: "No such room", text: describeError(error), actions: [newRoom] })
    return false
  }
}

/** The devices may open while the joining goes on: whoever is asked for permission is not kept waiting for it. */
async function join(name: string, devices: Promise<OpenedDevices>, attempt = new AbortController()): Promise<void> {
  const onProgress = showJoining(() => attempt.abort())
  try {
    const { open, forward, uplink } = address
    const limit = uplink === undefined ? {} : { uplinkBitrate: uplink }
    const options = { name: nameOr(name), open, forwardMedia: forward, signal: attempt.signal, onProgress, ...limit }
    enter(await joinRoom(roomUrl(address), options), name, devices)
  } catch (error) {
    void devices.then(({ stream }) => stopAll(stream))
    if (attempt.signal.aborted) return showLobby()
    showNotice({
      title: "You are not in the room",
      text: describeError(error),
      actions: [{ label: "Try again", run: () => rejoin(name) }, newRoom],
    })
  }
}

function enter(room: Room, name: string, devices: Promise<OpenedDevices>): void {
  globalThis.holomesh = { room }
  document.title = `${room.name} · holomesh`
  const page = createCallPage({ room, address, devices, moved: takeInvitation })
  show(page.element, page.close)
  room.on("left", ({ reason, error }) => {
    const again = { label: reason === "left" ? "Join again" : "Try again", run: () => rejoin(name) }
    if (reason === "removed") {
      showNotice({ title: "The call is over for you", text: "You were removed from this room.", actions: [newRoom] })
    } else if (reason === "failed") {
      showNotice({ title: "The call ended", text: describeError(error), actions: [again, newRoom] })
    } else
      showNotice({ title: "You left the call", text: `The room “${room.name}” goes on without you.`, actions: [again, newRoom] })
  })
}

/** The link changed: the address bar follows, so that loading the page again leads back into the room. */
function takeInvitation(invitation: string): PageAddress {
  const { hash } = new URL(invitation)
  address = { ...address, fragment: hash }
  history.replaceState(null, "", `${location.pathname}${location.search}${hash}`)
  return address
}

function nameOr(name: string): string {
  return name || (address.mode === "relay" ? "Relay" : "Guest")
}

const STEPS: Readonly<Record<JoinStep, string>> = {
  server: "Calling the meeting server …",
  members: "Waiting for the room to answer …",
  admission: "The host has been asked to let you in …",
}

/** Returns what to call with each step of the way in. */
function showJoining(cancel: () => void): (step: JoinStep) => void {
  const title = h("h1", {}, `Joining ${address.room}`)
  const words = h("p", { role: "status" }, "One moment …")
  const button = h("button", { class: "button", type: "button", onclick: cancel }, "Cancel")
  show(h("main", { class: "notice" }, h("div", { class: "notice-card joining" }, mark(), title, words, button)))
  return (step) => {
    words.textContent = STEPS[step]
  }
}

/** Joins with the remembered devices, without the lobby. */
function rejoin(name: string): void {
  const attempt = new AbortController()
  if (!publishes(address)) return void join(name, Promise.resolve({ stream: new MediaStream(), problems: [] }), attempt)
  const { camera, microphone } = loadPreferences()
  const opened = openDevices({ camera, microphone, signal: attempt.signal })
  const devices = opened.catch((error: unknown): OpenedDevices => {
    return { stream: new MediaStream(), problems: isAvError(error) && error.code !== "Aborted" ? [error] : [] }
  })
  void join(name, devices, attempt)
}

function stopAll(stream: MediaStream): void {
  for (const track of stream.getTracks()) track.stop()
}

function start(): void {
  if (lacksSecret(address)) {
    showNotice({
      title: "This link has lost its key",
      text: `A link to a room ends with # and a secret key. This one to “${address.room}” does not, so nobody could let you in. Ask for the whole link, or make a room of your own.`,
      actions: [newRoom],
    })
  } else if (address.autojoin && address.room !== "") rejoin(address.name)
  else showLobby()
}

// Another invitation pasted into the address bar changes only the fragment, and the browser would not load anything.
addEventListener("hashchange", () => location.reload())
start()
