/** `av.kp.*` on the server's socket: publishing and fetching key packages (av-mesh 6.6 D-18, room RM-9). */
import { toHex } from "../wire/bytes.ts"
import { isAvError } from "../wire/errors.ts"
import { decodeKeyPackageRecord } from "../wire/key-records.ts"
import type { Bytes, Milliseconds, PeerKeyId } from "../wire/types.ts"
import type { Directory, ShelvedRecord } from "./directory.ts"

const LONGEST_LIFE_MS = 30 * 24 * 3_600_000

/** A record that fits its publisher, and the signature that is still to be checked before it is shelved. */
export interface UncheckedRecord {
  owner: PeerKeyId
  record: ShelvedRecord
  signed: Bytes
  signature: Bytes
}

/**
 * Reads a record that the session of `owner` wants to publish; undefined when it is not one of its own, too large, or outside
 * its time. Only the Ed25519 half can be checked here: the server knows the hash of the ML-DSA key, not the key. Whoever
 * fetches the record checks both halves (D-18 step 3).
 */
export function readForShelf(bytes: Bytes, owner: PeerKeyId, maxBytes: number, now: Milliseconds): UncheckedRecord | undefined {
  if (bytes.length > maxBytes) return undefined
  try {
    const { record, canonical, signature } = decodeKeyPackageRecord(bytes)
    const notBefore = Number(record.notBeforeUnixMs)
    const notAfter = Number(record.notAfterUnixMs)
    if (record.keyId !== owner || notAfter <= now || notAfter - notBefore > LONGEST_LIFE_MS) return undefined
    const ref = toHex(record.keyPackageRef)
    // Copied: the message's buffer is larger than the record and would be kept alive.
    const shelved = { bytes: bytes.slice(), ref, lastResort: record.lastResort, notBefore, notAfter }
    return { owner, record: shelved, signed: canonical, signature: signature.ed }
  } catch (error) {
    if (isAvError(error)) return undefined
    throw error
  }
}

/** What `av.kp.get` is answered with: a record, or the name of the error. */
export function fetchFromShelf(directory: Directory, keyId: PeerKeyId, now: Milliseconds): { record: Bytes } | { error: string } {
  const record = directory.take(keyId, now)
  return record === undefined ? { error: "KeyPackageUnavailable" } : { record }
}
