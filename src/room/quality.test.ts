/** Scores: what lowers them, how fast they move, and whom a freeze is blamed on. */
import { describe, expect, it } from "vitest"
import {
  assessPicture,
  assessSending,
  assessSound,
  type FreezeFacts,
  freezeCause,
  type PictureSample,
  QualityScore,
  type SendSample,
  worstQuality,
} from "./quality.ts"
import type { Quality } from "./types.ts"

const picture = (changes: Partial<PictureSample> = {}): PictureSample => ({
  ms: 1_000,
  frames: 30,
  lostFrames: 0,
  lateFrames: 0,
  skippedFrames: 0,
  shownFrames: 30,
  expectedFps: 30,
  freezeMs: 0,
  frozenMs: 0,
  cause: "network",
  decodeMs: 5,
  rttMs: 50,
  ...changes,
})

const sending = (changes: Partial<SendSample> = {}): SendSample => ({
  kind: "video",
  askedFps: 30,
  sourceFps: 30,
  encoderLoad: 0.3,
  droppedShare: 0,
  heldBack: 0,
  allowedShare: 1,
  loss: 0,
  queueMs: 5,
  rttMs: 50,
  ...changes,
})

describe("a received picture", () => {
  it("is excellent when all comes in time", () => expect(assessPicture(picture())).toEqual({ score: 5, reason: "none" }))

  it("suffers from loss, lateness and freezes, and the network is named", () => {
    expect(assessPicture(picture({ frames: 28, lostFrames: 2 }))).toMatchObject({ reason: "network" })
    expect(assessPicture(picture({ lateFrames: 10 })).reason).toBe("network")
    const frozen = assessPicture(picture({ freezeMs: 400 }))
    expect(frozen.reason).toBe("network")
    expect(frozen.score).toBeLessThanOrEqual(2)
  })

  it("is bad after a second without motion and dead after three", () => {
    expect(assessPicture(picture({ frozenMs: 1_500 }))).toEqual({ score: 1, reason: "network" })
    expect(assessPicture(picture({ frozenMs: 3_500, cause: "source" }))).toEqual({ score: 0, reason: "source" })
  })

  it("names this machine when frames come and are not shown, and the camera when it gives few", () => {
    expect(assessPicture(picture({ skippedFrames: 12, shownFrames: 18 })).reason).toBe("cpu")
    expect(assessPicture(picture({ decodeMs: 120, shownFrames: 20 })).reason).toBe("cpu")
    expect(assessPicture(picture({ frames: 8, shownFrames: 8 })).reason).toBe("source")
  })

  it("does not call a screen slow that promises no pace", () => {
    expect(assessPicture(picture({ frames: 1, shownFrames: 1, expectedFps: undefined })).score).toBe(5)
  })

  it("gets no better by more loss", () => {
    let before = 5
    for (let lostFrames = 0; lostFrames <= 30; lostFrames++) {
      const { score } = assessPicture(picture({ frames: 30 - lostFrames, lostFrames, shownFrames: 30 - lostFrames }))
      expect(score).toBeLessThanOrEqual(before)
      before = score
    }
    expect(before).toBe(1)
  })
})

describe("received sound", () => {
  const sound = { ms: 1_000, frames: 50, silentMs: 0, concealedMs: 0, bufferMs: 60, rttMs: 50 }
  it("is judged by what had to be made up", () => {
    expect(assessSound(sound)).toEqual({ score: 5, reason: "none" })
    expect(assessSound({ ...sound, concealedMs: 30 }).score).toBe(4)
    expect(assessSound({ ...sound, concealedMs: 100 }).score).toBeLessThan(3)
    expect(assessSound({ ...sound, frames: 0, silentMs: 5_000 }).score).toBe(0)
  })
})

describe("a stream that is sent", () => {
  it("tells network, encoder and camera apart", () => {
    expect(assessSending(sending())).toEqual({ score: 5, reason: "none" })
    expect(assessSending(sending({ allowedShare: 0.2 })).reason).toBe("network")
    expect(assessSending(sending({ heldBack: 2 })).reason).toBe("cpu")
    expect(assessSending(sending({ sourceFps: 10 })).reason).toBe("source")
    expect(assessSending(sending({ kind: "audio", askedFps: undefined, sourceFps: 50, heldBack: 3 })).score).toBe(5)
  })
})

describe("who is to blame for a freeze", () => {
  const facts: FreezeFacts = {
    hidden: false,
    capturedShare: 0.95,
    lostFrames: 0,
    arrived: 20,
    decodeMs: 4,
    intervalMs: 33,
    othersArrive: true,
  }
  it("the source, when as much time passed at the camera and nothing is missing", () => expect(freezeCause(facts)).toBe("source"))
  it("the network, when frames are missing or only came late", () => {
    expect(freezeCause({ ...facts, lostFrames: 3 })).toBe("network")
    expect(freezeCause({ ...facts, capturedShare: 0.1 })).toBe("network")
  })
  it("this machine, when decoding takes longer than there is time", () =>
    expect(freezeCause({ ...facts, capturedShare: 0.1, decodeMs: 90 })).toBe("cpu"))
  it("nobody, while the page was hidden", () => expect(freezeCause({ ...facts, hidden: true, lostFrames: 9 })).toBe("hidden"))
  it("while it lasts: the source when the sound goes on, the network when all is silent", () => {
    const open = { ...facts, capturedShare: undefined, arrived: 0 }
    expect(freezeCause(open)).toBe("source")
    expect(freezeCause({ ...open, othersArrive: false })).toBe("network")
    expect(freezeCause({ ...open, othersArrive: undefined })).toBe("network")
    expect(freezeCause({ ...open, arrived: 20 })).toBe("cpu")
  })
})

describe("QualityScore", () => {
  it("falls within two looks and needs several seconds to rise", () => {
    const score = new QualityScore()
    let now = 0
    const look = (value: number, reason: Quality["reason"] = "none") => {
      now += 1_000
      return score.add({ score: value, reason }, now)
    }
    for (let n = 0; n < 5; n++) look(5)
    look(1, "network")
    expect(look(1, "network")).toMatchObject({ level: "poor", reason: "network" })
    const low = score.value?.score ?? 0
    expect(look(5).score).toBe(low)
    expect(look(5).score).toBe(low)
    let looks = 2
    while (look(5).level !== "good") looks++
    expect(looks).toBeGreaterThan(3)
    expect(looks).toBeLessThan(10)
    expect(score.value?.reason).toBe("network")
    for (let n = 0; n < 6; n++) look(5)
    expect(score.value).toEqual({ score: 5, level: "good", reason: "none" })
  })

  it("does not flicker between two levels on the border", () => {
    const score = new QualityScore()
    const levels = new Set<string>()
    for (let n = 0; n < 40; n++) {
      const { level } = score.add({ score: n % 2 === 0 ? 3.55 : 3.7, reason: "network" }, n * 1_000)
      if (n > 2) levels.add(level)
    }
    expect(levels.size).toBe(1)
  })

  it("stays within 0 and 5 for any verdicts", () => {
    const score = new QualityScore()
    for (let n = 0; n < 2_000; n++) {
      const { score: value } = score.add({ score: (n * 7919) % 6, reason: "cpu" }, n * ((n % 5) + 1) * 100)
      expect(value).toBeGreaterThanOrEqual(0)
      expect(value).toBeLessThanOrEqual(5)
    }
  })
})

it("the worst of several counts, and nothing of nothing", () => {
  const of = (score: number): Quality => ({ score, level: "good", reason: "none" })
  expect(worstQuality([undefined, of(4), of(2), of(3)])?.score).toBe(2)
  expect(worstQuality([undefined])).toBeUndefined()
})
