/** Manifests that claims name and that are not here yet: asked for, from whoever may have them, until they come. */
import type { Milliseconds, PeerKeyId, RandomBytes } from "../../wire/types.ts"
import { below } from "./possession.ts"

/** Manifests looked for at once; the claims stay, so that others come later. */
const MAX_WANTED = 4_096
const AGAIN_AFTER_MS = 5_000
/** Requests in one look. */
const MAX_AT_ONCE = 16
/** Between two looks. */
const LOOK_MS = 1_000
/** After so many requests a manifest is looked for every minute only. */
const EAGER_TRIES = 6
const LATER_MS = 60_000

interface Wanted {
  /** Who told us of it, asked first. */
  first: PeerKeyId | undefined
  atMs: Milliseconds
  tries: number
}

export class ManifestHunt {
  readonly #random: RandomBytes
  readonly #wanted = new Map<string, Wanted>()
  #lookedMs: Milliseconds = Number.NEGATIVE_INFINITY

  constructor(random: RandomBytes) {
    this.#random = random
  }

  want(hash: string, from: PeerKeyId | undefined, nowMs: Milliseconds): void {
    if (this.#wanted.has(hash) || this.#wanted.size >= MAX_WANTED) return
    this.#wanted.set(hash, { first: from, atMs: nowMs, tries: 0 })
  }

  wants(hash: string): boolean {
    return this.#wanted.has(hash)
  }

  found(hash: string): void {
    this.#wanted.delete(hash)
  }

  /** Whom to ask for what now. */
  next(peers: readonly PeerKeyId[], nowMs: Milliseconds): { peer: PeerKeyId; hash: string }[] {
    const out: { peer: PeerKeyId; hash: string }[] = []
    this.#lookedMs = nowMs
    if (peers.length === 0) return out
    for (const [hash, wanted] of this.#wanted) {
      if (wanted.atMs > nowMs || out.length >= MAX_AT_ONCE) continue
      const first = wanted.tries === 0 && wanted.first !== undefined && peers.includes(wanted.first) ? wanted.first : undefined
      out.push({ hash, peer: first ?? peers[below(this.#random, peers.length)]! })
      wanted.tries += 1
      wanted.atMs = nowMs + (wanted.tries < EAGER_TRIES ? AGAIN_AFTER_MS : LATER_MS)
    }
    return out
  }

  /** What was due and found nobody to ask, or no place among those asked at once, waits for the next look. */
  nextTickMs(): Milliseconds {
    let next = Number.POSITIVE_INFINITY
    for (const { atMs } of this.#wanted.values()) next = Math.min(next, atMs)
    return Math.max(next, this.#lookedMs + LOOK_MS)
  }
}
