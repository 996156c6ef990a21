/** Six temporal units of 64 x 36, the left half blue and the right half red: `ffmpeg -f lavfi -i color=c=red:size=64x36`, a blue `drawbox`, `libaom-av1`. */
import { readFileSync } from "node:fs"
import { createRequire } from "node:module"
import { fromBase64 } from "../../wire/bytes.ts"
import type { Bytes } from "../../wire/types.ts"

const UNITS = [
  "EgAKCgAAAAKv8ZtfIAgyMhAAmoAQQQQgEEDBtOXCKkkMLzwWP10J13o/o3LDbzSTwmz8TTTVkRdtlzFbAHE8Ob3A",
  "EgAyEjADgID9+AbQAIIIICggQgCWGA==",
  "EgAyEjAEAQV9+AbQAIIIICggQgCSQA==",
  "EgAyEjAGAgn9+AbQAIIIICggQgCOgA==",
  "EgAyETAIBA59+AbQAIIIICggQgCL",
  "EgAyETAKCBL9+QbQAIIIICggQACK",
]

/** The first is a keyframe, and every later one needs the one before it. */
export function clipUnits(): Bytes[] {
  return UNITS.map((unit) => fromBase64(unit))
}

/** The module's WASM as the worker has it. */
export function av1WasmFile(): Bytes {
  const file = createRequire(import.meta.url).resolve("ogv/dist/ogv-decoder-video-av1-simd-wasm.wasm")
  return new Uint8Array(readFileSync(file))
}
