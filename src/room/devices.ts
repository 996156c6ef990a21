/** Cameras and microphones for a page that wants to go on whatever is missing: problems are listed, not thrown. */
import {
  type Device,
  DeviceKeeper,
  listDevices as listMediaDevices,
  onDeviceChange,
  openDevices as openMediaDevices,
  watchPage,
} from "../media/index.ts"
import { AvError, isAvError } from "../wire/errors.ts"
import type { Publication } from "./types.ts"

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

export interface KeptDevice {
  /** The person chose another device; undefined: whatever the system has as its default. */
  prefer(device: string | undefined): void
  /** Leaves the publication as it is from now on. Idempotent. */
  close(): void
}

/**
 * Keeps a camera or microphone publication going: on another device when its own disappears, back on `preferred` when that
 * returns, and on the system's default when nothing was chosen. The other members keep the same track throughout.
 *
 * @param options.onChange told of every track that takes over, for a preview or a device menu
 * @throws AvError `TrackUnknown` when the publication has no track, `MediaUnsupported` where the page has no access to devices
 */
export function keepDevice(
  publication: Publication,
  options: { preferred?: string; onChange?: (track: MediaStreamTrack) => void } = {},
): KeptDevice {
  const { kind, track } = publication
  if (track === undefined) throw new AvError("TrackUnknown", { publication: publication.id })
  const { preferred, onChange } = options
  const keeper = new DeviceKeeper({
    kind: kind === "video" ? "camera" : "microphone",
    track,
    ...(preferred === undefined ? {} : { preferred }),
    list: listMediaDevices,
    open: async (device) => (await openMediaDevices({ [kind]: device })).getTracks()[0]!,
    use: async (fresh) => {
      await publication.replaceTrack(fresh)
      onChange?.(fresh)
    },
    onDeviceChange,
  })
  const stopWatching = watchPage({ onReturn: () => keeper.check() })
  return {
    prefer: (device) => keeper.prefer(device),
    close() {
      stopWatching()
      keeper.close()
    },
  }
}
