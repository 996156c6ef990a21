/** Membership certificates checked once per certificate instead of once per announcement. */
import { sha256Sync } from "../crypto/index.ts"
import { LruMap, type ProvenMembership, verifyMembershipCert } from "../identity/index.ts"
import { toHex } from "../wire/bytes.ts"
import { isAvError } from "../wire/errors.ts"
import type { Bytes } from "../wire/types.ts"

const MAX_CERTS_KEPT = 4_096

export class CertCache {
  /** By digest of certificate and claimer; null for one that failed. */
  readonly #checked = new LruMap<string, ProvenMembership | null>(MAX_CERTS_KEPT)

  /** What the certificates prove about `claimer`, times not considered, and how many prove nothing. */
  async prove(certs: readonly Bytes[], claimer: Bytes): Promise<{ proven: ProvenMembership[]; ignored: number }> {
    const results = await Promise.all(certs.map((cert) => this.#check(cert, claimer)))
    const proven = results.filter((result) => result !== null)
    return { proven, ignored: results.length - proven.length }
  }

  async #check(cert: Bytes, claimer: Bytes): Promise<ProvenMembership | null> {
    const key = toHex(sha256Sync(cert)) + toHex(claimer)
    const known = this.#checked.get(key)
    if (known !== undefined) return known
    let result: ProvenMembership | null = null
    try {
      result = await verifyMembershipCert(cert, claimer)
    } catch (error) {
      if (!isAvError(error)) throw error
    }
    this.#checked.set(key, result)
    return result
  }
}
