import { describe, expect, it } from "vitest"
import { chooseDevice } from "./device-choice.ts"
import type { Device } from "./devices.ts"

const mic = (id: string, groupId = `group of ${id}`): Device => ({ id, kind: "microphone", label: id, groupId })
const builtIn = mic("built-in")
const headset = mic("headset")
const system = (device: Device): Device => mic("default", device.groupId)
const using = ({ id, groupId }: Device) => ({ deviceId: id, groupId })
const situation = { kind: "microphone", preferred: undefined, current: undefined } as const

describe("chooseDevice", () => {
  it("leaves a device that is there and wanted alone", () => {
    const devices = [system(builtIn), builtIn, headset]
    expect(chooseDevice({ ...situation, current: using(builtIn), devices })).toBeUndefined()
    expect(chooseDevice({ ...situation, preferred: "headset", current: using(headset), devices })).toBeUndefined()
  })

  it("takes the default when the device in use disappears, and waits when there is none", () => {
    expect(chooseDevice({ ...situation, current: using(headset), devices: [builtIn] })).toEqual({ open: true })
    expect(chooseDevice({ ...situation, current: undefined, devices: [builtIn] })).toEqual({ open: true })
    expect(chooseDevice({ ...situation, current: undefined, devices: [{ ...builtIn, kind: "camera" }] })).toBeUndefined()
  })

  it("returns to the chosen device when it comes back, and keeps the fallback until then", () => {
    const away = { ...situation, preferred: "headset", current: using(builtIn) }
    expect(chooseDevice({ ...away, devices: [system(builtIn), builtIn] })).toBeUndefined()
    expect(chooseDevice({ ...away, devices: [system(mic("dock")), mic("dock"), builtIn] })).toBeUndefined()
    expect(chooseDevice({ ...away, devices: [system(builtIn), builtIn, headset] })).toEqual({ open: "headset" })
  })

  it("follows the system for someone who did not choose", () => {
    const devices = [system(headset), builtIn, headset]
    expect(chooseDevice({ ...situation, current: using(builtIn), devices })).toEqual({ open: true })
    const byDefault = { deviceId: "default", groupId: headset.groupId }
    expect(chooseDevice({ ...situation, preferred: "default", current: byDefault, devices })).toBeUndefined()
    expect(chooseDevice({ ...situation, current: { deviceId: "default", groupId: builtIn.groupId }, devices })).toEqual({
      open: true,
    })
  })

  it("concludes nothing from a list without ids", () => {
    const nameless = [mic("", "")]
    expect(chooseDevice({ ...situation, current: using(builtIn), devices: nameless })).toBeUndefined()
  })
})
