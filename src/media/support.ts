/** Says what this browser lacks, before anything is started with it. */
import { AvError } from "../wire/errors.ts"

/** @throws AvError `MediaUnsupported` with `missing` when the global of this name is not there */
export function requireFeature(name: "MediaStreamTrackProcessor" | "MediaStreamTrackGenerator", purpose: string): void {
  if (name in globalThis) return
  throw new AvError("MediaUnsupported", { missing: name }, { message: `This browser cannot ${purpose}: it lacks ${name}.` })
}
