/** What a page does for a person who saves data or power: smaller defaults, which the application can always override. */
import { BLINKING_DOT } from "../wire/layers.ts"
import type { ReceiverLayerPolicy } from "../wire/types.ts"
import type { PublishOptions, SavingReason } from "./types.ts"

/** What the browser says; each undefined where it says nothing. */
interface SavingHints {
  /** The person asked the browser to save data. */
  saveData: boolean | undefined
  charging: boolean | undefined
  /** Charge of the battery, 0..1. */
  batteryLevel: number | undefined
}

/** Below this charge, without a charger, the picture gets cheaper. */
const LOW_BATTERY = 0.2
const CHEAP: PublishOptions = { maxBitrate: 250_000, frameRate: 15 }

export function savingReason({ saveData, charging, batteryLevel }: SavingHints): SavingReason {
  if (saveData) return "data"
  return charging === false && batteryLevel !== undefined && batteryLevel <= LOW_BATTERY ? "battery" : "none"
}

/** Options for a camera while saving; what the application says itself wins. Sound and screens stay as they are: words come first. */
export function publishDefaults(reason: SavingReason, kind: string, options: PublishOptions): PublishOptions {
  if (reason === "none" || kind !== "video" || options.source === "screen") return options
  return { ...CHEAP, ...options }
}

/** Policy for a received picture while saving; undefined: the usual one. */
export function receiveDefault(reason: SavingReason, kind: string, source: string): ReceiverLayerPolicy | undefined {
  if (reason === "none" || kind !== "video" || source === "screen") return undefined
  // Repair symbols stay: a picture that breaks costs more, a whole key frame.
  return { ...BLINKING_DOT, maxQuality: 255 }
}

interface BatteryLike extends EventTarget {
  readonly charging: boolean
  readonly level: number
}

/** Follows the hints of the browser. */
export class SavingWatch {
  #battery: BatteryLike | undefined
  #closed = false
  readonly #mode: "auto" | boolean

  /** @param mode `true` and `false` decide for the browser */
  constructor(mode: "auto" | boolean) {
    this.#mode = mode
    if (mode === "auto") void this.#watchBattery()
  }

  get reason(): SavingReason {
    if (this.#mode !== "auto") return this.#mode ? "data" : "none"
    return savingReason({
      saveData: connectionHints()?.saveData,
      charging: this.#battery?.charging,
      batteryLevel: this.#battery?.level,
    })
  }

  close(): void {
    this.#closed = true
    this.#battery = undefined
  }

  async #watchBattery(): Promise<void> {
    const ask = (globalThis.navigator as { getBattery?: () => Promise<BatteryLike> } | undefined)?.getBattery
    try {
      const battery = await ask?.call(navigator)
      if (!this.#closed) this.#battery = battery
    } catch {
      // Without a battery, or without leave to look at it, nothing is saved for its sake.
    }
  }
}

function connectionHints(): { saveData?: boolean } | undefined {
  return (globalThis.navigator as { connection?: { saveData?: boolean } } | undefined)?.connection
}
