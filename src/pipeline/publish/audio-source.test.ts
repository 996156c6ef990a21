import { afterEach, beforeEach, describe, expect, it, vi } from "vitest"
import type { PcmBlock } from "../../media/types.ts"
import { AudioSource } from "./audio-source.ts"
import type { AudioStream } from "./audio-stream.ts"

beforeEach(() => {
  vi.useFakeTimers({ toFake: ["performance"] })
})
afterEach(() => {
  vi.useRealTimers()
})

function setUp() {
  const port = { onmessage: null as ((event: { data: PcmBlock }) => void) | null, close() {} }
  const told = { muted: 0, speaking: false, blocks: 0 }
  const source = new AudioSource(
    port as unknown as MessagePort,
    (_level, speaking) => {
      told.speaking = speaking
    },
    () => told.muted++,
  )
  const sent: number[] = []
  const input = (_: unknown, ptsUs: number) => {
    told.blocks++
    sent.push(ptsUs)
  }
  source.streams.add({ input, resume() {}, close() {} } as unknown as AudioStream)
  let position = 0
  const hear = (ms: number, amplitude: number, atOnce = false) => {
    for (let t = 0; t < ms; t += 20) {
      if (!atOnce) vi.advanceTimersByTime(20)
      const channels = [Float32Array.from({ length: 960 }, (_, i) => amplitude * Math.sin(i / 8))]
      port.onmessage?.({ data: { type: "pcm", position, channels } })
      position += 960
    }
  }
  /** Blocks that have waited and come together. */
  const late = (blocks: number) => {
    vi.advanceTimersByTime(blocks * 20)
    hear(blocks * 20, 0, true)
  }
  return { source, told, sent, hear, late }
}

describe("AudioSource", () => {
  it("sends nothing while muted, and says once per stretch that somebody talks", () => {
    const { source, told, hear } = setUp()
    hear(400, 0.2)
    expect(told).toEqual({ muted: 0, speaking: true, blocks: 20 })
    source.setMuted(true)
    expect(told.speaking).toBe(false)
    hear(3_000, 0.2)
    expect(told).toEqual({ muted: 1, speaking: false, blocks: 20 })
    hear(2_000, 0)
    hear(3_000, 0.2)
    expect(told.muted).toBe(2)
    source.setMuted(false)
    hear(400, 0.2)
    expect(told).toEqual({ muted: 2, speaking: true, blocks: 40 })
  })

  it("sends nothing while its clock is being set right after a late start, and says that time jumped", () => {
    const { source, sent, hear, late } = setUp()
    // The thread was busy: the first blocks are all there at once, half a second late.
    late(25)
    hear(400, 0)
    expect(sent.length).toBeGreaterThan(15)
    const steps = sent.slice(1).map((pts, i) => pts - sent[i]!)
    for (const step of steps) expect(step).toBeGreaterThan(10_000)
    expect(source.streams.size).toBe(1)
  })

  it("does not mind a cough or the noise of a room", () => {
    const { source, told, hear } = setUp()
    source.setMuted(true)
    for (let i = 0; i < 5; i++) {
      hear(200, 0.3)
      hear(2_000, 0.002)
    }
    expect(told.muted).toBe(0)
  })
})
