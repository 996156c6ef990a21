import { afterEach, beforeEach, expect, it, vi } from "vitest"
import { VideoSource } from "./video-source.ts"

class FakePicture {
  static open = 0
  readonly timestamp: number

  constructor(source: number | FakePicture, init?: { timestamp: number }) {
    this.timestamp = init?.timestamp ?? Number(source)
    FakePicture.open++
  }

  close(): void {
    FakePicture.open--
  }
}

beforeEach(() => {
  vi.useFakeTimers()
  vi.stubGlobal("VideoFrame", FakePicture)
  FakePicture.open = 0
})
afterEach(() => {
  vi.unstubAllGlobals()
  vi.useRealTimers()
})

function setUp() {
  const state = { cancelled: false }
  let controller: ReadableStreamDefaultController<VideoFrame> | undefined
  const readable = new ReadableStream<VideoFrame>({
    start(given) {
      controller = given
    },
    cancel() {
      state.cancelled = true
    },
  })
  let time = 0
  const show = async (ms: number) => {
    for (let t = 0; t < ms && !state.cancelled; t += 40) {
      time += 40_000
      controller?.enqueue(new FakePicture(time) as unknown as VideoFrame)
      await vi.advanceTimersByTimeAsync(40)
    }
  }
  return { source: new VideoSource(readable, () => undefined), state, show }
}

it("closes the pictures of a source that goes on, and ends it right after one of them", async () => {
  const { source, state, show } = setUp()
  await show(400)
  // The last one is kept for a keyframe.
  expect(FakePicture.open).toBe(1)
  source.close()
  expect(FakePicture.open).toBe(0)
  await show(480)
  expect([state.cancelled, FakePicture.open]).toEqual([false, 0])
  await vi.advanceTimersByTimeAsync(300)
  // Time alone does not end it.
  expect(state.cancelled).toBe(false)
  await show(40)
  expect([state.cancelled, FakePicture.open]).toEqual([true, 0])
})

it("ends a source that shows nothing new", async () => {
  const { source, state, show } = setUp()
  await show(40)
  source.close()
  await vi.advanceTimersByTimeAsync(2_000)
  expect([state.cancelled, FakePicture.open]).toEqual([true, 0])
})
