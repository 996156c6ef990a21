/** Which streams a picture is published as: rungs of several sizes (D-37), several descriptions (D-33), or one stream. */
import { fitSize } from "../pipeline/publish/video-choice.ts"
import type { PublishMode } from "./types.ts"

export interface PlannedStream {
  /** Number of the rung, 0 the smallest. */
  spatial: number
  /** Size in relation to the full picture. */
  scale: number
  description?: { index: number; count: number }
  /** Not encoded before somebody wants it. */
  idle: boolean
  /** Size of the next smaller rung, in relation to the full picture; absent for the smallest. */
  below?: number
}

/** A rung with a shorter side than this shows nothing that the eye could use, in pixels. */
const LEAST_SIDE = 160
const MAX_RUNGS = 3
/** Descriptions are two (D-33): more cost more keyframes than they save. */
const DESCRIPTIONS = 2

/**
 * The streams of a picture; the first is the one that is tried out, in full size. Rungs are half as large as the one above, each
 * way.
 *
 * @param size of the source; larger ones are encoded at `bounds`
 */
export function planStreams(
  mode: PublishMode,
  size: { width: number; height: number },
  bounds: { width: number; height: number },
): PlannedStream[] {
  if (mode === "descriptions") {
    return Array.from({ length: DESCRIPTIONS }, (_, index) => ({
      spatial: 0,
      scale: 1,
      description: { index, count: DESCRIPTIONS },
      idle: false,
    }))
  }
  const { width, height } = fitSize(size.width, size.height, bounds.width, bounds.height)
  const side = Math.min(width, height)
  let rungs = 1
  while (mode === "layers" && rungs < MAX_RUNGS && side / 2 ** rungs >= LEAST_SIDE) rungs++
  return Array.from({ length: rungs }, (_, down) => {
    const scale = 1 / 2 ** down
    const below = down < rungs - 1 ? { below: scale / 2 } : {}
    return { spatial: rungs - 1 - down, scale, idle: down > 0, ...below }
  })
}
