/**
 * How many messages of a frame the other end still misses, as far as its NACKs say, and how many it can rebuild from the repair
 * symbols it was sent: only what goes beyond is worth sending again. A relay sees no frames and repeats all it is asked for.
 */

/** Frames remembered: what is asked for is younger than that. */
const MAX_FRAMES = 64

interface Frame {
  /** Repair symbols sent. */
  spare: number
  missing: number
  repeated: number
}

interface Part {
  sealer: object
  frame?: number
  nSource?: number | undefined
  layer: { quality: number }
  lostOn?: number
}

export class FrameNeeds {
  readonly #counted = new WeakSet<object>()
  readonly #streams = new WeakMap<object, Map<number, Frame>>()

  /** A message went out. */
  sent(part: Part): void {
    const frame = this.#frame(part)
    if (frame !== undefined && part.layer.quality > 0 && part.lostOn === undefined) frame.spare += 1
  }

  /**
   * The other end asks for this message, which may have been one that was sent again: `true` when it is needed.
   *
   * @param message tells this sending from others of the same part; a message is asked for more than once
   * @param roomy nothing else is kept waiting: what might turn out to be needed goes as well
   */
  missing(message: object, part: Part, roomy: boolean): boolean {
    const frame = this.#frame(part)
    if (frame === undefined) return true
    if (this.#counted.has(message)) return false
    this.#counted.add(message)
    frame.missing += 1
    // One more than is needed, where there is repair at all: what is sent again may be lost as well.
    if (!roomy && frame.missing - frame.repeated < Math.max(1, frame.spare)) return false
    frame.repeated += 1
    return true
  }

  #frame({ sealer, frame, nSource }: Part): Frame | undefined {
    if (frame === undefined || nSource === undefined) return undefined
    let frames = this.#streams.get(sealer)
    if (frames === undefined) {
      frames = new Map()
      this.#streams.set(sealer, frames)
    }
    let known = frames.get(frame)
    if (known === undefined) {
      known = { spare: 0, missing: 0, repeated: 0 }
      frames.set(frame, known)
      if (frames.size > MAX_FRAMES) frames.delete(frames.keys().next().value!)
    }
    return known
  }
}
