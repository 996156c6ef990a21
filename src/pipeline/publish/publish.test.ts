import { describe, expect, it } from "vitest"
import { isAvError } from "../../wire/errors.ts"
import { DescriptionTurns } from "./description-turns.ts"
import { temporalLayerOf } from "./encoder-trial.ts"
import { FramePacer } from "./frame-pacer.ts"
import { PublishWorker } from "./publish-worker.ts"
import { chooseVideo, fitSize, leastBitrate, pictureBitrate, videoConfig } from "./video-choice.ts"

describe("FramePacer", () => {
  const admitted = (from: number, to: number, jitterUs = 0) => {
    const pacer = new FramePacer(to)
    let count = 0
    for (let i = 0; i < from * 10; i++) if (pacer.admit((i * 1_000_000) / from + (i % 3) * jitterUs)) count++
    return count / 10
  }

  it("lets everything through at or below the cap, in spite of jitter", () => {
    expect(admitted(30, 30, 4_000)).toBeCloseTo(30, 0)
    expect(admitted(15, 30)).toBe(15)
  })

  it("halves a double rate evenly", () => {
    expect(admitted(60, 30)).toBeCloseTo(30, 0)
  })

  it("caps rates that do not divide", () => {
    expect(admitted(50, 30)).toBeGreaterThan(24)
    expect(admitted(50, 30)).toBeLessThanOrEqual(31)
  })

  it("goes on after a jump of the clock in either direction", () => {
    const pacer = new FramePacer(30)
    expect([0, 33_333, 90_000_000, 90_033_333, 0, 33_333].map((pts) => pacer.admit(pts))).toEqual(Array(6).fill(true))
  })
})

describe("DescriptionTurns", () => {
  it("deals pictures out in turn, each asked about as often as there are descriptions", () => {
    const turns = new DescriptionTurns(2, 30)
    const dealt = Array.from({ length: 8 }, (_, i) => [turns.turn(i * 33_333), turns.turn(i * 33_333)])
    expect(dealt).toEqual([0, 1, 0, 1, 0, 1, 0, 1].map((turn) => [turn, turn]))
  })

  it("gives both their share of a source that is twice too fast", () => {
    const turns = new DescriptionTurns(2, 30)
    const dealt = Array.from({ length: 120 }, (_, i) => turns.turn((i * 1_000_000) / 60))
    expect(dealt.filter((turn) => turn === 0).length).toBeCloseTo(30, -1)
    expect(dealt.filter((turn) => turn === 1).length).toBeCloseTo(30, -1)
  })
})

describe("video settings", () => {
  it("keeps the shape, fits the bounds, makes sides even", () => {
    expect(fitSize(640, 360, 1280, 720)).toEqual({ width: 640, height: 360 })
    expect(fitSize(3840, 2160, 1280, 720)).toEqual({ width: 1280, height: 720 })
    expect(fitSize(1080, 1920, 1280, 720)).toEqual({ width: 720, height: 1280 })
    expect(fitSize(321, 241, 1280, 720)).toEqual({ width: 320, height: 240 })
    expect(fitSize(1, 1, 1280, 720)).toEqual({ width: 2, height: 2 })
  })

  it("asks for two temporal layers in real time", () => {
    expect(videoConfig({ width: 640, height: 360, maxBitrate: 300_000 }, "av01.0.08M.08", 640, 360, 2)).toMatchObject({
      codec: "av01.0.08M.08",
      bitrate: 300_000,
      latencyMode: "realtime",
      scalabilityMode: "L1T2",
    })
    expect(videoConfig({ width: 640, height: 360 }, "av01.0.08M.08", 640, 360, 1)).not.toHaveProperty("scalabilityMode")
  })

  it("gives a size up when its pixels, or the next smaller size, are worth more", () => {
    const camera = { width: 1280, height: 720, maxBitrate: 700_000 }
    expect(leastBitrate(camera, 0.5)).toBe(pictureBitrate({ ...camera, scale: 0.5 }))
    expect(leastBitrate({ width: 640, height: 360, maxBitrate: 4_500_000 }, 0.5)).toBe(138_240)
  })

  it("gives each of two descriptions half of the frames and of the bits", () => {
    const options = { width: 640, height: 360, frameRate: 30, maxBitrate: 500_000, description: { index: 0, count: 2 } }
    expect(videoConfig(options, "vp8", 640, 360, 1)).toMatchObject({ framerate: 15, bitrate: 250_000 })
  })

  it("reads the layer from what the encoder says, if it says anything", () => {
    expect(temporalLayerOf(undefined)).toBe(0)
    expect(temporalLayerOf({})).toBe(0)
    expect(temporalLayerOf(Object.assign({}, { svc: { temporalLayerId: 1 } }))).toBe(1)
  })

  it("names what is missing where there is no encoder", async () => {
    await expect(chooseVideo({ width: 640, height: 360 })).rejects.toMatchObject({
      code: "MediaUnsupported",
      details: { missing: "VideoEncoder" },
    })
  })
})

describe("PublishWorker", () => {
  it("refuses streams without a source, and everything after close", async () => {
    const worker = new PublishWorker()
    await expect(worker.startVideo("s", "nope", { width: 1, height: 1 })).rejects.toMatchObject({ code: "TrackUnknown" })
    expect(worker.stats()).toEqual([])
    worker.close()
    worker.close()
    expect(() => worker.stats()).toThrow(expect.objectContaining({ code: "HandleClosedError" }))
    expect(isAvError(await worker.startAudio("s", "x", {}).catch((e: unknown) => e), "HandleClosedError")).toBe(true)
  })
})
