/** How an identity is kept in the browser: native keys that cannot be exported, or seeds sealed under one that cannot. */
import { aeadOpen, aeadSeal, ed25519PublicKey, ed25519Verify, mlDsaPublicKey, mlDsaVerify, wipe } from "../crypto/index.ts"
import type { Store } from "../store/index.ts"
import { AvError } from "../wire/errors.ts"
import type { Bytes, RandomBytes } from "../wire/types.ts"
import { type IdentitySigner, makeSigner, type PrivateKey, privateEd25519, privateMlDsa } from "./signer.ts"

/** A private key at rest. */
type KeyAtRest = { native: CryptoKey } | { nonce: Bytes; sealed: Bytes }

/** What the identity collection holds under {@link IDENTITY_KEY}. */
export interface StoredIdentity {
  version: 1
  entityId: Bytes
  mlDsaPublicKey: Bytes
  ed: KeyAtRest
  pq: KeyAtRest
  /** Non-extractable AES-256-GCM key that seals the seeds where native keys cannot be stored. */
  wrapping: CryptoKey
}

/** One identity per browser profile and origin. */
export const IDENTITY_KEY = "self"

/** Binds a sealed seed to its role, so that the two cannot be exchanged. */
const AAD = {
  ed: new TextEncoder().encode("holomesh identity ed25519"),
  pq: new TextEncoder().encode("holomesh identity ml-dsa-65"),
}

/**
 * Makes a new identity and tries to keep it. When another tab was faster, that tab's identity is the result.
 * Native keys are used only if they come back from the store able to sign.
 */
export async function createStored(store: Store<StoredIdentity>, random: RandomBytes): Promise<StoredIdentity> {
  const edSeed = random(32)
  const pqSeed = random(32)
  const wrapping = await crypto.subtle.generateKey({ name: "AES-GCM", length: 256 }, false, ["encrypt", "decrypt"])
  const shared = { version: 1, entityId: ed25519PublicKey(edSeed), mlDsaPublicKey: mlDsaPublicKey(pqSeed), wrapping } as const
  try {
    const sealedEd = await sealSeed(edSeed, wrapping, AAD.ed, random)
    const sealedPq = await sealSeed(pqSeed, wrapping, AAD.pq, random)
    const ed = nativeOr(await privateEd25519(edSeed), sealedEd)
    const pq = nativeOr(await privateMlDsa(pqSeed), sealedPq)
    const native = await keep(store, { ...shared, ed, pq })
    if (native !== undefined) return native
    // The keys could not be cloned into the store, or came back useless.
    const sealed = await keep(store, { ...shared, ed: sealedEd, pq: sealedPq })
    if (sealed !== undefined) return sealed
    throw new AvError("StoreError", { what: "identity cannot be kept" })
  } finally {
    wipe(edSeed, pqSeed)
  }
}

/** The signer of a stored identity. A record that does not open is `StoreError`. */
export async function openStored(stored: StoredIdentity): Promise<IdentitySigner> {
  const ed = await openKey(stored.ed, stored.wrapping, AAD.ed, privateEd25519)
  const pq = await openKey(stored.pq, stored.wrapping, AAD.pq, privateMlDsa)
  return makeSigner({ publicKey: stored.entityId, privateKey: ed }, { publicKey: stored.mlDsaPublicKey, privateKey: pq })
}

/** True when the identity signs so that its public keys verify it. */
export async function signsCorrectly(stored: StoredIdentity): Promise<boolean> {
  try {
    const message = new TextEncoder().encode("holomesh identity check")
    const { ed, pq } = await (await openStored(stored)).signHybrid(message)
    const bound = new Uint8Array([...message, ...ed])
    return (await ed25519Verify(stored.entityId, message, ed)) && (await mlDsaVerify(stored.mlDsaPublicKey, bound, pq))
  } catch {
    return false
  }
}

/** Stores the record if the place is free; the record that is stored now, or `undefined` when this form cannot be kept. */
async function keep(store: Store<StoredIdentity>, record: StoredIdentity): Promise<StoredIdentity | undefined> {
  let added: boolean
  try {
    added = await store.add(IDENTITY_KEY, record)
  } catch {
    return undefined
  }
  const stored = await store.get(IDENTITY_KEY)
  if (stored !== undefined && (await signsCorrectly(stored))) return stored
  if (added) await store.delete(IDENTITY_KEY)
  return undefined
}

function nativeOr(key: PrivateKey, sealed: KeyAtRest): KeyAtRest {
  return key instanceof Uint8Array ? sealed : { native: key }
}

async function sealSeed(seed: Bytes, wrapping: CryptoKey, aad: Bytes, random: RandomBytes): Promise<KeyAtRest> {
  const nonce = random(12)
  return { nonce, sealed: await aeadSeal(wrapping, nonce, aad, seed) }
}

async function openKey(
  key: KeyAtRest,
  wrapping: CryptoKey,
  aad: Bytes,
  prepare: (seed: Bytes) => Promise<PrivateKey>,
): Promise<PrivateKey> {
  if ("native" in key) return key.native
  const seed = await aeadOpen(wrapping, key.nonce, aad, key.sealed)
  if (seed === null) throw new AvError("StoreError", { what: "identity seed" })
  const prepared = await prepare(seed)
  wipe(seed)
  return prepared
}
