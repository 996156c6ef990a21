/** How long an announcement lives, at its origin and at whoever receives it (control-plane 2.6). */
import { clampSkew } from "../identity/index.ts"
import type { Milliseconds } from "../wire/types.ts"
import { type Announcement, MAX_TTL_SECONDS } from "./announcement.ts"

/** Lifetime stamped when nobody re-announces, seconds. */
const TTL_WITHOUT_LOOP_SECONDS = 300
/** An interval of 0 means one second. */
const MIN_INTERVAL_MS = 1_000

/** The re-announce period in effect: `Infinity` switches the loop off, 0 means one second. */
export function effectiveInterval(reannounceMs: Milliseconds): Milliseconds {
  return reannounceMs === 0 ? MIN_INTERVAL_MS : reannounceMs
}

/** The `ttl_s` to stamp: twice the slower of period and throttle, so that one lost round does not make a node vanish. */
export function stampedTtl(reannounceMs: Milliseconds, minAnnounceMs: Milliseconds): number {
  const interval = effectiveInterval(reannounceMs)
  if (interval === Number.POSITIVE_INFINITY) return TTL_WITHOUT_LOOP_SECONDS
  const seconds = Math.floor((2 * Math.max(interval, minAnnounceMs)) / 1000)
  return Math.min(MAX_TTL_SECONDS, Math.max(1, seconds))
}

/**
 * When a received announcement ends, Unix milliseconds, or why it does not begin. The origin's own end bounds it, so that a
 * replayed copy never gets a fresh lease (D11).
 */
export function leaseEnd(
  announcement: Pick<Announcement, "issuedMs" | "ttlSeconds">,
  now: Milliseconds,
  skewSeconds?: number,
): Milliseconds | "FromFuture" | "Expired" {
  const skew = clampSkew(skewSeconds)
  if (announcement.issuedMs > BigInt(Math.trunc(now)) + BigInt(skew * 1000)) return "FromFuture"
  const issued = Number(announcement.issuedMs)
  const end = Math.min(now + announcement.ttlSeconds * 1000, issued + (announcement.ttlSeconds + skew) * 1000)
  return end <= now ? "Expired" : end
}
