import { afterEach, describe, expect, it, vi } from "vitest"
import { AvError } from "../wire/errors.ts"
import { listDevices, openDevices } from "./devices.ts"
import { mediaError } from "./media-errors.ts"
import { requireFeature } from "./support.ts"

afterEach(() => vi.unstubAllGlobals())

const thrown = (name: string) => Object.assign(new Error("browser text"), { name })

function withDevices(getUserMedia: () => Promise<unknown>) {
  vi.stubGlobal("navigator", { mediaDevices: { getUserMedia } })
}

describe("mediaError", () => {
  it.each([
    ["NotAllowedError", "MediaPermission"],
    ["NotFoundError", "MediaDeviceMissing"],
    ["NotReadableError", "MediaDeviceBusy"],
    ["OverconstrainedError", "MediaConstraints"],
    ["AbortError", "Aborted"],
    ["SomethingNew", "MediaDeviceBusy"],
  ])("%s becomes %s with a sentence about the device", (name, code) => {
    const error = mediaError(thrown(name), "video")
    expect(error.code).toBe(code)
    expect(error.details.kind).toBe("video")
    expect(error.message).toMatch(/camera.*\.$/)
    expect(error.message).not.toContain("browser text")
  })

  it.each([
    ["NotAllowedError", "Permission denied", "person"],
    ["NotAllowedError", "Permission denied by system", "system"],
    ["NotAllowedError", "Permission dismissed", "dismissed"],
    ["SecurityError", "", "page"],
  ])("%s: %s was refused by the %s", (name, message, by) => {
    expect(mediaError(Object.assign(new Error(message), { name }), "video").details.by).toBe(by)
  })

  it("names the microphone when only that was asked for", () => {
    expect(mediaError(thrown("NotAllowedError"), "audio").message).toContain("microphone")
  })

  it("takes anything that was thrown, and leaves our own errors alone", () => {
    expect(mediaError(undefined, "both").code).toBe("MediaDeviceBusy")
    const own = new AvError("TrackEnded")
    expect(mediaError(own, "audio")).toBe(own)
  })
})

describe("openDevices", () => {
  it("maps a refusal", async () => {
    withDevices(() => Promise.reject(thrown("NotAllowedError")))
    await expect(openDevices({ audio: true })).rejects.toMatchObject({ code: "MediaPermission", details: { kind: "audio" } })
  })

  it("stops a camera that comes after the abort", async () => {
    const stop = vi.fn()
    const controller = new AbortController()
    withDevices(async () => {
      controller.abort()
      return { getTracks: () => [{ stop }] }
    })
    await expect(openDevices({ video: true, signal: controller.signal })).rejects.toMatchObject({ code: "Aborted" })
    expect(stop).toHaveBeenCalledOnce()
  })

  it("asks for the device with the given id", async () => {
    const ask = vi.fn(async () => ({ getTracks: () => [] }))
    withDevices(ask)
    await openDevices({ video: "cam-7" })
    expect(ask).toHaveBeenCalledWith(
      expect.objectContaining({ audio: false, video: expect.objectContaining({ deviceId: { exact: "cam-7" } }) }),
    )
  })

  it("says so on a page without access to devices", async () => {
    vi.stubGlobal("navigator", {})
    await expect(listDevices()).rejects.toMatchObject({
      code: "MediaUnsupported",
      details: { missing: "navigator.mediaDevices" },
    })
  })
})

describe("requireFeature", () => {
  it("names what Node lacks, and lets pass what is there", () => {
    expect(() => requireFeature("MediaStreamTrackGenerator", "show video")).toThrow(
      expect.objectContaining({ code: "MediaUnsupported", details: { missing: "MediaStreamTrackGenerator" } }),
    )
    vi.stubGlobal("MediaStreamTrackGenerator", class {})
    expect(() => requireFeature("MediaStreamTrackGenerator", "show video")).not.toThrow()
  })
})
