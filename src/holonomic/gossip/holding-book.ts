/** What other peers say they hold, how far that was checked, and when it stops counting (N6, D10). */
import type { Milliseconds, PeerKeyId } from "../../wire/types.ts"
import type { FountainHoldingClaim } from "../claims/holding.ts"
import type { HoldingVerification, JudgedHolding } from "../retention/rarity.ts"

/** A claim that was not refreshed for this long no longer counts. */
export const HOLDING_LASTS_MS = 600_000
/** A clock may be this much ahead. */
const MAX_AHEAD_MS = 60_000
/** Proof of possession counts for this long. */
const POSSESSION_LASTS_MS = 86_400_000
/** Contents of one peer, and claims of all. */
const MAX_PER_PEER = 4_096
const MAX_CLAIMS = 100_000

type Claim = Pick<FountainHoldingClaim, "peerId" | "contentId" | "symbolIds" | "observedAtUnixMs">

interface Held {
  claim: Claim
  receivedAtMs: Milliseconds
  /** The last answer to a challenge was wrong. */
  caught: boolean
  /** Symbols whose possession was proven, and until when that counts. */
  proven: ReadonlySet<number>
  provenUntilMs: Milliseconds
}

export class HoldingBook {
  readonly #peers = new Map<PeerKeyId, Map<string, Held>>()
  #size = 0

  /** Takes a claim whose signatures are right. False when it is old, from the future, beyond the limits, or older than the one known. */
  take(claim: Claim, nowMs: Milliseconds): boolean {
    const observed = Number(claim.observedAtUnixMs)
    if (observed < nowMs - HOLDING_LASTS_MS || observed > nowMs + MAX_AHEAD_MS) return false
    const contents = this.#peers.get(claim.peerId) ?? new Map<string, Held>()
    const before = contents.get(claim.contentId)
    if (before !== undefined && claim.observedAtUnixMs <= before.claim.observedAtUnixMs) return false
    if (before === undefined && (contents.size >= MAX_PER_PEER || this.#size >= MAX_CLAIMS)) return false
    if (before === undefined) this.#size += 1
    // What was proven of a symbol named in both stays proven.
    const proven = new Set(claim.symbolIds.filter((id) => before?.proven.has(id)))
    const provenUntilMs = before?.provenUntilMs ?? 0
    contents.set(claim.contentId, { claim, receivedAtMs: nowMs, caught: false, proven, provenUntilMs })
    this.#peers.set(claim.peerId, contents)
    return true
  }

  /** A challenge about this claim was answered rightly: every symbol of it counts as held. */
  proved(peerId: PeerKeyId, contentId: string, nowMs: Milliseconds): void {
    const held = this.#peers.get(peerId)?.get(contentId)
    if (held === undefined) return
    held.proven = new Set(held.claim.symbolIds)
    held.provenUntilMs = nowMs + POSSESSION_LASTS_MS
    held.caught = false
  }

  /** A wrong answer: nothing of the claim counts until the peer publishes a new one. */
  caught(peerId: PeerKeyId, contentId: string): void {
    const held = this.#peers.get(peerId)?.get(contentId)
    if (held === undefined) return
    held.caught = true
    held.proven = new Set()
  }

  /** Forgets what was not refreshed. */
  prune(nowMs: Milliseconds): void {
    for (const [peer, contents] of this.#peers) {
      for (const [content, { receivedAtMs, claim }] of contents) {
        const observed = Number(claim.observedAtUnixMs)
        const old = nowMs - receivedAtMs > HOLDING_LASTS_MS || observed < nowMs - HOLDING_LASTS_MS
        if (old || observed > nowMs + MAX_AHEAD_MS) this.#drop(peer, contents, content)
      }
    }
  }

  /** A peer has gone: what it holds is of no use now. */
  forget(peerId: PeerKeyId): void {
    for (const content of this.#peers.get(peerId)?.keys() ?? []) this.#drop(peerId, this.#peers.get(peerId)!, content)
  }

  /** Nothing about this content counts any more (it was revoked). */
  forgetContent(contentId: string): void {
    for (const [peer, contents] of this.#peers) this.#drop(peer, contents, contentId)
  }

  claim(peerId: PeerKeyId, contentId: string): Claim | undefined {
    return this.#peers.get(peerId)?.get(contentId)?.claim
  }

  verification(peerId: PeerKeyId, contentId: string, symbolId: number, nowMs: Milliseconds): HoldingVerification {
    const held = this.#peers.get(peerId)?.get(contentId)
    if (held === undefined || held.caught || !held.claim.symbolIds.includes(symbolId)) return "Unverified"
    return nowMs < held.provenUntilMs && held.proven.has(symbolId) ? "PossessionVerified" : "SignatureOnly"
  }

  /** Symbols whose possession is proven, by peer: what the retention plan counts, and nothing weaker. */
  proven(contentId: string, nowMs: Milliseconds): Map<PeerKeyId, number[]> {
    const found = new Map<PeerKeyId, number[]>()
    for (const [peer, contents] of this.#peers) {
      const held = contents.get(contentId)
      if (held !== undefined && nowMs < held.provenUntilMs && held.proven.size > 0) found.set(peer, [...held.proven])
    }
    return found
  }

  /** Whom to ask for a symbol: whose possession is proven first, who was caught never. */
  sources(contentId: string, nowMs: Milliseconds): { peerId: PeerKeyId; symbolIds: ReadonlySet<number>; proven: boolean }[] {
    const found = []
    for (const [peerId, contents] of this.#peers) {
      const held = contents.get(contentId)
      if (held === undefined || held.caught) continue
      const proven = nowMs < held.provenUntilMs && held.proven.size > 0
      found.push({ peerId, symbolIds: new Set(held.claim.symbolIds), proven })
    }
    return found.sort((a, b) => Number(b.proven) - Number(a.proven))
  }

  /** Claims that still have an unproven symbol: whom to challenge. */
  unproven(nowMs: Milliseconds): Claim[] {
    const found = []
    for (const contents of this.#peers.values()) {
      for (const held of contents.values()) if (isUnproven(held, nowMs)) found.push(held.claim)
    }
    return found
  }

  isUnproven(peerId: PeerKeyId, contentId: string, nowMs: Milliseconds): boolean {
    const held = this.#peers.get(peerId)?.get(contentId)
    return held !== undefined && isUnproven(held, nowMs)
  }

  /** Claims of one content as the reference's rarity counts them. */
  judged(contentId: string, nowMs: Milliseconds): JudgedHolding[] {
    const found: JudgedHolding[] = []
    for (const [peerId, contents] of this.#peers) {
      const held = contents.get(contentId)
      for (const symbolId of held?.claim.symbolIds ?? []) {
        const verification = this.verification(peerId, contentId, symbolId, nowMs)
        found.push({ claim: { peerId, contentId, symbolIds: [symbolId] }, verification })
      }
    }
    return found
  }

  #drop(peer: PeerKeyId, contents: Map<string, Held>, content: string): void {
    if (!contents.delete(content)) return
    this.#size -= 1
    if (contents.size === 0) this.#peers.delete(peer)
  }
}

/** Who was caught is not asked again about the same claim. */
function isUnproven({ claim, caught, proven, provenUntilMs }: Held, nowMs: Milliseconds): boolean {
  if (caught || claim.symbolIds.length === 0) return false
  return nowMs >= provenUntilMs || claim.symbolIds.some((id) => !proven.has(id))
}
