/** A node's wallet of tokens: bounded, and never an authority by itself (control-plane 5.6, D30). */
import { ctEqual } from "../crypto/index.ts"
import { toHex } from "../wire/bytes.ts"
import type { Bytes, U64 } from "../wire/types.ts"
import { authorizes, type PermissionToken, SCOPE, type SignedToken, scopeContains } from "./permission-token.ts"
import { type TokenClock, timeFault, tokenFault } from "./validity.ts"

const MAX_SLOTS = 65_536
export const MAX_TOKENS_PER_SLOT = 32

export class TokenCache {
  /** By subject and channel hash, or subject and `*`. */
  readonly #slots = new Map<string, SignedToken[]>()
  /** Tokens for every channel, by subject; a subject without one is not here. */
  readonly #wildcards = new Map<string, number>()
  readonly #maxSlots: number

  constructor(maxSlots: number = MAX_SLOTS) {
    this.#maxSlots = maxSlots
  }

  get slots(): number {
    return this.#slots.size
  }

  hasWildcard(subject: Bytes): boolean {
    return this.#wildcards.has(toHex(subject))
  }

  /**
   * Keeps a token under its subject, or under another that it is believed to be for; {@link check} looks again. A token of the
   * same issuer and scope is replaced only by one at least as good. False when it was ignored or there was no room.
   */
  insert(signed: SignedToken, subject: Bytes = signed.token.subject): boolean {
    const { token } = signed
    const wildcard = isWildcard(token)
    const key = slotKey(subject, wildcard ? undefined : token.channelHash)
    const slot = this.#slots.get(key)
    if (slot === undefined) {
      if (this.#slots.size >= this.#maxSlots) return false
      this.#slots.set(key, [signed])
    } else {
      const same = slot.findIndex((known) => isSameGrant(known.token, token))
      if (same >= 0) {
        if (!isAtLeast(token, (slot[same] as SignedToken).token)) return false
        slot[same] = signed
        return true
      }
      if (slot.length >= MAX_TOKENS_PER_SLOT) return false
      slot.push(signed)
    }
    if (wildcard) this.#countWildcard(subject, 1)
    return true
  }

  /** A token of this subject that permits the action now; its signature was the business of whoever inserted it. */
  find(subject: Bytes, action: number, channelHash: U64, clock: TokenClock): SignedToken | undefined {
    const exact = this.#slots.get(slotKey(subject, channelHash)) ?? []
    const all = this.hasWildcard(subject) ? [...exact, ...(this.#slots.get(slotKey(subject, undefined)) ?? [])] : exact
    return all.find(({ token }) => {
      if (!ctEqual(token.subject, subject)) return false
      return tokenFault(token, clock) === undefined && authorizes(token, action, channelHash)
    })
  }

  check(subject: Bytes, action: number, channelHash: U64, clock: TokenClock): boolean {
    return this.find(subject, action, channelHash, clock) !== undefined
  }

  /** Drops what is over, with the same tolerance as every check. How many went. */
  evictExpired(clock: Pick<TokenClock, "now" | "skewSeconds">): number {
    let evicted = 0
    for (const [key, slot] of [...this.#slots]) {
      const kept = slot.filter(({ token }) => timeFault(token, clock) !== "Expired")
      if (kept.length === slot.length) continue
      evicted += slot.length - kept.length
      if (key.endsWith("*")) this.#countWildcard(key.slice(0, 64), kept.length - slot.length)
      if (kept.length === 0) this.#slots.delete(key)
      else this.#slots.set(key, kept)
    }
    return evicted
  }

  #countWildcard(subject: Bytes | string, change: number): void {
    const key = typeof subject === "string" ? subject : toHex(subject)
    const count = (this.#wildcards.get(key) ?? 0) + change
    if (count > 0) this.#wildcards.set(key, count)
    else this.#wildcards.delete(key)
  }
}

function slotKey(subject: Bytes, channelHash: U64 | undefined): string {
  return `${toHex(subject)}/${channelHash === undefined ? "*" : channelHash.toString()}`
}

function isWildcard(token: PermissionToken): boolean {
  return scopeContains(token.scope, SCOPE.WILDCARD)
}

function isSameGrant(a: PermissionToken, b: PermissionToken): boolean {
  return a.scope === b.scope && ctEqual(a.issuer, b.issuer)
}

function isAtLeast(a: PermissionToken, b: PermissionToken): boolean {
  return a.generation !== b.generation ? a.generation > b.generation : a.notAfter >= b.notAfter
}
