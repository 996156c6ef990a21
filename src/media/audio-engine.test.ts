import { afterEach, beforeEach, expect, it, vi } from "vitest"
import { AudioEngine } from "./audio-engine.ts"

/** What the engine asks of a context; its output is known only after a while, as in browsers. */
class FakeContext extends EventTarget {
  static last: FakeContext
  state = "running"
  baseLatency = 0.01
  outputLatency = 0
  readonly audioWorklet = { addModule: async () => undefined }

  constructor() {
    super()
    FakeContext.last = this
  }

  async close(): Promise<void> {
    this.state = "closed"
  }
}

beforeEach(() => {
  vi.useFakeTimers()
  vi.stubGlobal("AudioContext", FakeContext)
  vi.stubGlobal("AudioWorkletNode", class {})
  vi.stubGlobal("document", new EventTarget())
  vi.stubGlobal("window", new EventTarget())
})
afterEach(() => {
  vi.unstubAllGlobals()
  vi.useRealTimers()
})

it("tells how long sound takes to the ear again when it changes, until it is closed", async () => {
  const engine = await AudioEngine.create({ workletUrl: "worklet.js" })
  const told: number[] = []
  engine.onLatency((ms) => told.push(Math.round(ms)))
  // The output's 10 ms and the buffer of whatever plays the track.
  expect(told).toEqual([30])
  vi.advanceTimersByTime(3_000)
  expect(told).toEqual([30])
  FakeContext.last.outputLatency = 0.04
  vi.advanceTimersByTime(1_000)
  expect(told).toEqual([30, 70])
  // A headset that says something absurd is believed up to a bound.
  FakeContext.last.outputLatency = 9
  vi.advanceTimersByTime(1_000)
  expect(told).toEqual([30, 70, 300])
  await engine.close()
  FakeContext.last.outputLatency = 0.04
  vi.advanceTimersByTime(5_000)
  expect(told).toEqual([30, 70, 300])
  expect(vi.getTimerCount()).toBe(0)
})
