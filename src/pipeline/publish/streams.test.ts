import { afterEach, beforeEach, describe, expect, it, vi } from "vitest"
import type { EncodedFrame } from "../../media/types.ts"
import { AudioStream } from "./audio-stream.ts"
import type { PublishEvent } from "./types.ts"
import { videoConfig } from "./video-choice.ts"
import { VideoStream } from "./video-stream.ts"

interface Init {
  output: (chunk: unknown, metadata: unknown) => void
  error: (error: Error) => void
}

/** Encoders that answer at once: two temporal layers for video, sample counting times for audio as the real one has. */
class FakeVideoEncoder {
  static queue = 0
  static failing = false
  static made = 0
  static configs: VideoEncoderConfig[] = []
  state: "configured" | "closed" = "configured"
  #position = 0
  readonly #init: Init
  constructor(init: Init) {
    this.#init = init
    FakeVideoEncoder.made++
  }
  get encodeQueueSize() {
    return FakeVideoEncoder.queue
  }
  configure(config: VideoEncoderConfig) {
    FakeVideoEncoder.configs.push(config)
  }
  encode(frame: { timestamp: number }, { keyFrame }: { keyFrame: boolean }) {
    if (FakeVideoEncoder.failing) {
      this.state = "closed"
      this.#init.error(new Error("EncodingError"))
      return
    }
    if (keyFrame) this.#position = 0
    const temporalLayerId = this.#position++ % 2
    const chunk = { type: keyFrame ? "key" : "delta", timestamp: frame.timestamp, byteLength: 10, copyTo: () => {} }
    this.#init.output(chunk, { svc: { temporalLayerId } })
  }
  close() {
    this.state = "closed"
  }
}

class FakeAudioEncoder {
  static failing = false
  state: "configured" | "closed" = "configured"
  readonly encodeQueueSize = 0
  readonly #init: Init
  #count = 0
  constructor(init: Init) {
    this.#init = init
  }
  configure() {}
  encode() {
    if (FakeAudioEncoder.failing) {
      FakeAudioEncoder.failing = false
      this.state = "closed"
      throw new Error("InvalidStateError")
    }
    const timestamp = this.#count++ * 20_000
    setTimeout(() => this.#init.output({ timestamp, byteLength: 5, copyTo: () => {} }, {}), 1)
  }
  close() {
    this.state = "closed"
  }
}

class FakeAudioData {
  close() {}
}

beforeEach(() => {
  vi.useFakeTimers({ toFake: ["setTimeout", "performance"] })
  vi.stubGlobal("VideoEncoder", FakeVideoEncoder)
  vi.stubGlobal("AudioEncoder", FakeAudioEncoder)
  vi.stubGlobal("AudioData", FakeAudioData)
  FakeVideoEncoder.queue = 0
  FakeVideoEncoder.failing = false
  FakeVideoEncoder.made = 0
  FakeVideoEncoder.configs = []
})
afterEach(() => {
  vi.useRealTimers()
  vi.unstubAllGlobals()
})

interface Sent {
  frameId: number
  frame: EncodedFrame
}

function collector() {
  const sent: Sent[] = []
  const events: PublishEvent[] = []
  const sink = {
    frame: (_key: string, frameId: number, frame: EncodedFrame) => void sent.push({ frameId, frame }),
    event: (event: PublishEvent) => void events.push(event),
  }
  return { sent, events, sink }
}

function videoSetUp() {
  const { sent, events, sink } = collector()
  const options = { width: 640, height: 360, frameRate: 30 }
  const config = videoConfig(options, "av01.0.08M.08", 640, 360, 2)
  const encoding = { codec: config.codec, width: 640, height: 360, frameRate: 30, bitrate: 700_000, temporalLayers: 2 }
  const stream = new VideoStream("v", options, { encoding, config }, sink)
  let now = 0
  /** Feeds frames at 30 per second. */
  const feed = (count: number, width = 640, height = 360) => {
    for (let i = 0; i < count; i++) {
      now += 33.334
      const frame = { timestamp: Math.round(now * 1_000), displayWidth: width, displayHeight: height }
      stream.input(frame as VideoFrame, now)
    }
  }
  const keys = () => sent.flatMap(({ frame }, index) => (frame.keyframe ? [index] : []))
  return { stream, sent, events, feed, keys, now: () => now }
}

describe("VideoStream", () => {
  it("starts with a keyframe, numbers by layer, and marks nothing else", () => {
    const { sent, feed, keys } = videoSetUp()
    feed(10)
    expect(keys()).toEqual([0])
    expect(sent.map(({ frameId }) => frameId)).toEqual([0, 1, 2, 3, 4, 5, 6, 7, 8, 9])
    expect(sent.map(({ frame }) => frame.temporalId)).toEqual([0, 1, 0, 1, 0, 1, 0, 1, 0, 1])
    expect(sent.some(({ frame }) => frame.discontinuity)).toBe(false)
  })

  it("makes at most one keyframe per 500 ms however many are asked for, and forgets none", () => {
    const { stream, sent, feed, keys, now } = videoSetUp()
    for (let i = 0; i < 150; i++) {
      stream.requestKeyframe(now())
      feed(1)
    }
    const times = keys().map((index) => sent[index]!.frame.ptsUs / 1_000)
    for (let i = 1; i < times.length; i++) expect(times[i]! - times[i - 1]!).toBeGreaterThanOrEqual(500)
    expect(times.length).toBeGreaterThanOrEqual(8)
    const before = keys().length
    feed(60)
    expect(keys().length).toBe(before + 1)
    expect(sent.map(({ frameId }) => frameId)).toEqual(sent.map((_, index) => index))
  })

  it("forces a keyframe when the picture changes its size, and says so", () => {
    const { sent, events, feed } = videoSetUp()
    feed(4)
    feed(2, 360, 640)
    expect(sent[4]!.frame.keyframe).toBe(true)
    expect(FakeVideoEncoder.configs.at(-1)).toMatchObject({ width: 360, height: 640 })
    expect(events).toEqual([{ type: "encoding", streamKey: "v", encoding: expect.objectContaining({ width: 360, height: 640 }) }])
  })

  it("leaves pictures out while the network is behind, for half a second at most, and goes on without a keyframe", () => {
    const { stream, sent, feed, now } = videoSetUp()
    feed(4)
    stream.wait(100, now())
    feed(4)
    expect(sent.length).toBe(6)
    stream.wait(60_000, now())
    stream.wait(Number.NaN, now())
    feed(14)
    expect(sent.length).toBe(6)
    feed(2)
    expect(sent.length).toBe(8)
    expect(sent.filter(({ frame }) => frame.keyframe).length).toBe(1)
    expect(stream.stats(now()).droppedFrames).toBe(16)
  })

  it("drops input while the encoder is busy", () => {
    const { stream, sent, feed } = videoSetUp()
    FakeVideoEncoder.queue = 3
    feed(5)
    FakeVideoEncoder.queue = 2
    feed(5)
    expect(sent).toHaveLength(5)
    expect(sent[0]!.frame.keyframe).toBe(true)
    expect(stream.stats(0).droppedFrames).toBe(5)
  })

  it("rests while nobody listens and comes back with a marked keyframe", () => {
    const { stream, sent, feed } = videoSetUp()
    feed(3)
    stream.setActive(false)
    feed(30)
    expect(sent).toHaveLength(3)
    stream.setActive(true)
    feed(2)
    expect(sent[3]!.frame).toMatchObject({ keyframe: true, discontinuity: true })
    expect(sent[4]!.frame.discontinuity).toBeUndefined()
  })

  it("follows the wanted bitrate within its bounds, without fidgeting", () => {
    const { stream, feed } = videoSetUp()
    feed(1)
    for (const bps of [690_000, 300_000, 310_000, Number.NaN, 9_000_000, 1]) stream.setBitrate(bps)
    expect(FakeVideoEncoder.configs.map((config) => config.bitrate)).toEqual([700_000, 300_000, 700_000, 30_000])
  })

  it("makes a new encoder after a failure and gives up after five", () => {
    const { sent, events, feed } = videoSetUp()
    feed(2)
    FakeVideoEncoder.failing = true
    feed(1)
    FakeVideoEncoder.failing = false
    feed(1)
    expect(sent.at(-1)!.frame.keyframe).toBe(true)
    expect(FakeVideoEncoder.made).toBe(2)
    FakeVideoEncoder.failing = true
    feed(10)
    expect(events.map((event) => event.type === "encoder-error" && event.fatal)).toEqual([false, false, false, false, true])
    FakeVideoEncoder.failing = false
    const count = sent.length
    feed(5)
    expect(sent).toHaveLength(count)
  })
})

describe("AudioStream", () => {
  const block = () => [new Float32Array(960)]

  it("gives every packet the time of its own block, also after a pause", async () => {
    const { sent, sink } = collector()
    const stream = new AudioStream("a", { codec: "opus", sampleRate: 48_000, numberOfChannels: 1 }, sink)
    for (const pts of [1_000, 21_000, 41_000]) stream.input(block(), pts)
    await vi.advanceTimersByTimeAsync(5)
    stream.setActive(false)
    stream.input(block(), 61_000)
    stream.setActive(true)
    for (const pts of [5_000_000, 5_020_000]) stream.input(block(), pts)
    await vi.advanceTimersByTimeAsync(5)
    expect(sent.map(({ frame }) => frame.ptsUs)).toEqual([1_000, 21_000, 41_000, 5_000_000, 5_020_000])
    expect(sent.map(({ frameId }) => frameId)).toEqual([0, 1, 2, 3, 4])
    expect(sent.map(({ frame }) => frame.discontinuity)).toEqual([undefined, undefined, undefined, true, undefined])
    expect(sent[0]!.frame).toMatchObject({ keyframe: true, temporalId: 0, durationMs: 20 })
  })

  it("goes on with a new encoder after a failure", async () => {
    const { sent, events, sink } = collector()
    const stream = new AudioStream("a", { codec: "opus", sampleRate: 48_000, numberOfChannels: 2 }, sink)
    stream.input(block(), 0)
    await vi.advanceTimersByTimeAsync(5)
    FakeAudioEncoder.failing = true
    stream.input(block(), 20_000)
    stream.input(block(), 40_000)
    await vi.advanceTimersByTimeAsync(5)
    expect(sent.map(({ frame }) => frame.ptsUs)).toEqual([0, 40_000])
    expect(sent[1]!.frame.discontinuity).toBe(true)
    expect(events).toEqual([expect.objectContaining({ type: "encoder-error", fatal: false })])
  })
})
