/** Which copies of an announcement or floor were seen and passed on (control-plane 2.7 step 7, 2.8). */
import { LruMap } from "../identity/index.ts"
import { equalBytes } from "../wire/bytes.ts"
import type { Bytes, Milliseconds } from "../wire/types.ts"
import { MAX_HOPS } from "./announcement.ts"

const MAX_KEYS = 65_536
const RETENTION_MS = 600_000

interface Seen {
  hash: Bytes
  at: Milliseconds
}

/**
 * A copy from the origin itself and a forwarded one count separately: the direct copy pins the origin's key, and an earlier
 * forwarded one must not get in its way.
 */
export class GossipMemory {
  readonly #seen = new LruMap<string, Seen>(MAX_KEYS)
  readonly #forwarded = new LruMap<string, { hop: number; at: Milliseconds }>(MAX_KEYS)

  /** True when this copy was verified before. `hash` is asked for only when something is known under the key. */
  knows(key: string, direct: boolean, hash: () => Bytes, now: Milliseconds): boolean {
    const seen = this.#seen.get(copyKey(key, direct))
    return seen !== undefined && now - seen.at < RETENTION_MS && equalBytes(seen.hash, hash())
  }

  /** Only after the signature was verified: a forged copy must not keep the genuine one out. */
  remember(key: string, direct: boolean, hash: Bytes, now: Milliseconds): void {
    this.#seen.set(copyKey(key, direct), { hash, at: now })
  }

  /** The hop count to pass it on with, undefined when it went out with as few hops already or has come far enough. */
  forwardHop(key: string, hopCount: number, now: Milliseconds): number | undefined {
    const next = hopCount + 1
    if (next >= MAX_HOPS) return undefined
    const before = this.#forwarded.get(key)
    if (before !== undefined && now - before.at < RETENTION_MS && before.hop <= next) return undefined
    this.#forwarded.set(key, { hop: next, at: now })
    return next
  }
}

function copyKey(key: string, direct: boolean): string {
  return direct ? `${key}/direct` : key
}
