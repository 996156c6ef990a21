/** Signs of life of a session: when a PING is due, what it measured, and how long the peer has been silent. */
import type { Bytes, Milliseconds } from "../wire/types.ts"

/** A routed session has no transport that could fail: this long without a PONG or anything else, and it is over, ms. */
const SILENCE_MS = 10_000
/** A PING follows this long after the last outgoing frame, ms. */
const PING_AFTER_MS = 2_000
/** A tick that comes later than this says that the page was frozen or the machine slept, ms. */
const STOOD_STILL_MS = 3_000
/** `heard` at most this often, ms. */
const HEARD_MS = 250

/** All times are of one clock that does not go back. */
export class SessionPulse {
  #lastSent: Milliseconds
  #tickedAt: Milliseconds
  #lastHeard = Number.NEGATIVE_INFINITY
  #ping: { at: Milliseconds; token: Bytes } | undefined
  #rttMs: Milliseconds | undefined

  constructor(now: Milliseconds) {
    this.#lastSent = now
    this.#tickedAt = now
  }

  /** Round trip of the last PING that was answered, ms. */
  get rttMs(): Milliseconds | undefined {
    return this.#rttMs
  }

  sent(now: Milliseconds): void {
    this.#lastSent = now
  }

  /** Something came. True when others should be told, which is not with every frame. */
  heard(now: Milliseconds): boolean {
    if (now - this.#lastHeard < HEARD_MS) return false
    this.#lastHeard = now
    return true
  }

  pinged(token: Bytes, now: Milliseconds): void {
    this.#ping = { at: now, token }
  }

  /** An answer to another PING than the last says nothing. */
  ponged(token: Bytes, now: Milliseconds): void {
    const ping = this.#ping
    if (ping === undefined || !token.every((byte, index) => byte === ping.token[index])) return
    this.#rttMs = now - ping.at
    this.#ping = undefined
  }

  tick(now: Milliseconds): void {
    // While this page stood still nobody could be heard.
    if (now - this.#tickedAt > STOOD_STILL_MS) this.#lastHeard = Math.max(this.#lastHeard, now - SILENCE_MS / 2)
    this.#tickedAt = now
  }

  isSilent(now: Milliseconds): boolean {
    return now - this.#lastHeard >= SILENCE_MS
  }

  pingDue(now: Milliseconds): boolean {
    return now - this.#lastSent >= PING_AFTER_MS
  }
}
