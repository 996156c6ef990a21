/** From the rate of links to the bitrate of an encoder (link-lanes LL-12, "To the encoder"). */

/** An encoder is told more at most this often, ms; less at once. */
const RAISE_EVERY_MS = 250
/** Changes below this share are not worth telling. */
const WORTH_TELLING = 0.03
/** Smoothing of the encoded share, per frame. */
const SMOOTHING = 0.05
/** Share of encoded bytes before the first frame: 40 % repair and 213 bytes around 1 000. */
const FIRST_SHARE = 0.6
const USE_TIME_CONSTANT_MS = 1_000
/** Extremes are of frames that say nothing about a bitrate. */
const LEAST_SHARE = 0.1

/** What part of the bytes on the path is encoded media: K/(K+R) less headers, measured over the frames that were sent. */
export class EncodedShare {
  #encoded = FIRST_SHARE
  #path = 1
  #used = 0
  #usedAt = 0

  /**
   * @param path bytes of all messages of the frame, with what lies under them
   * @param now ms
   */
  frame(encoded: number, path: number, now: number): void {
    if (path <= 0) return
    this.#used = this.#fading(now) + path
    this.#usedAt = now
    this.#encoded = this.#encoded * (1 - SMOOTHING) + encoded * SMOOTHING
    this.#path = this.#path * (1 - SMOOTHING) + path * SMOOTHING
  }

  /** What the stream takes on the path of one subscriber, fading over a second; bit/s. */
  pathRate(now: number): number {
    return (8_000 / USE_TIME_CONSTANT_MS) * this.#fading(now)
  }

  get share(): number {
    return Math.min(1, Math.max(LEAST_SHARE, this.#encoded / this.#path))
  }

  #fading(now: number): number {
    return this.#used * Math.exp(-Math.max(0, now - this.#usedAt) / USE_TIME_CONSTANT_MS)
  }
}

/** Says when a new target is to be told. */
export class EncoderTarget {
  #told: number | undefined
  #toldAt = Number.NEGATIVE_INFINITY

  /** The last target told, bit/s. */
  get told(): number | undefined {
    return this.#told
  }

  /** @returns the target to tell now, if any. */
  offer(bps: number, now: number): number | undefined {
    const told = this.#told
    if (told !== undefined) {
      if (Math.abs(bps - told) < WORTH_TELLING * told) return undefined
      if (bps > told && now - this.#toldAt < RAISE_EVERY_MS) return undefined
    }
    this.#told = bps
    this.#toldAt = now
    return bps
  }
}

/** Frames that the share of the base layer is measured over, roughly. */
const BASE_FRAMES = 60
/** Before so many frames of upper layers there are none. */
const UPPER_KNOWN = 5

/** What part of the encoded bytes is in the base layer. Keyframes are left out: they are none of the steady stream. */
export class BaseShare {
  #base = 0
  #all = 0
  #upper = 0

  frame(bytes: number, temporal: number): void {
    const fade = 1 - 1 / BASE_FRAMES
    this.#base = this.#base * fade + (temporal === 0 ? bytes : 0)
    this.#all = this.#all * fade + bytes
    this.#upper = this.#upper * fade + (temporal === 0 ? 0 : 1)
  }

  /** 0..1; 1 while there are no upper layers. */
  get share(): number {
    return this.#upper < UPPER_KNOWN || this.#all === 0 ? 1 : Math.min(1, Math.max(0.1, this.#base / this.#all))
  }
}
