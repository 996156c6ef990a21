/** How fast this page sends files: so many bits a second in all, and far fewer to those who are only reached through the server. */
import type { Milliseconds } from "../../wire/types.ts"

/** So that a call beside it keeps its room; bit/s. */
const DEFAULT_UPLOAD = 8_000_000
/** What the server forwards for one session is little, and the room's own messages need it too (D48); bit/s. */
const ROUTED = 100_000
/** Of what the person allows this page to send at all. */
const SHARE_OF_UPLINK = 0.25
/** Bytes that may go at once after a pause. */
const BURST = 65_536

export class UploadPace {
  readonly #all = new Bucket()
  readonly #routed = new Bucket()
  #chosen: number | undefined = DEFAULT_UPLOAD
  #uplink: number | undefined

  /** What the application wants, bit/s. */
  set bitrate(bitrate: number | undefined) {
    this.#chosen = bitrate
  }

  /** What the person allows for everything, bit/s. */
  set uplink(bitrate: number | undefined) {
    this.#uplink = bitrate
  }

  /** How long to wait before so many bytes may go; 0 takes them. */
  take(bytes: number, routed: boolean, now: Milliseconds): Milliseconds {
    const chosen = this.#chosen ?? Number.POSITIVE_INFINITY
    const rate = Math.min(chosen, (this.#uplink ?? Number.POSITIVE_INFINITY) * SHARE_OF_UPLINK)
    const waits = [this.#all.wait(bytes, rate, now), routed ? this.#routed.wait(bytes, ROUTED, now) : 0]
    const wait = Math.max(...waits)
    if (wait > 0) return wait
    this.#all.take(bytes)
    if (routed) this.#routed.take(bytes)
    return 0
  }
}

class Bucket {
  #bytes = BURST
  #at: Milliseconds | undefined

  wait(bytes: number, bitrate: number, now: Milliseconds): Milliseconds {
    if (bitrate === Number.POSITIVE_INFINITY) return 0
    const perMs = bitrate / 8_000
    this.#bytes = Math.min(BURST, this.#bytes + (now - (this.#at ?? now)) * perMs)
    this.#at = now
    const missing = Math.min(bytes, BURST) - this.#bytes
    return missing <= 0 ? 0 : missing / perMs
  }

  take(bytes: number): void {
    this.#bytes -= bytes
  }
}
