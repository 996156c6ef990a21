import { beforeAll, describe, expect, it } from "vitest"
import { Opus, type SoundPlanes } from "../../media/opus/opus.ts"
import { opusWasmFile, voicePackets } from "../../media/opus/test-voice.ts"
import { OpusSoundDecoder, type SoundOrigin } from "./sound-decoder.ts"

let opus: Opus
beforeAll(async () => {
  opus = await Opus.load(opusWasmFile())
})

function setUp() {
  const blocks: { ptsUs: number; planes: SoundPlanes; origin: SoundOrigin; discontinuity: boolean }[] = []
  const garbage: unknown[] = []
  const decoder = new OpusSoundDecoder(opus, 1, {
    sound: (ptsUs, planes, origin, discontinuity) => void blocks.push({ ptsUs, planes, origin, discontinuity }),
    failed: () => {},
    garbage: (cause) => void garbage.push(cause),
  })
  const feed = (packet: Uint8Array, ptsUs: number, extra: { bridge?: boolean; discontinuity?: boolean } = {}) =>
    decoder.decode({ ptsUs, data: packet.slice().buffer, discontinuity: false, bridge: true, ...extra })
  return { blocks, garbage, decoder, feed }
}

describe("OpusSoundDecoder", () => {
  it("leaves no hole: one block for each packet, lost or not, in order", () => {
    const { blocks, decoder, feed } = setUp()
    const lost = new Set([10, 20, 21, 30, 31, 32])
    voicePackets(40, { fec: true }).forEach((packet, i) => {
      // Capture clocks are corrected by a fraction of a percent now and then.
      if (!lost.has(i)) feed(packet, i * 20_000 + (i % 3) * 40)
    })
    expect(blocks).toHaveLength(40)
    blocks.forEach(({ ptsUs, planes }, i) => {
      expect(Math.abs(ptsUs - i * 20_000)).toBeLessThan(200)
      expect(planes[0]!.some((sample) => Math.abs(sample) > 0.01)).toBe(true)
    })
    const origins = (wanted: SoundOrigin) => blocks.flatMap(({ origin }, i) => (origin === wanted ? [i] : []))
    expect(origins("recovered")).toEqual([10, 21, 32])
    expect(origins("concealed")).toEqual([20, 30, 31])
    decoder.close()
  })

  it("makes nothing up for a pause, a long hole, or when nothing plays any more", () => {
    const { blocks, decoder, feed } = setUp()
    const packets = voicePackets(5, { fec: true })
    feed(packets[0]!, 0)
    feed(packets[1]!, 100_000, { discontinuity: true })
    feed(packets[2]!, 200_000, { bridge: false })
    feed(packets[3]!, 5_000_000)
    feed(packets[4]!, 4_000_000)
    expect(blocks.map(({ ptsUs }) => ptsUs)).toEqual([0, 100_000, 200_000, 5_000_000, 4_000_000])
    expect(blocks[1]).toMatchObject({ discontinuity: true, origin: "decoded" })
    decoder.close()
  })

  it("reports garbage and goes on", () => {
    const { blocks, garbage, decoder, feed } = setUp()
    const packets = voicePackets(3, { fec: false })
    feed(packets[0]!, 0)
    feed(new Uint8Array(0), 20_000)
    feed(Uint8Array.of(255, 255, 255), 40_000)
    feed(packets[1]!, 60_000)
    expect(garbage.length).toBeGreaterThanOrEqual(1)
    expect(blocks.at(-1)).toMatchObject({ ptsUs: 60_000, origin: "decoded" })
    decoder.close()
  })
})
