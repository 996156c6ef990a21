import { describe, expect, it } from "vitest"
import type { PcmBlock } from "../../media/types.ts"
import { BlockCutter, readSound, UnfitSound } from "./track-sound.ts"

interface Piece {
  frames?: number
  channels?: number
  rate?: number
  timestamp: number
  value?: number
}

function piece({ frames = 480, channels = 1, rate = 48_000, timestamp, value = 0.5 }: Piece) {
  let closed = 0
  return {
    sampleRate: rate,
    numberOfChannels: channels,
    numberOfFrames: frames,
    timestamp,
    copyTo(target: Float32Array, { planeIndex }: { planeIndex: number }) {
      target.fill(value + planeIndex)
    },
    close() {
      closed++
    },
    get closed() {
      return closed
    },
  }
}

function cutter() {
  const blocks: PcmBlock[] = []
  const cut = new BlockCutter((block) => blocks.push(block))
  return { blocks, add: (options: Piece) => cut.add(piece(options) as unknown as AudioData) }
}

describe("BlockCutter", () => {
  it("gives blocks of 20 ms out of pieces of any length, in order and without a gap", () => {
    const { blocks, add } = cutter()
    let samples = 0
    for (const frames of [480, 480, 128, 832, 441, 519, 1_920]) {
      add({ frames, timestamp: (samples / 48_000) * 1e6, value: 1 })
      samples += frames
    }
    expect(blocks.map(({ position }) => position)).toEqual([0, 960, 1_920, 2_880, 3_840])
    for (const { channels } of blocks) {
      expect(channels.length).toBe(1)
      expect(channels[0]!.length).toBe(960)
      expect(channels[0]!.every((sample) => sample === 1)).toBe(true)
    }
  })

  it("takes two channels of more, and a second one in the middle of a block", () => {
    const { blocks, add } = cutter()
    add({ timestamp: 0, channels: 6 })
    add({ timestamp: 10_000, channels: 6 })
    add({ timestamp: 20_000 })
    add({ timestamp: 30_000, channels: 2 })
    expect(blocks.map(({ channels }) => channels.length)).toEqual([2, 2])
    const [left, right] = blocks[1]!.channels
    expect([left![0], right![0], left![959], right![959]]).toEqual([0.5, 0.5, 0.5, 1.5])
  })

  it("moves on where the device left sound out, and not for imprecise times or slow drift", () => {
    const { blocks, add } = cutter()
    let at = 0
    for (let i = 0; i < 2_000; i++) {
      // 300 ppm of drift, 8 ms of jitter, and one time that is far off.
      add({ timestamp: at * 1.0003 + (i % 3) * 8_000 + (i === 500 ? 400_000 : 0) })
      at += 10_000
    }
    expect(blocks.length).toBe(1_000)
    expect(blocks.at(-1)!.position).toBe(999 * 960)
    at += 700_000
    for (let i = 0; i < 10; i++) {
      add({ timestamp: at * 1.0003 })
      at += 10_000
    }
    const jump = blocks.at(-1)!.position - 999 * 960
    expect(jump / 48).toBeGreaterThan(700)
    expect(jump / 48).toBeLessThan(900)
  })

  it("goes on counting when the device's clock starts anew", () => {
    const { blocks, add } = cutter()
    for (let i = 0; i < 100; i++) add({ timestamp: 5e9 + i * 10_000 })
    for (let i = 0; i < 100; i++) add({ timestamp: i * 10_000 })
    const positions = blocks.map(({ position }) => position)
    expect(positions).toEqual(Array.from({ length: 100 }, (_, i) => i * 960))
  })

  it("does not take sound at another rate", () => {
    expect(() => cutter().add({ timestamp: 0, rate: 44_100 })).toThrow(UnfitSound)
  })
})

describe("readSound", () => {
  const stream = (pieces: ReturnType<typeof piece>[]) =>
    new ReadableStream({ pull: (to) => (pieces.length > 0 ? to.enqueue(pieces.shift()) : to.close()) })

  it("closes every piece, and ends with the track", async () => {
    const pieces = Array.from({ length: 10 }, (_, i) => piece({ timestamp: i * 10_000 }))
    const blocks: PcmBlock[] = []
    let unfit = 0
    readSound(
      stream([...pieces]) as ReadableStream<AudioData>,
      (block) => blocks.push(block),
      () => unfit++,
    )
    await new Promise((resolve) => setTimeout(resolve, 5))
    expect([blocks.length, unfit]).toEqual([5, 0])
    expect(pieces.every(({ closed }) => closed === 1)).toBe(true)
  })

  it("says once that the sound is unfit, and nothing after a stop", async () => {
    let unfit = 0
    const wrong = Array.from({ length: 5 }, (_, i) => piece({ timestamp: i * 10_000, rate: 16_000 }))
    readSound(
      stream([...wrong]) as ReadableStream<AudioData>,
      () => expect.unreachable(),
      () => unfit++,
    )
    await new Promise((resolve) => setTimeout(resolve, 5))
    expect([unfit, wrong[0]!.closed]).toEqual([1, 1])
    const { stop } = readSound(
      stream([piece({ timestamp: 0, rate: 16_000 })]) as ReadableStream<AudioData>,
      () => expect.unreachable(),
      () => unfit++,
    )
    stop()
    await new Promise((resolve) => setTimeout(resolve, 5))
    expect(unfit).toBe(1)
  })
})
