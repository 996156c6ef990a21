/** What this browser remembers between calls: the name and the chosen devices. Nothing about rooms. */

export interface Preferences {
  name: string
  /** Device id, `true` for the default one, `false` for none. */
  camera: boolean | string
  microphone: boolean | string
  speaker: string
  /** A muted microphone is switched off; unmuting takes a moment then. */
  releaseMicrophone: boolean
}

const KEY = "holomesh-call"
const DEFAULTS: Preferences = { name: "", camera: true, microphone: true, speaker: "", releaseMicrophone: false }

/** Storage may be off, or hold anything; then the defaults apply. */
export function loadPreferences(): Preferences {
  try {
    const stored: unknown = JSON.parse(localStorage.getItem(KEY) ?? "{}")
    if (typeof stored !== "object" || stored === null) return { ...DEFAULTS }
    const { name, camera, microphone, speaker, releaseMicrophone } = stored as Partial<Record<keyof Preferences, unknown>>
    return {
      name: typeof name === "string" ? name.slice(0, 64) : DEFAULTS.name,
      camera: isDevice(camera) ? camera : DEFAULTS.camera,
      microphone: isDevice(microphone) ? microphone : DEFAULTS.microphone,
      speaker: typeof speaker === "string" ? speaker : DEFAULTS.speaker,
      releaseMicrophone: releaseMicrophone === true,
    }
  } catch {
    return { ...DEFAULTS }
  }
}

export function savePreferences(changes: Partial<Preferences>): void {
  try {
    localStorage.setItem(KEY, JSON.stringify({ ...loadPreferences(), ...changes }))
  } catch {
    // A browser that keeps nothing still makes calls.
  }
}

function isDevice(value: unknown): value is boolean | string {
  return typeof value === "boolean" || typeof value === "string"
}
