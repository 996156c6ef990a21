/** Saving data and power: when, what, and that the application has the last word. */
import { describe, expect, it } from "vitest"
import { publishDefaults, receiveDefault, savingReason } from "./saving.ts"

const plugged = { saveData: false, charging: true, batteryLevel: 0.1 }

describe("saving", () => {
  it("begins with the wish of the person, or an empty battery without a charger", () => {
    expect(savingReason(plugged)).toBe("none")
    expect(savingReason({ ...plugged, charging: false })).toBe("battery")
    expect(savingReason({ ...plugged, charging: false, batteryLevel: 0.5 })).toBe("none")
    expect(savingReason({ ...plugged, saveData: true })).toBe("data")
    expect(savingReason({ saveData: undefined, charging: undefined, batteryLevel: undefined })).toBe("none")
  })

  it("makes cameras cheaper, and nothing that the application decided", () => {
    expect(publishDefaults("data", "video", {})).toMatchObject({ maxBitrate: 250_000, frameRate: 15 })
    expect(publishDefaults("data", "video", { maxBitrate: 900_000 })).toMatchObject({ maxBitrate: 900_000, frameRate: 15 })
    expect(publishDefaults("none", "video", {})).toEqual({})
    expect(publishDefaults("data", "audio", {})).toEqual({})
    expect(publishDefaults("data", "video", { source: "screen" })).toEqual({ source: "screen" })
  })

  it("asks for the base layer of cameras only", () => {
    expect(receiveDefault("battery", "video", "camera")).toEqual({ maxSpatial: 0, maxTemporal: 0, maxQuality: 255 })
    expect(receiveDefault("battery", "video", "screen")).toBeUndefined()
    expect(receiveDefault("battery", "audio", "microphone")).toBeUndefined()
    expect(receiveDefault("none", "video", "camera")).toBeUndefined()
  })
})
