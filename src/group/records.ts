/** Signed records about leaves (av-mesh D-18, D-43): making them with the long-term keys, and verifying those of others. */

import type { CiphersuiteImpl } from "ts-mls/crypto/ciphersuite.js"
import type { KeyPackage } from "ts-mls/keyPackage.js"
import { makeKeyPackageRef } from "ts-mls/keyPackage.js"
import { ctEqual } from "../crypto/compare.ts"
import { sha256 } from "../crypto/hash.ts"
import { type HybridSignature, hybridVerify } from "../crypto/hybrid.ts"
import { peerKeyIdOf, pqHashOf } from "../crypto/ids.ts"
import { welcomeProof } from "../crypto/room-keys.ts"
import { equalBytes } from "../wire/bytes.ts"
import { AvError, type ErrorCode } from "../wire/errors.ts"
import {
  decodeKeyPackageRecord,
  decodeLeafBindingRecord,
  decodeWelcomeEnvelope,
  keyPackageCanonicalBytes,
  leafBindingCanonicalBytes,
  storeRecord,
  storeWelcome,
  welcomeCanonicalBytes,
} from "../wire/key-records.ts"
import type { Bytes, Milliseconds, PeerKeyId, U64 } from "../wire/types.ts"
import { LIFETIME_AFTER_MS, LIFETIME_BEFORE_MS, type OwnKeyPackage, readKeyPackage, requireXWing } from "./key-package.ts"
import { leafKeyId } from "./tree.ts"
import type { PeerKeys } from "./types.ts"

/** The part of an identity these records need: its name and its hybrid signature. */
export interface RecordSigner {
  readonly keyId: PeerKeyId
  signHybrid(message: Bytes): Promise<HybridSignature>
}

/** A leaf key and the peer that signed for it. */
export interface BoundLeaf {
  keyId: PeerKeyId
  leafKey: Bytes
}

interface VerifiedPackage extends BoundLeaf {
  keyPackage: KeyPackage
  ref: Bytes
}

const DAY_MS = 24 * 60 * 60 * 1000
/** No KeyPackage is offered for longer (D-18). */
const MAX_VALIDITY_MS = 30 * DAY_MS
/** A binding has to outlast the call: newcomers check it for as long as its leaf is in the tree. */
const BINDING_AFTER_MS = 29 * DAY_MS

/** The key id of these keys. @throws AvError `KeyInvalid` on wrong lengths. */
export function keyIdOf(keys: PeerKeys): PeerKeyId {
  if (keys.entityId.length !== 32 || keys.mlDsa65.length !== 1952) throw new AvError("KeyInvalid")
  return peerKeyIdOf(keys.entityId, pqHashOf(keys.mlDsa65))
}

/** Stored KeyPackageRecord of an own package. */
export async function makeKeyPackageRecord(
  own: OwnKeyPackage,
  signer: RecordSigner,
  now: Milliseconds,
  options: { lastResort?: boolean; validMs?: Milliseconds } = {},
): Promise<Bytes> {
  const { lastResort = false, validMs = LIFETIME_AFTER_MS } = options
  const canonical = keyPackageCanonicalBytes({
    keyId: signer.keyId,
    lastResort,
    notBeforeUnixMs: unix(now - LIFETIME_BEFORE_MS),
    notAfterUnixMs: unix(now + validMs),
    leafSignaturePublicKey: own.keyPackage.leafNode.signaturePublicKey,
    keyPackageRef: own.ref,
    keyPackage: own.bytes,
  })
  return storeRecord(canonical, await signer.signHybrid(canonical))
}

/** Stored LeafBindingRecord of an own leaf key. */
export async function makeLeafBinding(leafKey: Bytes, signer: RecordSigner, now: Milliseconds): Promise<Bytes> {
  const canonical = leafBindingCanonicalBytes({
    keyId: signer.keyId,
    leafSignaturePublicKey: leafKey,
    notBeforeUnixMs: unix(now - LIFETIME_BEFORE_MS),
    notAfterUnixMs: unix(now + BINDING_AFTER_MS),
  })
  return storeRecord(canonical, await signer.signHybrid(canonical))
}

function unix(ms: Milliseconds): U64 {
  return BigInt(Math.max(0, Math.floor(ms)))
}

/** Both ends belong to the window, as with a certificate's validity. */
function inWindow(notBefore: U64, notAfter: U64, now: Milliseconds): boolean {
  const at = unix(now)
  return notBefore <= at && at <= notAfter
}

async function signedBy(keys: PeerKeys, canonical: Bytes, signature: HybridSignature): Promise<boolean> {
  return hybridVerify({ ed25519: keys.entityId, mlDsa65: keys.mlDsa65 }, canonical, signature)
}

/**
 * D-18.3 in its order: signature, validity, then the package itself.
 *
 * @throws AvError `Malformed`, `KeyPackageSignatureInvalid`, `KeyPackageExpired`, `PeerLacksMlkem`, `KeyPackageMismatch`
 */
export async function verifyKeyPackageRecord(
  stored: Bytes,
  keys: PeerKeys,
  now: Milliseconds,
  suite: CiphersuiteImpl,
): Promise<VerifiedPackage> {
  const { record, canonical, signature } = decodeKeyPackageRecord(stored)
  const refuse = (code: ErrorCode) => new AvError(code, { key_id: record.keyId })
  if (keyIdOf(keys) !== record.keyId || !(await signedBy(keys, canonical, signature))) throw refuse("KeyPackageSignatureInvalid")
  const { notBeforeUnixMs, notAfterUnixMs } = record
  const tooLong = notAfterUnixMs - notBeforeUnixMs > BigInt(MAX_VALIDITY_MS)
  if (tooLong || !inWindow(notBeforeUnixMs, notAfterUnixMs, now)) throw refuse("KeyPackageExpired")
  const keyPackage = readPackage(record.keyPackage, record.keyId)
  requireXWing(keyPackage, record.keyId)
  const { leafNode } = keyPackage
  const ref = await makeKeyPackageRef(keyPackage, suite.hash)
  const matches =
    claims(leafNode, record.keyId) &&
    equalBytes(leafNode.signaturePublicKey, record.leafSignaturePublicKey) &&
    equalBytes(ref, record.keyPackageRef)
  if (!matches) throw refuse("KeyPackageMismatch")
  const seconds = BigInt(Math.floor(now / 1000))
  if (leafNode.leafNodeSource !== "key_package") throw refuse("KeyPackageMismatch")
  const { notBefore, notAfter } = leafNode.lifetime
  if (notBefore > seconds || notAfter < seconds) throw refuse("KeyPackageExpired")
  return { keyId: record.keyId, leafKey: record.leafSignaturePublicKey, keyPackage, ref }
}

function readPackage(bytes: Bytes, keyId: PeerKeyId): KeyPackage {
  try {
    return readKeyPackage(bytes)
  } catch (cause) {
    throw new AvError("KeyPackageMismatch", { key_id: keyId }, { cause })
  }
}

function claims(leaf: Parameters<typeof leafKeyId>[0], keyId: PeerKeyId): boolean {
  try {
    return leafKeyId(leaf) === keyId
  } catch {
    return false
  }
}

/** Verifies a LeafBindingRecord. @throws AvError `LeafIdentityUnverified { key_id }` whatever is wrong with it. */
export async function verifyLeafBinding(stored: Bytes, keys: PeerKeys, now: Milliseconds): Promise<BoundLeaf> {
  let keyId: PeerKeyId = ""
  try {
    const { record, canonical, signature } = decodeLeafBindingRecord(stored)
    keyId = record.keyId
    const valid =
      keyIdOf(keys) === record.keyId &&
      inWindow(record.notBeforeUnixMs, record.notAfterUnixMs, now) &&
      (await signedBy(keys, canonical, signature))
    if (valid) return { keyId, leafKey: record.leafSignaturePublicKey }
  } catch (cause) {
    throw new AvError("LeafIdentityUnverified", { key_id: keyId }, { cause })
  }
  throw new AvError("LeafIdentityUnverified", { key_id: keyId })
}

/** The key id either kind of record names, unverified. @throws AvError `Malformed` */
export function recordKeyId(stored: Bytes): PeerKeyId {
  return isBinding(stored) ? decodeLeafBindingRecord(stored).record.keyId : decodeKeyPackageRecord(stored).record.keyId
}

/** Tells the two kinds of record apart by the first letter after `AVMESH-` in their domain. */
export function isBinding(stored: Bytes): boolean {
  return stored[7] === "L".charCodeAt(0)
}

/** Signs a Welcome over to one newcomer (D-18.5). */
export async function makeWelcomeEnvelope(
  joinerKeyId: PeerKeyId,
  keyPackageRef: Bytes,
  welcome: Bytes,
  signer: RecordSigner,
): Promise<{ envelope: Bytes; envelopeHash: Bytes }> {
  const welcomeHash = await sha256(welcome)
  const canonical = welcomeCanonicalBytes({ inviterKeyId: signer.keyId, joinerKeyId, keyPackageRef, welcomeHash })
  const envelope = storeWelcome(canonical, await signer.signHybrid(canonical), welcome)
  return { envelope, envelopeHash: await sha256(canonical) }
}

/**
 * D-18.6 as rooms have it (D-43 a): the proof makes the inviter known, the signature makes the Welcome its own.
 *
 * @throws AvError `WelcomeMalformed`, `InviterUnknown`, `WelcomeSignatureRejected`, `KeyPackageUnknown`
 */
export async function verifyWelcomeEnvelope(
  stored: Bytes,
  inviter: PeerKeys,
  proof: Bytes,
  inviteKey: Bytes,
  ownKeyId: PeerKeyId,
): Promise<{ inviter: PeerKeyId; keyPackageRef: Bytes; welcome: Bytes }> {
  const { record, canonical, signature, welcome } = decodeWelcomeEnvelope(stored)
  if (keyIdOf(inviter) !== record.inviterKeyId || !ctEqual(proof, welcomeProof(inviteKey, canonical))) {
    throw new AvError("InviterUnknown", { key_id: record.inviterKeyId })
  }
  const intact = equalBytes(await sha256(welcome), record.welcomeHash)
  if (!intact || !(await signedBy(inviter, canonical, signature))) throw new AvError("WelcomeSignatureRejected")
  if (record.joinerKeyId !== ownKeyId) throw new AvError("KeyPackageUnknown", { key_id: record.joinerKeyId })
  return { inviter: record.inviterKeyId, keyPackageRef: record.keyPackageRef, welcome }
}
