/** The default source of randomness. There is no fallback: if the platform's generator throws, so do we. */
import type { Bytes } from "../wire/types.ts"

/** `getRandomValues` serves at most 65 536 bytes a call. */
const MAX_PER_CALL = 65_536

/** A `RandomBytes` over `crypto.getRandomValues`. */
export function secureRandom(length: number): Bytes {
  const out = new Uint8Array(length)
  for (let at = 0; at < length; at += MAX_PER_CALL)
    globalThis.crypto.getRandomValues(out.subarray(at, Math.min(length, at + MAX_PER_CALL)))
  return out
}
