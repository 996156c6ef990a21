import { afterEach, beforeEach, describe, expect, it, vi } from "vitest"
import { SyncGroup } from "../../media/sync-group.ts"
import type { EncodedFrame } from "../../media/types.ts"
import { DecodeQueue } from "./decode-queue.ts"
import { FakeChunk, FakeDecoder, FakePicture, fakeWritable } from "./fake-codecs.ts"
import { KeyframeWish } from "./keyframe-wish.ts"
import { PictureOutput } from "./picture-output.ts"
import type { ReceiveEvent } from "./types.ts"
import { VideoReceiver } from "./video-stream.ts"

const FRAME_US = 33_333

beforeEach(() => {
  vi.useFakeTimers({ toFake: ["setTimeout", "clearTimeout", "performance", "Date"] })
  vi.stubGlobal("VideoDecoder", FakeDecoder)
  vi.stubGlobal("EncodedVideoChunk", FakeChunk)
  FakeDecoder.instances = 0
  FakeDecoder.errors = 0
  FakePicture.open = 0
})
afterEach(() => {
  vi.useRealTimers()
  vi.unstubAllGlobals()
})

/** An L1T2 encoder that makes a keyframe when told, and the way to the receiver. */
function setUp() {
  const written: number[] = []
  const events: ReceiveEvent[] = []
  let wanted = true
  let number = 0
  let base = 0
  let position = 0
  const sink = {
    event: (event: ReceiveEvent) => events.push(event),
    needKeyframe: () => {
      wanted = true
    },
  }
  const options = { group: "p", codec: "av01.0.08M.08", temporalLayers: 2 }
  const group = new SyncGroup()
  const receiver = new VideoReceiver("v", options, new PictureOutput(fakeWritable(written)), group, sink)
  const nowUs = () => Math.round((performance.timeOrigin + performance.now()) * 1_000)
  /** Encodes one frame; `send` delivers it. */
  const next = (garbage = false) => {
    const keyframe = wanted && position % 2 === 0
    if (keyframe) {
      wanted = false
      position = 0
    }
    const frameId = number++
    const temporalId = position++ % 2
    const data = Uint8Array.of(frameId & 255, (temporalId === 0 && keyframe ? frameId : base) & 255, temporalId, garbage ? 1 : 0)
    if (temporalId === 0) base = frameId
    const frame: EncodedFrame = { ptsUs: frameId * FRAME_US, keyframe, temporalId, data: data.buffer }
    const send = () => receiver.receive({ type: "frame", streamKey: "v", frameId, frame, arrivalUs: nowUs() })
    return { frameId, keyframe, temporalId, send }
  }
  const run = async (ms: number) => vi.advanceTimersByTimeAsync(ms)
  return { receiver, written, events, next, run, group, nowUs }
}

/** Two encodings of every second picture each, on their way to one track; `deliver` says which arrive. */
async function twoDescriptions(deliver: (index: number, number: number) => boolean) {
  const written: number[] = []
  const output = new PictureOutput(fakeWritable(written))
  const group = new SyncGroup()
  const sink = { event: () => {}, needKeyframe: () => {} }
  const options = { group: "p", codec: "av01.0.08M.08", temporalLayers: 1 }
  const receivers = [0, 1].map((index) => new VideoReceiver(`v${index}`, options, output, group, sink))
  for (let picture = 0; picture < 120; picture++) {
    const [index, frameId] = [picture % 2, picture >> 1]
    const keyframe = frameId === 0
    const data = Uint8Array.of(frameId, keyframe ? 0 : frameId - 1, 0, 0).buffer
    const frame: EncodedFrame = { ptsUs: picture * FRAME_US, keyframe, temporalId: 0, data }
    const arrivalUs = Math.round((performance.timeOrigin + performance.now()) * 1_000)
    if (deliver(index, frameId)) {
      receivers[index]!.receive({ type: "frame", streamKey: `v${index}`, frameId, frame, arrivalUs })
    }
    await vi.advanceTimersByTimeAsync(33)
  }
  const stats = receivers.map((receiver) => receiver.stats())
  await vi.advanceTimersByTimeAsync(200)
  for (const receiver of receivers) receiver.close()
  return { written, stats }
}

describe("two descriptions of one picture", () => {
  it("together play every picture, in order", async () => {
    const { written, stats } = await twoDescriptions(() => true)
    expect(written).toEqual(Array.from({ length: 120 }, (_, i) => i * FRAME_US))
    expect(stats[0]!.longestGapMs).toBeLessThan(60)
    expect(FakePicture.open).toBe(0)
  })

  it("each alone plays every second picture, evenly", async () => {
    for (const alone of [0, 1]) {
      const { written, stats } = await twoDescriptions((index) => index === alone)
      expect(written).toEqual(Array.from({ length: 60 }, (_, i) => (2 * i + alone) * FRAME_US))
      expect(stats[alone]!.longestGapMs).toBeLessThan(100)
    }
  })

  it("go on at half the rate when one breaks off, without a freeze", async () => {
    const { written, stats } = await twoDescriptions((index, number) => index === 0 || number < 20)
    expect(written.length).toBe(80)
    expect(written).toEqual(written.toSorted((a, b) => a - b))
    expect(stats[0]!.longestGapMs).toBeLessThan(100)
  })
})

describe("VideoReceiver", () => {
  it("shows every frame of a clean stream, evenly", async () => {
    const { receiver, written, events, next, run } = setUp()
    for (let i = 0; i < 60; i++) {
      next().send()
      await run(33)
    }
    await run(200)
    expect(written).toHaveLength(60)
    expect(events).toContainEqual({ type: "started", streamKey: "v" })
    const stats = receiver.stats()
    expect(stats).toMatchObject({
      frames: 60,
      decodedFrames: 60,
      renderedFrames: 60,
      lostFrames: 0,
      skippedFrames: 0,
      decoderErrors: 0,
    })
    expect(stats.keyframeRequests).toBe(0)
    receiver.close()
    expect(FakePicture.open).toBe(0)
  })

  it("never feeds a hole under loss, reordering and doubling, and always comes back", async () => {
    const { receiver, written, next, run } = setUp()
    let seed = 11
    const random = () => {
      seed = (Math.imul(seed, 1_664_525) + 1_013_904_223) >>> 0
      return seed / 2 ** 32
    }
    for (let i = 0; i < 1_500; i++) {
      const frame = next()
      if (random() > 0.08) {
        setTimeout(frame.send, random() * 90)
        if (random() < 0.1) setTimeout(frame.send, 50 + random() * 90)
      }
      await run(33)
    }
    for (let i = 0; i < 90; i++) {
      next().send()
      await run(33)
    }
    await run(300)
    expect(FakeDecoder.errors).toBe(0)
    expect(FakeDecoder.instances).toBe(1)
    expect(written.toSorted((a, b) => a - b)).toEqual(written)
    expect(written.at(-1)).toBe(1_589 * FRAME_US)
    const stats = receiver.stats()
    expect(stats.keyframeRequests).toBeGreaterThan(5)
    expect(stats.renderedFrames).toBeGreaterThan(700)
    receiver.close()
    expect(FakePicture.open).toBe(0)
  })

  it("makes a new decoder after garbage and goes on with a keyframe it asks for", async () => {
    const { receiver, written, events, next, run } = setUp()
    for (let i = 0; i < 40; i++) {
      next(i === 10).send()
      await run(33)
    }
    await run(200)
    expect(FakeDecoder.instances).toBe(2)
    expect(events).toContainEqual(expect.objectContaining({ type: "decoder-error", error: "MediaDecodeFailed", fatal: false }))
    expect(receiver.stats()).toMatchObject({ decoderErrors: 1, keyframeRequests: 1 })
    expect(written.at(-1)).toBe(39 * FRAME_US)
    receiver.close()
  })

  it("gives up on a stream that is nothing but garbage", async () => {
    const { receiver, events, next, run } = setUp()
    for (let i = 0; i < 400; i++) {
      next(true).send()
      await run(33)
    }
    expect(FakeDecoder.instances).toBeLessThanOrEqual(6)
    expect(events.at(-1)).toMatchObject({ type: "decoder-error", fatal: true })
    receiver.close()
    expect(FakePicture.open).toBe(0)
  })

  it("goes on at half the rate without standing still when enhancement frames end, however long it buffers", async () => {
    const { receiver, next, run } = setUp()
    for (let i = 0; i < 120; i++) {
      const frame = next()
      // An uneven path: the buffer grows to about 200 ms.
      const lateMs = (i * 37) % 200
      if (i < 80 || frame.temporalId === 0) setTimeout(() => frame.send(), lateMs)
      await run(33)
      if (i === 79) {
        await run(0)
        expect(receiver.stats().bufferMs).toBeGreaterThan(150)
        receiver.resetGaps()
      }
    }
    expect(receiver.stats().longestGapMs).toBeLessThan(66 + 50)
    receiver.close()
  })

  it("goes slower, and does not stand still, when the sound it keeps step with falls behind", async () => {
    const { receiver, next, run, group, nowUs } = setUp()
    let behindUs = 0
    let played = 0
    for (let i = 0; i < 150; i++) {
      if (i === 75) {
        behindUs = 400_000
        group.forget("sound")
        receiver.resetGaps()
      }
      next().send()
      played = i * FRAME_US
      group.heard("sound", played, nowUs() + behindUs)
      await run(33)
    }
    const { longestGapMs, avOffsetMs = Number.NaN } = receiver.stats()
    expect(longestGapMs).toBeLessThan(100)
    // Two seconds later they are in step again, as far as they ever are.
    expect(Math.abs(avOffsetMs)).toBeLessThan(60)
    receiver.close()
  })

  it("does not count a mute as a gap", async () => {
    const { receiver, next, run } = setUp()
    const play = async () => {
      for (let i = 0; i < 20; i++) {
        next().send()
        await run(33)
      }
    }
    await play()
    await run(200)
    receiver.setMuted(true)
    await run(5_000)
    receiver.setMuted(false)
    await play()
    expect(receiver.stats().longestGapMs).toBeLessThan(300)
    receiver.close()
  })
})

describe("DecodeQueue", () => {
  const frame = (temporalId: number, keyframe = false): EncodedFrame => ({
    ptsUs: 0,
    keyframe,
    temporalId,
    data: new ArrayBuffer(1),
  })

  it("leaves enhancement frames out when it grows, and everything before a keyframe", () => {
    const queue = new DecodeQueue()
    expect(queue.push(Array.from({ length: 31 }, (_, i) => frame(i % 2)))).toBe(true)
    expect(queue.length).toBe(16)
    expect(queue.push([frame(0, true), ...Array.from({ length: 15 }, (_, i) => frame((i + 1) % 2))])).toBe(true)
    expect(queue.shift()?.keyframe).toBe(true)
    expect(queue.skipped).toBe(31)
  })

  it("gives up when even base frames are too many", () => {
    const queue = new DecodeQueue()
    expect(queue.push(Array.from({ length: 61 }, () => frame(0)))).toBe(false)
    expect(queue.length).toBe(0)
  })
})

describe("KeyframeWish", () => {
  it("asks at once, again later and later, and afresh after an answer", () => {
    const wish = new KeyframeWish()
    const asked: number[] = []
    for (let now = 0; now < 10_000; now += 100) if (wish.update(true, now)) asked.push(now)
    expect(asked).toEqual([0, 600, 1_800, 4_200, 8_200])
    wish.answered()
    wish.update(false, 20_000)
    expect(wish.nextMs(20_000)).toBeUndefined()
    expect(wish.update(true, 20_000)).toBe(true)
    expect(wish.nextMs(20_100)).toBe(500)
  })
})
