/** The muxing library is the application's: an optional peer dependency, loaded when somebody records. */
import type { Muxer } from "./muxed-writer.ts"

/** Made of it by its script-tag build. */
const GLOBAL = "Mediabunny"

/** @param given the library, when the application has it in hand; false: it is not to be used */
export async function loadMuxer(given: object | false | undefined): Promise<Muxer | undefined> {
  if (given !== undefined) return isMuxer(given) ? given : undefined
  const global: unknown = Reflect.get(globalThis, GLOBAL)
  if (isMuxer(global)) return global
  try {
    const module: unknown = await import("mediabunny")
    return isMuxer(module) ? module : undefined
  } catch {
    // Not installed, or no import map names it.
    return undefined
  }
}

/** What is used of it is there: another major version may have another face. */
function isMuxer(value: unknown): value is Muxer {
  if (typeof value !== "object" || value === null) return false
  const needed: readonly (keyof Muxer)[] = [
    "Output",
    "StreamTarget",
    "WebMOutputFormat",
    "Mp4OutputFormat",
    "CanvasSource",
    "AudioSampleSource",
    "AudioSample",
    "Quality",
    "getFirstEncodableVideoCodec",
    "getFirstEncodableAudioCodec",
  ]
  return needed.every((name) => typeof Reflect.get(value, name) === "function")
}
