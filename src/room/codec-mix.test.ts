import { describe, expect, it } from "vitest"
import { VIDEO_CODECS, type VideoCodecName } from "../media/video-codecs.ts"
import { chooseMix } from "./codec-mix.ts"

const all = VIDEO_CODECS.map(({ name }) => name)
const only = (...names: VideoCodecName[]) => names

describe("chooseMix", () => {
  it("allows everything while nobody says otherwise", () => {
    expect(chooseMix(all, [], true)).toEqual({ main: all })
    expect(chooseMix(all, [undefined, all], true)).toEqual({ main: all })
  })

  it("takes the best codec that everybody shows", () => {
    expect(chooseMix(all, [only("vp8")], true)).toEqual({ main: ["vp8"] })
    expect(chooseMix(all, [all, only("vp9", "vp8"), only("vp9", "h264")], false)).toEqual({ main: ["vp9"] })
  })

  it("makes a second encoding for a minority where the machine has the time", () => {
    const audience = [all, only("vp8"), undefined]
    expect(chooseMix(all, audience, true)).toEqual({ main: all, second: ["vp8"] })
    expect(chooseMix(all, audience, false)).toEqual({ main: ["vp8"] })
  })

  it("does not leave out a majority for one who shows more", () => {
    expect(chooseMix(all, [only("vp8"), only("vp8"), all], true)).toEqual({ main: ["vp8"] })
  })

  it("keeps to what this machine can encode", () => {
    expect(chooseMix(["vp8", "h264"], [all, only("h264")], true)).toEqual({ main: ["vp8", "h264"], second: ["h264"] })
    expect(chooseMix(["vp8", "h264"], [all, only("h264")], false)).toEqual({ main: ["h264"] })
  })

  it("is not brought down by one who can show nothing at all", () => {
    expect(chooseMix(all, [all, []], false)).toEqual({ main: all })
    expect(chooseMix(["vp8"], [only("av1")], true)).toEqual({ main: ["vp8"] })
  })

  it("finds a way where no codec is common", () => {
    expect(chooseMix(all, [only("av1"), only("vp8")], false)).toEqual({ main: ["av1"], second: ["vp8"] })
  })
})
