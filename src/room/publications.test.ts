import { afterEach, beforeEach, describe, expect, it, vi } from "vitest"
import { VIDEO_CODECS, type VideoCodecName } from "../media/video-codecs.ts"
import type { MeshPublish } from "../pipeline/index.ts"
import type { VideoPublishOptions } from "../pipeline/publish/types.ts"
import { AvError } from "../wire/errors.ts"
import { encodeParticipantState } from "../wire/participant-state.ts"
import { Publications } from "./publications.ts"
import { readRemoteTrack } from "./remote-track.ts"

const KEY = "k".repeat(22)
const roomId = new Uint8Array(32).fill(5)

class FakeTrack extends EventTarget {
  readyState = "live"
  enabled = true
  contentHint = ""
  constructor(
    readonly kind: "audio" | "video",
    readonly settings: MediaTrackSettings = { width: 1280, height: 720, frameRate: 30 },
  ) {
    super()
  }
  getSettings() {
    return this.settings
  }
  end() {
    this.readyState = "ended"
    this.dispatchEvent(new Event("ended"))
  }
}

class FakeStream {
  constructor(readonly tracks: FakeTrack[]) {}
  getTracks() {
    return this.tracks
  }
}

const camera = () => new FakeTrack("video")
const screen = () => new FakeTrack("video", { width: 1920, height: 1080, frameRate: 30, displaySurface: "browser" })
const asMedia = (...tracks: FakeTrack[]) => new FakeStream(tracks) as unknown as MediaStream

describe("publications", () => {
  let started: { streamKey: string; options: VideoPublishOptions }[]
  let stopped: string[]
  let meshed: MeshPublish[]
  let shares: string[][]
  let lost: number
  let changes: number
  let slow: VideoCodecName[]
  let msPerFrame: number
  let nonce: number
  let publications: Publications

  beforeEach(() => {
    vi.useFakeTimers()
    vi.stubGlobal("MediaStreamTrack", FakeTrack)
    started = []
    stopped = []
    meshed = []
    shares = []
    lost = 0
    changes = 0
    slow = []
    msPerFrame = 5
    nonce = 0
    publications = new Publications({
      random: (length) => new Uint8Array(length).fill(++nonce),
      ownKeyId: KEY,
      roomId: () => roomId,
      addSource: async () => () => {},
      removeSource: () => {},
      setSourceMuted: async () => {},
      meshPublish: async (stream) => void meshed.push(stream),
      meshUnpublish: () => {},
      startVideo: async (streamKey, _source, options) => {
        const allowed = VIDEO_CODECS.filter(({ name }) => options.codecs?.includes(name) ?? true)
        const chosen = allowed.find(({ name }) => !slow.includes(name)) ?? allowed.at(-1)
        const codec = options.like?.codec ?? chosen?.codec
        if (codec === undefined) throw new AvError("MediaUnsupported", { missing: "VideoEncoder" })
        started.push({ streamKey, options })
        const { scale = 1, frameRate = 30 } = options
        const size = { width: options.width * scale, height: options.height * scale }
        return { codec, ...size, frameRate, bitrate: 700_000, temporalLayers: 2, ...(options.like ? {} : { msPerFrame }) }
      },
      startAudio: async () => ({ codec: "opus", sampleRate: 48_000, channels: 1, bitrate: 32_000, durationMs: 20 }),
      stopStream: (streamKey) => stopped.push(streamKey),
      changed: () => changes++,
      deviceLost: () => lost++,
      shareEnded: (ended) => shares.push(ended.map(({ id }) => id)),
      warn: () => {},
    })
  })
  afterEach(() => {
    publications.closeAll()
    vi.useRealTimers()
    vi.unstubAllGlobals()
  })

  const codecs = () => publications.all.flatMap(({ streams }) => streams.map(({ codec }) => codec.split(".")[0]))
  const labels = () => publications.tracks().map(({ streams }) => streams.map(({ trackLabel }) => trackLabel))

  it("publishes a camera in three sizes of one codec, all but the largest at rest", async () => {
    await publications.publish(asMedia(camera()))
    expect(labels()).toEqual([["cam", "cam~1", "cam~2"]])
    expect(started.map(({ options }) => [options.scale, options.idle, options.like?.codec])).toEqual([
      [1, false, undefined],
      [0.5, true, "av01.0.08M.08"],
      [0.25, true, "av01.0.08M.08"],
    ])
    // The floor of a rung is what the next smaller one is content with.
    expect(meshed.map(({ floor }) => floor)).toEqual([284_288, 115_457, undefined])
    expect(meshed.map(({ idle }) => idle)).toEqual([false, true, true])
  })

  it("announces what a receiver finds in order", async () => {
    await publications.publish(asMedia(camera()))
    const refused: AvError[] = []
    const { streams } = readRemoteTrack(publications.tracks()[0]!, KEY, roomId, (error) => refused.push(error))
    expect(refused).toEqual([])
    expect(streams.map(({ spatial, width, description }) => [spatial, width, description])).toEqual([
      [0, 320, undefined],
      [1, 640, undefined],
      [2, 1280, undefined],
    ])
    // A stream of another track does not become one of this.
    const track = { ...publications.tracks()[0]!, label: "mic" }
    expect(readRemoteTrack(track, KEY, roomId, (error) => refused.push(error)).streams).toEqual([])
    expect(refused.map(({ code }) => code)).toEqual(Array(3).fill("StreamDescriptorMismatch"))
  })

  it("publishes two descriptions of one layer each", async () => {
    await publications.publish(asMedia(camera()), { mode: "descriptions" })
    const [track] = publications.tracks()
    expect(track?.streams.map(({ subStreamPath, codecId }) => [[...subStreamPath], codecId])).toEqual([
      [[0], 3],
      [[1], 3],
    ])
    expect(started.map(({ options }) => [options.description, options.temporalLayers])).toEqual([
      [{ index: 0, count: 2 }, 1],
      [{ index: 1, count: 2 }, 1],
    ])
    expect(readRemoteTrack(track!, KEY, roomId, () => {}).streams.map(({ description }) => description)).toEqual([0, 1])
  })

  it("sets a screen up for text, in one size, unless told otherwise", async () => {
    await publications.publish(asMedia(screen()))
    expect(started[0]!.options).toMatchObject({ contentHint: "text", detail: true, frameRate: 15, width: 1920, height: 1080 })
    expect(started).toHaveLength(1)
    const film = screen()
    film.contentHint = "motion"
    await publications.publish(asMedia(film))
    expect(started[1]!.options).toMatchObject({ contentHint: "motion", detail: false, frameRate: 30 })
    await publications.publish(asMedia(screen()), { contentHint: "detail", frameRate: 24, mode: "layers" })
    expect(started[2]!.options).toMatchObject({ contentHint: "detail", detail: true, frameRate: 24 })
  })

  it("ends a share with one event, its sound as well, and leaves the camera alone", async () => {
    const [picture, sound] = [screen(), new FakeTrack("audio")]
    await publications.publish(asMedia(camera()))
    await publications.publish(asMedia(picture, sound))
    expect(publications.all.map(({ id, source }) => [id, source])).toEqual([
      ["cam", "camera"],
      ["screen", "screen"],
      ["screen-sound", "screen"],
    ])
    sound.end()
    picture.end()
    await vi.advanceTimersByTimeAsync(200)
    expect(shares).toEqual([["screen", "screen-sound"]])
    expect(lost).toBe(0)
    expect(labels()).toEqual([["cam", "cam~1", "cam~2"]])
  })

  it("says of a camera that its device is lost, and keeps the publication", async () => {
    const track = camera()
    await publications.publish(asMedia(track))
    track.end()
    await vi.advanceTimersByTimeAsync(200)
    expect(lost).toBe(1)
    expect(publications.all).toHaveLength(1)
  })

  it("goes over to a codec that everybody shows at once, and back when the last who needed it has left for a while", async () => {
    await publications.publish(asMedia(camera()))
    const before = publications.all[0]!.streams.map(({ streamKey }) => streamKey)
    publications.setAudience([["vp8"]])
    await vi.advanceTimersByTimeAsync(10)
    expect(codecs()).toEqual(["vp8", "vp8", "vp8"])
    // What was watched until now goes on until the receivers have changed over.
    expect(stopped).toEqual([])
    await vi.advanceTimersByTimeAsync(3_000)
    expect(stopped.sort()).toEqual(before.sort())
    publications.setAudience([])
    await vi.advanceTimersByTimeAsync(4_000)
    expect(codecs()).toEqual(["vp8", "vp8", "vp8"])
    await vi.advanceTimersByTimeAsync(2_000)
    expect(codecs()).toEqual(["av01", "av01", "av01"])
  })

  it("makes a second encoding for one who cannot show the others' codec, as long as it is needed", async () => {
    await publications.publish(asMedia(camera()))
    publications.setAudience([undefined, ["vp8"]])
    await vi.advanceTimersByTimeAsync(10)
    expect(codecs()).toEqual(["av01", "av01", "av01", "vp8"])
    expect(started.at(-1)!.options).toMatchObject({ scale: 0.5, idle: true })
    expect(stopped).toEqual([])
    publications.setAudience([undefined])
    await vi.advanceTimersByTimeAsync(10)
    expect(codecs()).toEqual(["av01", "av01", "av01"])
    expect(stopped).toHaveLength(1)
  })

  it("makes none where encoding takes most of the time already", async () => {
    msPerFrame = 20
    await publications.publish(asMedia(camera()))
    publications.setAudience([undefined, ["vp8"]])
    await vi.advanceTimersByTimeAsync(10)
    expect(new Set(codecs())).toEqual(new Set(["vp8"]))
  })

  it("does not try again what turned out too slow", async () => {
    await publications.publish(asMedia(camera()))
    slow = ["av1"]
    await publications.codecTooSlow(publications.all[0]!.streams[0]!.streamKey, "av01.0.08M.08")
    expect(new Set(codecs())).toEqual(new Set(["vp09"]))
    publications.setAudience([["vp8"]])
    await vi.advanceTimersByTimeAsync(10)
    publications.setAudience([undefined])
    await vi.advanceTimersByTimeAsync(6_000)
    expect(new Set(codecs())).toEqual(new Set(["vp09"]))
    expect(started.every(({ options }, index) => index < 3 || !options.codecs?.includes("av1"))).toBe(true)
  })

  it("uses the codecs it is told to and refuses when there is none", async () => {
    await publications.publish(asMedia(camera()), { codecs: ["vp8"], mode: "single" })
    expect(codecs()).toEqual(["vp8"])
    await expect(publications.publish(asMedia(camera()), { codecs: [] })).rejects.toMatchObject({ code: "MediaUnsupported" })
    expect(publications.all).toHaveLength(1)
  })

  it("keeps its state small when there are many tracks", async () => {
    for (let i = 0; i < 12; i++) await publications.publish(asMedia(camera()))
    const sizes = labels().map((streams) => streams.length)
    expect(sizes.slice(0, 3)).toEqual([3, 3, 3])
    expect(new Set(sizes.slice(3))).toEqual(new Set([1]))
    for (let i = 0; i < 4; i++) await publications.publish(asMedia(camera()))
    const state = { version: 2n ** 60n, name: "n".repeat(64), tracks: publications.tracks(), links: [], relay: false }
    expect(encodeParticipantState(state).length).toBeLessThan(16_000)
  })

  it("follows the size of one rung and leaves the stream as it is", async () => {
    await publications.publish(asMedia(camera()))
    const { streamKey, descriptor } = publications.all[0]!.streams[1]!
    const before = changes
    publications.encodingChanged(streamKey, {
      codec: "av01.0.08M.08",
      width: 360,
      height: 640,
      frameRate: 30,
      bitrate: 250_000,
      temporalLayers: 2,
    })
    expect(publications.stream(streamKey)?.descriptor).toEqual({
      ...descriptor,
      width: 360,
      height: 640,
      bitrates: [
        { spatial: 0, temporal: 0, quality: 0, mbps: 0.25 * 0.65 },
        { spatial: 0, temporal: 1, quality: 0, mbps: 0.25 * 0.35 },
      ],
    })
    expect(changes).toBe(before + 1)
  })
})
