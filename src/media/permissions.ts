/** Follows what the person allows this page, so that a camera starts as soon as it may, without a reload. */

/** Not all browsers answer for cameras; those that do call back with each change. */
const NAMES = { camera: "camera", microphone: "microphone" } as const

/**
 * Calls back when the permission for a device changes. Where the browser does not tell, nothing is ever called. Returns how to
 * stop.
 */
export function onPermissionChange(
  device: "camera" | "microphone",
  handler: (state: "granted" | "denied" | "prompt") => void,
): () => void {
  let stopped = false
  let status: PermissionStatus | undefined
  const changed = () => {
    if (!stopped && status !== undefined) handler(status.state)
  }
  const permissions = typeof navigator === "undefined" ? undefined : navigator.permissions
  permissions?.query({ name: NAMES[device] as PermissionName }).then(
    (found) => {
      if (stopped) return
      status = found
      found.addEventListener("change", changed)
    },
    () => undefined,
  )
  return () => {
    stopped = true
    status?.removeEventListener("change", changed)
  }
}
