/** Whether the first parent of a stream brings what the others bring, so that they may send the base layer alone. */
import type { Milliseconds, PeerKeyId } from "../../wire/types.ts"

/**
 * Where the first parent brings nothing for so long, ms, while another brings so many chunks of the base layer, all are asked for everything at
 * once: that is far sooner than a silent parent is given up, and costs nothing but a few copies if it was only late.
 */
const UNLED_MS = 400
const UNLED_CHUNKS = 4
/** Upper layers come at least this often, ms, where they come at all. */
const UPPER_MS = 1_000
/** When nobody brings upper layers although all were asked for them for so long, ms, there are none for the time being. */
const ALL_ASKED_MS = 3_000
const NONE_MS = 30_000

interface Brought {
  from: PeerKeyId
  base: number
  upper: number
}

export class LeadWatch {
  /** Chunks of the base layer by parent at the time the first parent was last seen to bring one. */
  #led: { keyId: PeerKeyId; at: Milliseconds; base: Map<PeerKeyId, number> } | undefined
  readonly #upper = new Map<PeerKeyId, { count: number; at: Milliseconds }>()
  /** Since when nobody is asked for the base layer alone. */
  #allSince: Milliseconds | undefined
  #noneUntil = Number.NEGATIVE_INFINITY

  /**
   * Call it a few times per second.
   * @param hasUpper the stream has layers above the base that are wanted
   * @param baseOnly somebody is asked for the base layer alone
   */
  isLed(
    primary: PeerKeyId | undefined,
    feeds: readonly Brought[],
    { hasUpper, baseOnly }: { hasUpper: boolean; baseOnly: boolean },
    now: Milliseconds,
  ): boolean {
    if (baseOnly) this.#allSince = undefined
    else this.#allSince ??= now
    this.#noteUpper(feeds, now)
    if (primary === undefined) return false
    return this.#bringsBase(primary, feeds, now) && (!hasUpper || this.#bringsUpper(primary, now))
  }

  #bringsBase(primary: PeerKeyId, feeds: readonly Brought[], now: Milliseconds): boolean {
    const base = new Map(feeds.map(({ from, base: chunks }) => [from, chunks]))
    const before = this.#led
    if (before?.keyId !== primary || base.get(primary) !== before.base.get(primary)) {
      this.#led = { keyId: primary, at: now, base }
      return true
    }
    const most = Math.max(0, ...[...base].map(([keyId, chunks]) => chunks - (before.base.get(keyId) ?? chunks)))
    return now - before.at < UNLED_MS || most < UNLED_CHUNKS
  }

  /** A parent that has just become the first one may still send the base layer alone, or its link has no room for more. */
  #bringsUpper(primary: PeerKeyId, now: Milliseconds): boolean {
    const fresh = ([, { at }]: [PeerKeyId, { at: Milliseconds }]) => now - at < UPPER_MS
    const bringing = [...this.#upper].filter(fresh).map(([keyId]) => keyId)
    if (bringing.length > 0) return bringing.includes(primary)
    if (now < this.#noneUntil) return true
    // Whoever was asked for the base layer alone could not show any other.
    if (this.#allSince === undefined || now - this.#allSince < ALL_ASKED_MS) return false
    this.#noneUntil = now + NONE_MS
    return true
  }

  #noteUpper(feeds: readonly Brought[], now: Milliseconds): void {
    for (const keyId of this.#upper.keys()) if (!feeds.some(({ from }) => from === keyId)) this.#upper.delete(keyId)
    for (const { from, upper } of feeds) {
      const known = this.#upper.get(from)
      if (known === undefined) this.#upper.set(from, { count: upper, at: upper > 0 ? now : Number.NEGATIVE_INFINITY })
      else if (known.count !== upper) this.#upper.set(from, { count: upper, at: now })
    }
  }
}
