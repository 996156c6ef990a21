/** Cameras and microphones for a page that wants to go on whatever is missing: problems are listed, not thrown. */
import { type Device, listDevices as listMediaDevices, openDevices as openMediaDevices } from "../media/index.ts"
import { type AvError, isAvError } from "../wire/errors.ts"

export interface DeviceChoice {
  /** `true`: the default camera; a string: the device with this id. Default false. */
  camera?: boolean | string
  microphone?: boolean | string
  signal?: AbortSignal
}

export interface OpenedDevices {
  /** Holds what could be opened; empty when nothing could. */
  stream: MediaStream
  /** `MediaPermission`, `MediaDeviceMissing`, `MediaDeviceBusy`, …: one for each device that could not. `details.kind` names it. */
  problems: AvError[]
}

export interface DeviceList {
  cameras: Device[]
  microphones: Device[]
  speakers: Device[]
}

/**
 * Opens camera and microphone together, or else each by itself, so that a missing camera does not cost the microphone. A chosen
 * device that is gone is replaced by the default one, and its problem is listed all the same.
 *
 * @throws AvError `Aborted`
 */
export async function openDevices(choice: DeviceChoice): Promise<OpenedDevices> {
  const { camera = false, microphone = false, signal } = choice
  const stop = signal === undefined ? {} : { signal }
  if (camera !== false && microphone !== false) {
    try {
      return { stream: await openMediaDevices({ video: camera, audio: microphone, ...stop }), problems: [] }
    } catch (error) {
      if (!isAvError(error) || error.code === "Aborted") throw error
    }
  }
  const stream = new MediaStream()
  const problems: AvError[] = []
  for (const [kind, wanted] of [
    ["video", camera],
    ["audio", microphone],
  ] as const) {
    for (const device of wanted === false ? [] : typeof wanted === "string" ? [wanted, true] : [true]) {
      try {
        for (const track of (await openMediaDevices({ [kind]: device, ...stop })).getTracks()) stream.addTrack(track)
        break
      } catch (error) {
        if (!isAvError(error) || error.code === "Aborted") throw error
        problems.push(error)
      }
    }
  }
  return { stream, problems }
}

/** @throws AvError `MediaUnsupported` where the page has no access to devices, for example without https. */
export async function listDevices(): Promise<DeviceList> {
  const devices = await listMediaDevices()
  const of = (kind: Device["kind"]) => devices.filter((device) => device.kind === kind)
  return { cameras: of("camera"), microphones: of("microphone"), speakers: of("speaker") }
}
