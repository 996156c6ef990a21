/** Cameras, microphones and screens of this machine: list, open, notice changes. */
import { AvError } from "../wire/errors.ts"
import { type MediaRequest, mediaError } from "./media-errors.ts"

export interface Device {
  id: string
  kind: "camera" | "microphone" | "speaker"
  /** Empty until the person has allowed some device. */
  label: string
  /** Devices of one headset share a group. */
  groupId: string
}

interface OpenOptions {
  /** `true`: the default camera; a string: the device with this id; constraints are passed on. Default false. */
  video?: boolean | string | MediaTrackConstraints
  audio?: boolean | string | MediaTrackConstraints
  signal?: AbortSignal
}

const KINDS = { videoinput: "camera", audioinput: "microphone", audiooutput: "speaker" } as const

/** @throws AvError `MediaUnsupported` where the page has no access to devices, for example without https. */
export async function listDevices(): Promise<Device[]> {
  const devices = mediaDevices()
  try {
    const infos = await devices.enumerateDevices()
    return infos.map(({ deviceId, kind, label, groupId }) => ({ id: deviceId, kind: KINDS[kind], label, groupId }))
  } catch (cause) {
    throw mediaError(cause, "both")
  }
}

/** Calls back when a device was plugged in or out. Returns how to stop that. */
export function onDeviceChange(handler: () => void): () => void {
  const devices = mediaDevices()
  devices.addEventListener("devicechange", handler)
  return () => devices.removeEventListener("devicechange", handler)
}

/**
 * Opens camera and microphone.
 *
 * @throws AvError `MediaPermission`, `MediaDeviceMissing`, `MediaDeviceBusy`, `MediaConstraints`, `MediaUnsupported`, `Aborted`;
 *   `details.kind` says what was asked for
 */
export async function openDevices(options: OpenOptions): Promise<MediaStream> {
  const video = constraints(options.video, { width: { ideal: 1280 }, height: { ideal: 720 }, frameRate: { ideal: 30, max: 30 } })
  const audio = constraints(options.audio, { echoCancellation: true, noiseSuppression: true, autoGainControl: true })
  const kind: MediaRequest = video === false ? "audio" : audio === false ? "video" : "both"
  return open(kind, options.signal, () => mediaDevices().getUserMedia({ video, audio }))
}

/**
 * Lets the person choose a screen or window. Must be called from a click.
 *
 * @throws AvError as {@link openDevices}; a person who closes the dialogue gives `MediaPermission`
 */
export async function openScreen(options: { audio?: boolean; signal?: AbortSignal } = {}): Promise<MediaStream> {
  const devices = mediaDevices()
  if (typeof devices.getDisplayMedia !== "function") {
    throw new AvError("MediaUnsupported", { missing: "getDisplayMedia" }, { message: "This browser cannot share the screen." })
  }
  return open("screen", options.signal, () => devices.getDisplayMedia({ video: true, audio: options.audio ?? false }))
}

async function open(kind: MediaRequest, signal: AbortSignal | undefined, ask: () => Promise<MediaStream>): Promise<MediaStream> {
  if (signal?.aborted) throw new AvError("Aborted", { kind })
  let stream: MediaStream
  try {
    stream = await ask()
  } catch (cause) {
    throw mediaError(cause, kind)
  }
  // The browser's dialogue cannot be taken back; a camera that comes too late must not stay on.
  if (signal?.aborted) {
    for (const track of stream.getTracks()) track.stop()
    throw new AvError("Aborted", { kind })
  }
  return stream
}

function constraints(
  wanted: boolean | string | MediaTrackConstraints | undefined,
  defaults: MediaTrackConstraints,
): MediaTrackConstraints | false {
  if (wanted === undefined || wanted === false) return false
  if (wanted === true) return defaults
  if (typeof wanted === "string") return { ...defaults, deviceId: { exact: wanted } }
  return wanted
}

function mediaDevices(): MediaDevices {
  const devices = typeof navigator === "undefined" ? undefined : navigator.mediaDevices
  if (devices === undefined) {
    const message = "Camera and microphone are only available on https pages and on localhost."
    throw new AvError("MediaUnsupported", { missing: "navigator.mediaDevices" }, { message })
  }
  return devices
}
