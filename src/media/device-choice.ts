/** Decides which camera or microphone to use when devices come and go. Pure: the browser's device list comes in as an argument. */
import type { Device } from "./devices.ts"

/** The pseudo device by which browsers name the system's choice of a microphone. */
const SYSTEM_DEFAULT = "default"

interface DeviceSituation {
  kind: "camera" | "microphone"
  /** The person's own choice, a device id; undefined: the system's default. A fallback never changes it. */
  preferred: string | undefined
  /** What the track in use says about itself (`getSettings`); undefined when it ended or there is none. */
  current: { deviceId?: string; groupId?: string } | undefined
  devices: readonly Device[]
}

/** `{ open }`: open this device id, or with `true` the default one, and use it. Undefined: go on as it is, or wait for a device. */
export function chooseDevice({ kind, preferred, current, devices }: DeviceSituation): { open: string | true } | undefined {
  const known = devices.filter((device) => device.kind === kind)
  if (known.length === 0) return undefined
  const wished = preferred === SYSTEM_DEFAULT ? undefined : preferred
  if (wished !== undefined && known.some(({ id }) => id === wished)) {
    return current?.deviceId === wished ? undefined : { open: wished }
  }
  if (current === undefined) return { open: true }
  // Without permission lists have no ids: then the list says nothing about the device in use.
  const named = known.filter(({ id }) => id !== "")
  if (named.length > 0 && current.deviceId !== undefined && !named.some(({ id }) => id === current.deviceId))
    return { open: true }
  // Someone who did not choose follows the system. One who chose a device that is away keeps the fallback until it is back.
  const system = wished === undefined ? known.find(({ id }) => id === SYSTEM_DEFAULT) : undefined
  const moved =
    system !== undefined && system.groupId !== "" && current.groupId !== undefined && system.groupId !== current.groupId
  return moved ? { open: true } : undefined
}
