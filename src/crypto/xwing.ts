/**
 * X-Wing (draft-connolly-cfrg-xwing-kem-06): ML-KEM-768 and X25519 in one KEM. A secret key is a 32-byte seed.
 * Decapsulation never reports a wrong ciphertext; the secret just differs.
 */
import { sha3_256, shake256 } from "@noble/hashes/sha3.js"
import { bytesToHex, hexToBytes } from "@noble/hashes/utils.js"
import type { Bytes, RandomBytes } from "../wire/types.ts"
import { concat, requireLength, wipe } from "./layout.ts"
import {
  importMlKemSeed,
  ML_KEM_CIPHERTEXT_LENGTH,
  ML_KEM_PUBLIC_LENGTH,
  type MlKemSecret,
  mlKemDecapsulate,
  mlKemEncapsulate,
  mlKemKeygenSync,
} from "./ml-kem.ts"
import { secureRandom } from "./random.ts"
import { x25519PublicKey, x25519Shared } from "./x25519.ts"

const XWING_SEED_LENGTH = 32
const XWING_PUBLIC_LENGTH = ML_KEM_PUBLIC_LENGTH + 32
const XWING_CIPHERTEXT_LENGTH = ML_KEM_CIPHERTEXT_LENGTH + 32

/** The label of the combiner, `\.//^\` in ASCII. */
const COMBINER_LABEL = hexToBytes("5c2e2f2f5e5c")

/** The MLS engine brings the seed back for every open, so expanded keys are kept; each costs a few KB. */
const MAX_CACHED_KEYS = 64

interface ExpandedKey {
  mlKem: Promise<MlKemSecret>
  x25519Secret: Bytes
  x25519Public: Bytes
}

const expandedBySeed = new Map<string, ExpandedKey>()

interface XWingKeyPair {
  /** 1216 bytes. */
  publicKey: Bytes
  /** The 32-byte seed. */
  secretKey: Bytes
}

/** The key pair of a seed (`GenerateKeyPairDerand`). */
export function xwingKeyPairFromSeed(seed: Bytes): XWingKeyPair {
  const { mlKemSeed, x25519Secret } = split(seed)
  const mlKem = mlKemKeygenSync(mlKemSeed)
  const publicKey = concat(mlKem.publicKey, x25519PublicKey(x25519Secret))
  wipe(mlKemSeed, x25519Secret, mlKem.secretKey)
  return { publicKey, secretKey: seed.slice() }
}

export function xwingKeyPair(random: RandomBytes = secureRandom): XWingKeyPair {
  return xwingKeyPairFromSeed(random(XWING_SEED_LENGTH))
}

/** HPKE's `DeriveKeyPair` for this KEM: the seed is SHAKE-256 of the input keying material. */
export function xwingDeriveKeyPair(ikm: Bytes): XWingKeyPair {
  return xwingKeyPairFromSeed(shake256(ikm, { dkLen: XWING_SEED_LENGTH }))
}

/** The public key of a seed. */
export function xwingPublicKey(seed: Bytes): Bytes {
  return xwingKeyPairFromSeed(seed).publicKey
}

/**
 * Encapsulates to a 1216-byte public key; bad keys are `KeyInvalid`. `randomness` (64 bytes: 32 for ML-KEM, 32 for X25519)
 * makes the result deterministic, for known answers only.
 */
export async function xwingEncapsulate(
  publicKey: Bytes,
  randomness?: Bytes,
): Promise<{ ciphertext: Bytes; sharedSecret: Bytes }> {
  requireLength(publicKey, XWING_PUBLIC_LENGTH, "x-wing public")
  if (randomness !== undefined) requireLength(randomness, 64, "x-wing randomness")
  const x25519Peer = publicKey.slice(ML_KEM_PUBLIC_LENGTH)
  const ephemeral = randomness === undefined ? secureRandom(32) : randomness.slice(32)
  const x25519Ciphertext = x25519PublicKey(ephemeral)
  const [mlKem, x25519Secret] = await Promise.all([
    mlKemEncapsulate(publicKey.slice(0, ML_KEM_PUBLIC_LENGTH), randomness?.slice(0, 32)),
    x25519Shared(ephemeral, x25519Peer),
  ])
  const sharedSecret = combine(mlKem.sharedSecret, x25519Secret, x25519Ciphertext, x25519Peer)
  wipe(ephemeral, mlKem.sharedSecret, x25519Secret)
  return { ciphertext: concat(mlKem.ciphertext, x25519Ciphertext), sharedSecret }
}

/** The shared secret of a 1120-byte ciphertext under a seed. Wrong lengths or a small-order point: `KeyInvalid`. */
export async function xwingDecapsulate(seed: Bytes, ciphertext: Bytes): Promise<Bytes> {
  requireLength(ciphertext, XWING_CIPHERTEXT_LENGTH, "x-wing ciphertext")
  const key = expand(seed)
  const x25519Ciphertext = ciphertext.slice(ML_KEM_CIPHERTEXT_LENGTH)
  const [mlKemSecret, x25519Secret] = await Promise.all([
    key.mlKem.then((secret) => mlKemDecapsulate(secret, ciphertext.slice(0, ML_KEM_CIPHERTEXT_LENGTH))),
    x25519Shared(key.x25519Secret, x25519Ciphertext),
  ])
  const sharedSecret = combine(mlKemSecret, x25519Secret, x25519Ciphertext, key.x25519Public)
  wipe(mlKemSecret, x25519Secret)
  return sharedSecret
}

/** Forgets the expanded form of a seed that will not be used again. */
export function xwingForget(seed: Bytes): void {
  const id = bytesToHex(sha3_256(seed))
  wipe(expandedBySeed.get(id)?.x25519Secret)
  expandedBySeed.delete(id)
}

function expand(seed: Bytes): ExpandedKey {
  requireLength(seed, XWING_SEED_LENGTH, "x-wing seed")
  // The cache is keyed by a hash so that the seed itself does not live on as a string.
  const id = bytesToHex(sha3_256(seed))
  const known = expandedBySeed.get(id)
  if (known !== undefined) {
    expandedBySeed.delete(id)
    expandedBySeed.set(id, known)
    return known
  }
  const { mlKemSeed, x25519Secret } = split(seed)
  const key: ExpandedKey = { mlKem: importMlKemSeed(mlKemSeed), x25519Secret, x25519Public: x25519PublicKey(x25519Secret) }
  key.mlKem.then(() => wipe(mlKemSeed)).catch(() => expandedBySeed.delete(id))
  expandedBySeed.set(id, key)
  const oldest = expandedBySeed.keys().next()
  if (expandedBySeed.size > MAX_CACHED_KEYS && !oldest.done) expandedBySeed.delete(oldest.value)
  return key
}

function split(seed: Bytes): { mlKemSeed: Bytes; x25519Secret: Bytes } {
  requireLength(seed, XWING_SEED_LENGTH, "x-wing seed")
  const expanded = shake256(seed, { dkLen: 96 })
  const parts = { mlKemSeed: expanded.slice(0, 64), x25519Secret: expanded.slice(64) }
  wipe(expanded)
  return parts
}

function combine(mlKemSecret: Bytes, x25519Secret: Bytes, x25519Ciphertext: Bytes, x25519Public: Bytes): Bytes {
  return sha3_256(concat(mlKemSecret, x25519Secret, x25519Ciphertext, x25519Public, COMBINER_LABEL))
}
