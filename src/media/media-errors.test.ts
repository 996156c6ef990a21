import { afterEach, describe, expect, it, vi } from "vitest"
import { AvError } from "../wire/errors.ts"
import { listDevices, openDevices } from "./devices.ts"
import { mediaError, userMessage } from "./media-errors.ts"
import { probeMedia, requireFeature, requireSupport } from "./support.ts"

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
    expect(userMessage(error)).toMatch(/camera.*\.$/)
    expect(userMessage(error)).not.toContain("browser text")
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
    expect(userMessage(mediaError(thrown("NotAllowedError"), "audio"))).toContain("microphone")
  })

  it("takes anything that was thrown, and leaves our own errors alone", () => {
    expect(mediaError(undefined, "both").code).toBe("MediaDeviceBusy")
    const own = new AvError("TrackEnded")
    expect(mediaError(own, "audio")).toBe(own)
    expect(userMessage(own)).toContain("unplugged")
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

describe("support", () => {
  it("names everything that Node lacks", async () => {
    const support = await probeMedia()
    expect(support.send.video).toEqual(["VideoEncoder", "MediaStreamTrackProcessor"])
    expect(support.receive.audio).toEqual(["AudioWorklet"])
    expect(() => requireSupport(support, "send", "video")).toThrow(/it lacks VideoEncoder and MediaStreamTrackProcessor/)
    expect(() => requireFeature("MediaStreamTrackGenerator", "show video")).toThrow(
      expect.objectContaining({ code: "MediaUnsupported", details: { missing: "MediaStreamTrackGenerator" } }),
    )
  })

  it("tells a missing codec from a missing interface", async () => {
    vi.stubGlobal("VideoDecoder", { isConfigSupported: async () => ({ supported: false }) })
    vi.stubGlobal("MediaStreamTrackGenerator", class {})
    const support = await probeMedia()
    expect(support.receive.video).toEqual(["VideoDecoder for av1, vp9, vp8, h264"])
  })
})
