/** A voice-like sound as Opus packets, made by the package's own encoder. For tests in Node only. */
import { readFileSync } from "node:fs"
import { createRequire } from "node:module"

const require = createRequire(import.meta.url)
const SAMPLES = 960

interface WasmEncoder {
  ctl(request: number, value: number): number
  encode(pcm: Int16Array): Uint8Array
}
interface WasmPackage {
  Encoder: new (options: { channels: number; sample_rate: number; application: string }) => WasmEncoder
}

/** The module our own loader takes. */
export function opusWasmFile(): Uint8Array<ArrayBuffer> {
  return new Uint8Array(readFileSync(require.resolve("@evan/opus/wasm/simd.wasm")))
}

/** 150 Hz with harmonics and a slow swell, so that SILK and with it FEC are used; 20 ms packets at 24 kbit/s. */
export function voicePackets(count: number, options: { fec: boolean }): Uint8Array<ArrayBuffer>[] {
  const { Encoder }: WasmPackage = require("@evan/opus/wasm/index.js")
  const encoder = new Encoder({ channels: 1, sample_rate: 48_000, application: "voip" })
  const bitrate = 4_002
  const inbandFec = 4_012
  const packetLoss = 4_014
  encoder.ctl(bitrate, 24_000)
  encoder.ctl(inbandFec, options.fec ? 1 : 0)
  encoder.ctl(packetLoss, options.fec ? 20 : 0)
  return Array.from({ length: count }, (_, packet) => {
    const pcm = Int16Array.from({ length: SAMPLES }, (_, i) => {
      const t = (packet * SAMPLES + i) / 48_000
      let sum = 0
      for (let harmonic = 1; harmonic <= 12; harmonic++) sum += Math.sin(2 * Math.PI * 150 * harmonic * t) / harmonic
      return sum * 6_000 * (0.6 + 0.4 * Math.sin(2 * Math.PI * 3 * t))
    })
    return new Uint8Array(encoder.encode(pcm))
  })
}
