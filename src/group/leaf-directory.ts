/** Which leaf key belongs to whom: the bindings that were verified, and the long-term keys of the peers behind them. */

import type { CiphersuiteImpl } from "ts-mls/crypto/ciphersuite.js"
import { equalBytes } from "../wire/bytes.ts"
import { AvError, isAvError } from "../wire/errors.ts"
import type { Bytes, Milliseconds, PeerKeyId } from "../wire/types.ts"
import { type BoundLeaf, isBinding, keyIdOf, recordKeyId, verifyKeyPackageRecord, verifyLeafBinding } from "./records.ts"
import type { LeafEvidence, LeafVerdict, PeerKeys } from "./types.ts"

/**
 * Peers that are no members of the group and still remembered. Anybody with the invitation can send keys, so there is an end to it; an entry
 * takes some 6 KB.
 */
export const MAX_STRANGERS = 512
/** Verified leaf keys per peer: the present one and those of packages it may be added by. */
const MAX_LEAVES_PER_PEER = 4

interface Entry {
  keys: PeerKeys
  /** Newest last. */
  leaves: { leafKey: Bytes; binding: Bytes }[]
}

export class LeafDirectory {
  readonly #entries = new Map<PeerKeyId, Entry>()
  readonly #suite: CiphersuiteImpl
  #members: ReadonlyMap<PeerKeyId, Bytes> = new Map()

  constructor(suite: CiphersuiteImpl) {
    this.#suite = suite
  }

  /** Remembers long-term keys; they prove themselves by hashing to the key id. @throws AvError `KeyInvalid` */
  learnKeys(keys: PeerKeys): PeerKeyId {
    const keyId = keyIdOf(keys)
    const known = this.#entries.get(keyId)
    this.#entries.delete(keyId)
    this.#entries.set(keyId, known ?? { keys: { entityId: keys.entityId.slice(), mlDsa65: keys.mlDsa65.slice() }, leaves: [] })
    this.#evict()
    return keyId
  }

  keysOf(keyId: PeerKeyId): PeerKeys | undefined {
    return this.#entries.get(keyId)?.keys
  }

  /** A member and its present leaf key are never forgotten: whoever floods us with records must not make us part from the group. */
  setMembers(members: Iterable<BoundLeaf>): void {
    this.#members = new Map(Array.from(members, ({ keyId, leafKey }) => [keyId, leafKey]))
    this.#evict()
  }

  /** The leaf key of a member of the present epoch. */
  memberKey(keyId: PeerKeyId): Bytes | undefined {
    return this.#members.get(keyId)
  }

  /** Verifies evidence and remembers it when it holds. */
  async learnLeaf(evidence: LeafEvidence, now: Milliseconds): Promise<LeafVerdict> {
    try {
      const claimed = recordKeyId(evidence.binding)
      // The same record comes with every flood: two signatures need not be checked again for it.
      if (this.#entries.get(claimed)?.leaves.some(({ binding }) => equalBytes(binding, evidence.binding))) {
        return { keyId: claimed, verified: true }
      }
      if (keyIdOf(evidence) !== claimed) return { keyId: claimed, verified: false, error: "LeafIdentityUnverified" }
      const leaf = await this.#verify(evidence.binding, evidence, now)
      this.learnKeys(evidence)
      this.#remember(leaf, evidence.binding)
      return { keyId: leaf.keyId, verified: true }
    } catch (error) {
      return {
        keyId: keyIdIn(evidence.binding),
        verified: false,
        error: isAvError(error) ? error.code : "LeafIdentityUnverified",
      }
    }
  }

  /** The same for a record whose owner's keys are known already. */
  async learnRecord(record: Bytes, now: Milliseconds): Promise<LeafVerdict> {
    const keys = this.keysOf(keyIdIn(record))
    if (keys === undefined) return { keyId: keyIdIn(record), verified: false, error: "LeafIdentityUnverified" }
    return this.learnLeaf({ ...keys, binding: record }, now)
  }

  /** Takes a leaf that this process has verified or signed itself. */
  trust(leaf: BoundLeaf, binding: Bytes, keys: PeerKeys): void {
    this.learnKeys(keys)
    this.#remember(leaf, binding)
  }

  isVerified(keyId: PeerKeyId, leafKey: Bytes): boolean {
    return this.bindingOf(keyId, leafKey) !== undefined
  }

  /** Those whose leaf has no verified record. */
  unverified(leaves: readonly BoundLeaf[]): PeerKeyId[] {
    return leaves.filter(({ keyId, leafKey }) => !this.isVerified(keyId, leafKey)).map(({ keyId }) => keyId)
  }

  /** @throws AvError `LeafIdentityUnverified { key_id }` */
  requireVerified(keyId: PeerKeyId, leafKey: Bytes): void {
    if (!this.isVerified(keyId, leafKey)) throw new AvError("LeafIdentityUnverified", { key_id: keyId })
  }

  bindingOf(keyId: PeerKeyId, leafKey: Bytes): Bytes | undefined {
    return this.#entries.get(keyId)?.leaves.find((leaf) => equalBytes(leaf.leafKey, leafKey))?.binding
  }

  /** What convinces others of these leaves; those that are not verified here are left out. */
  evidence(leaves: BoundLeaf[]): LeafEvidence[] {
    return leaves.flatMap(({ keyId, leafKey }) => {
      const keys = this.keysOf(keyId)
      const binding = this.bindingOf(keyId, leafKey)
      return keys === undefined || binding === undefined ? [] : [{ ...keys, binding }]
    })
  }

  async #verify(record: Bytes, keys: PeerKeys, now: Milliseconds): Promise<BoundLeaf> {
    if (!isBinding(record)) return verifyKeyPackageRecord(record, keys, now, this.#suite)
    return verifyLeafBinding(record, keys, now)
  }

  #remember(leaf: BoundLeaf, binding: Bytes): void {
    const entry = this.#entries.get(leaf.keyId)
    if (entry === undefined) return
    const others = entry.leaves.filter((other) => !equalBytes(other.leafKey, leaf.leafKey))
    const present = this.#members.get(leaf.keyId)
    while (others.length >= MAX_LEAVES_PER_PEER) {
      const dropped = others.findIndex(({ leafKey }) => present === undefined || !equalBytes(leafKey, present))
      others.splice(dropped, 1)
    }
    entry.leaves = [...others, { leafKey: leaf.leafKey, binding: binding.slice() }]
  }

  #evict(): void {
    let strangers = this.#entries.size - this.#members.size
    if (strangers <= MAX_STRANGERS) return
    for (const keyId of this.#entries.keys()) {
      if (strangers <= MAX_STRANGERS) return
      if (this.#members.has(keyId)) continue
      this.#entries.delete(keyId)
      strangers--
    }
  }
}

function keyIdIn(record: Bytes): PeerKeyId {
  try {
    return recordKeyId(record)
  } catch {
    return ""
  }
}
