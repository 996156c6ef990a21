/** Lists to choose camera, microphone and loudspeaker from: the same before the call and during it. */
import { type DeviceList, listDevices, onDeviceChange } from "holomesh"
import { h } from "./dom.ts"
import { type IconName, icon } from "./icons.ts"
import { loadPreferences, savePreferences } from "./preferences.ts"
import type { Scope } from "./scope.ts"

/** Value of the option that means: no device of this kind. */
const NONE = ""

export interface DeviceSelectOptions {
  scope: Scope
  /** The track in use, so that the list shows the device that is really open. */
  current: (kind: "camera" | "microphone") => MediaStreamTrack | undefined
  /** `false`: none. */
  choose: (kind: "camera" | "microphone", device: string | false) => void
  chooseSpeaker: (device: string) => void
}

export interface DeviceSelects {
  element: HTMLElement
  /** Reads the devices again: their names appear only after the first permission. */
  refresh(): Promise<void>
}

export function createDeviceSelects(options: DeviceSelectOptions): DeviceSelects {
  const { scope, choose, chooseSpeaker } = options
  const camera = select("Camera", "camera", (value) => choose("camera", value === NONE ? false : value))
  const microphone = select("Microphone", "microphone", (value) => choose("microphone", value === NONE ? false : value))
  const speaker = select("Loudspeaker", "speaker", (value) => {
    savePreferences({ speaker: value })
    chooseSpeaker(value)
  })
  const canChooseSpeaker = "setSinkId" in HTMLMediaElement.prototype
  const refresh = async () => {
    let devices: DeviceList
    try {
      devices = await listDevices()
    } catch {
      devices = { cameras: [], microphones: [], speakers: [] }
    }
    fill(camera.list, devices.cameras, "camera", options.current("camera"))
    fill(microphone.list, devices.microphones, "microphone", options.current("microphone"))
    fillSpeakers(speaker.list, devices.speakers)
    speaker.row.hidden = !canChooseSpeaker || devices.speakers.length === 0
  }
  speaker.row.hidden = true
  try {
    scope.add(onDeviceChange(() => void refresh()))
  } catch {
    // Without access to devices there is nothing to watch.
  }
  return { element: h("div", { class: "device-selects" }, camera.row, microphone.row, speaker.row), refresh }
}

function select(label: string, name: IconName, onChange: (value: string) => void): { row: HTMLElement; list: HTMLSelectElement } {
  const list = h("select", { class: "field", "aria-label": label, onchange: () => onChange(list.value) })
  return { row: h("div", { class: "device-row", title: label }, icon(name), list), list }
}

type Listed = { id: string; label: string }[]

function fill(
  list: HTMLSelectElement,
  devices: Listed,
  kind: "camera" | "microphone",
  track: MediaStreamTrack | undefined,
): void {
  const known = devices.filter(({ id }) => id !== "")
  const options = known.map(({ id, label }, index) => h("option", { value: id }, tidy(label) || `${titled(kind)} ${index + 1}`))
  const none = h("option", { value: NONE }, known.length === 0 && devices.length === 0 ? `No ${kind} found` : `No ${kind}`)
  list.replaceChildren(...options, none)
  const open = track?.readyState === "live" ? (track.getSettings().deviceId ?? known[0]?.id) : undefined
  // Some browsers hide the ids of open devices; the first one is then the best guess.
  list.value = open === undefined ? NONE : known.some(({ id }) => id === open) ? open : (known[0]?.id ?? NONE)
}

function fillSpeakers(list: HTMLSelectElement, devices: Listed): void {
  const named = devices.filter(({ id }) => id !== "" && id !== "default")
  list.replaceChildren(
    h("option", { value: "" }, "Default loudspeaker"),
    ...named.map(({ id, label }, index) => h("option", { value: id }, tidy(label) || `Loudspeaker ${index + 1}`)),
  )
  const { speaker } = loadPreferences()
  list.value = named.some(({ id }) => id === speaker) ? speaker : ""
}

/** Browsers append the USB ids of a device, which tell a person nothing. */
function tidy(label: string): string {
  return label.replace(/\s*\([0-9a-f]{4}:[0-9a-f]{4}\)$/i, "")
}

function titled(kind: string): string {
  return kind.charAt(0).toUpperCase() + kind.slice(1)
}
