/** Short bytes that prove or order something: who holds a symbol, who answers a newcomer, which copy goes first. */
import { sha256Sync } from "../../crypto/hash.ts"
import type { Bytes, PeerKeyId } from "../../wire/types.ts"
import { Preimage } from "../preimage.ts"

/** The answer to a challenge: only who has the bytes of the symbol can give it. @param nonce 32 bytes, new each time */
export function probeDigest(nonce: Bytes, contentId: string, symbolId: number, symbol: Bytes): Bytes {
  const out = new Preimage("possessionProbe").raw(nonce, 32, "nonce").text(contentId).u32(symbolId, "symbol_id")
  return sha256Sync(out.rest(symbol).finish())
}

/** What a newcomer signs to show that it is there now, and speaks to this peer. @param nonce 32 bytes, used once */
export function bootstrapChallengeBytes(nonce: Bytes, challenger: PeerKeyId): Bytes {
  return new Preimage("bootstrapChallenge").raw(nonce, 32, "nonce").text(challenger).finish()
}

/** The order in which superfluous copies of a symbol go: the greatest first. Everybody computes the same. */
export function ejectionRank(contentId: string, symbolId: number, holder: PeerKeyId): Bytes {
  return sha256Sync(new Preimage("ejectionRank").text(contentId).u32(symbolId, "symbol_id").text(holder).finish())
}
