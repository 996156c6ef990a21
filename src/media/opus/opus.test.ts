import fc from "fast-check"
import { beforeAll, describe, expect, it } from "vitest"
import { isAvError } from "../../wire/errors.ts"
import { carriesFec, Opus } from "./opus.ts"
import { opusWasmFile, voicePackets } from "./test-voice.ts"

const SAMPLES = 960
let opus: Opus

beforeAll(async () => {
  opus = await Opus.load(opusWasmFile())
})

function rms(plane: Float32Array): number {
  return Math.sqrt(plane.reduce((sum, value) => sum + value * value, 0) / plane.length)
}

/** How much of `actual` is not `wanted`, 0..1 and more. */
function difference(wanted: Float32Array, actual: Float32Array): number {
  return rms(wanted.map((value, i) => value - actual[i]!)) / rms(wanted)
}

describe("OpusDecoder", () => {
  it("decodes what another build of the codec made", () => {
    const decoder = opus.decoder(1)
    const sound = voicePackets(20, { fec: false }).map((packet) => decoder.decode(packet)[0]!)
    expect(sound.every((plane) => plane.length === SAMPLES)).toBe(true)
    expect(rms(sound[15]!)).toBeGreaterThan(0.05)
    decoder.close()
    expect(() => decoder.conceal(SAMPLES)).toThrow(expect.objectContaining({ code: "HandleClosedError" }))
  })

  it("repeats a mono packet on both channels of a stereo decoder", () => {
    const decoder = opus.decoder(2)
    const planes = voicePackets(5, { fec: false }).map((packet) => decoder.decode(packet))
    expect(planes[4]).toHaveLength(2)
    expect(planes[4]![0]).toEqual(planes[4]![1])
    decoder.close()
  })

  it("conceals a lost packet with sound of the same loudness, and fades when nothing comes", () => {
    const decoder = opus.decoder(1)
    const packets = voicePackets(30, { fec: false })
    let before = 0
    for (const packet of packets.slice(0, 20)) before = rms(decoder.decode(packet)[0]!)
    const first = rms(decoder.conceal(SAMPLES)[0]!)
    expect(first).toBeGreaterThan(before * 0.4)
    let last = first
    for (let i = 0; i < 15; i++) last = rms(decoder.conceal(SAMPLES)[0]!)
    expect(last).toBeLessThan(before * 0.1)
    decoder.close()
  })

  it("recovers a lost packet from the next one, nearer to the truth than concealing", () => {
    const packets = voicePackets(40, { fec: true })
    expect(packets.slice(2).some(carriesFec)).toBe(true)
    const whole = opus.decoder(1)
    const truth = packets.map((packet) => whole.decode(packet)[0]!)
    const errors = { recovered: 0, concealed: 0 }
    for (const way of ["recovered", "concealed"] as const) {
      const decoder = opus.decoder(1)
      for (let i = 0; i < packets.length; i++) {
        if (i % 10 !== 7) {
          decoder.decode(packets[i]!)
          continue
        }
        const plane = way === "recovered" ? decoder.recover(packets[i + 1]!, SAMPLES)[0]! : decoder.conceal(SAMPLES)[0]!
        expect(plane).toHaveLength(SAMPLES)
        errors[way] += difference(truth[i]!, plane)
      }
      decoder.close()
    }
    expect(errors.recovered).toBeLessThan(errors.concealed * 0.7)
    whole.close()
  })

  it("sees no FEC where the encoder made none", () => {
    expect(voicePackets(20, { fec: false }).some(carriesFec)).toBe(false)
    expect(carriesFec(new Uint8Array(0))).toBe(false)
  })

  it("answers any bytes with sound or MediaDecodeFailed, and goes on", () => {
    const decoder = opus.decoder(1)
    const good = voicePackets(1, { fec: false })[0]!
    fc.assert(
      fc.property(fc.uint8Array({ maxLength: 300 }), fc.boolean(), (bytes, fec) => {
        carriesFec(bytes)
        try {
          const [plane] = fec ? decoder.recover(bytes, SAMPLES) : decoder.decode(bytes)
          expect(plane!.length).toBeLessThanOrEqual(5_760)
        } catch (error) {
          if (!isAvError(error, "MediaDecodeFailed")) throw error
        }
      }),
      { numRuns: 10_000 },
    )
    expect(() => decoder.decode(new Uint8Array(10_000))).toThrow(expect.objectContaining({ code: "MediaDecodeFailed" }))
    expect(decoder.decode(good)[0]).toHaveLength(SAMPLES)
    decoder.close()
  })

  it("says so where there is no WebAssembly to be had", async () => {
    await expect(Opus.load(Uint8Array.of(1, 2, 3))).rejects.toMatchObject({ code: "MediaUnsupported" })
  })
})
