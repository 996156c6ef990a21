/** Cameras and microphones for a page that wants to go on whatever is missing: problems are listed, not thrown. */
import {
  type Device,
  DeviceKeeper,
  listDevices as listMediaDevices,
  onDeviceChange,
  onPermissionChange,
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
  /** Mutes the publication and, with `releaseOnMute`, lets go of the device. */
  mute(): Promise<void>
  /**
   * Opens the device again if it was let go, and unmutes.
   *
   * @throws AvError as {@link openDevices} lists; the publication stays muted then
   */
  unmute(): Promise<void>
  /** Another choice for the next {@link mute}. */
  setReleaseOnMute(release: boolean): void
  /** Leaves the publication as it is from now on. Idempotent. */
  close(): void
}

export interface KeepOptions {
  /** Device id. A fallback does not change it, and it is used again as soon as it is back. Default: the system's choice. */
  preferred?: string
  /**
   * `true`: a muted device is switched off, its light goes out, and unmuting takes a moment. `false`: it stays open and nothing of
   * it is sent; talking into it is noticed (`speakingWhileMuted`). Default: cameras are released, microphones kept.
   */
  releaseOnMute?: boolean
  /** Told of every track that takes over, for a preview or a device menu. */
  onChange?: (track: MediaStreamTrack) => void
  /** The device went away and none can take its place: the publication is muted until one comes. */
  onLost?: () => void
  /** A device did not open. What can heal is tried again. */
  onProblem?: (error: AvError) => void
}

/**
 * Keeps a camera or microphone publication going: on another device when its own disappears, back on `preferred` when that
 * returns, and on the system's default when nothing was chosen. Without any device it is muted until one comes or is allowed again.
 * The other members keep the same track throughout.
 *
 * @throws AvError `TrackUnknown` when the publication has no track, `MediaUnsupported` where the page has no access to devices
 */
export function keepDevice(publication: Publication, options: KeepOptions = {}): KeptDevice {
  const { kind, track } = publication
  if (track === undefined) throw new AvError("TrackUnknown", { publication: publication.id })
  const { preferred, onChange, onLost, onProblem } = options
  const device = kind === "video" ? "camera" : "microphone"
  let releaseOnMute = options.releaseOnMute ?? kind === "video"
  /** Muted by us, because there is no device, and not by the person. */
  let without = false
  const keeper = new DeviceKeeper({
    kind: device,
    track,
    ...(preferred === undefined ? {} : { preferred }),
    list: listMediaDevices,
    open: async (wanted) => (await openMediaDevices({ [kind]: wanted })).getTracks()[0]!,
    use: async (fresh) => {
      await publication.replaceTrack(fresh)
      if (without) {
        without = false
        await publication.unmute()
      }
      onChange?.(fresh)
    },
    onDeviceChange,
    onLost() {
      if (!publication.muted) {
        without = true
        // A picture that stands still, or silence, would look like a fault of the network.
        publication.mute().catch(() => undefined)
      }
      onLost?.()
    },
    onProblem(error) {
      if (isAvError(error)) onProblem?.(error)
    },
  })
  const stopWatching = watchPage({ onReturn: () => keeper.check() })
  const stopAsking = onPermissionChange(device, (state) => {
    if (state === "granted") keeper.check()
  })
  return {
    prefer: (wanted) => keeper.prefer(wanted),
    async mute() {
      without = false
      await publication.mute()
      if (releaseOnMute) keeper.release()
    },
    async unmute() {
      await keeper.restart()
      await publication.unmute()
    },
    setReleaseOnMute(release) {
      releaseOnMute = release
    },
    close() {
      stopWatching()
      stopAsking()
      keeper.close()
    },
  }
}
