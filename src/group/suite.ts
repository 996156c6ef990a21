/** The ciphersuite 0x004D as ts-mls wants it, put together from its parts (av-mesh 6.1). */
import { chacha20poly1305 } from "@noble/ciphers/chacha.js"
import { expand, extract } from "@noble/hashes/hkdf.js"
import { hmac } from "@noble/hashes/hmac.js"
import { sha256 } from "@noble/hashes/sha2.js"
import type { CiphersuiteImpl, CiphersuiteName } from "ts-mls/crypto/ciphersuite.js"
import type { Hpke, PrivateKey, PublicKey } from "ts-mls/crypto/hpke.js"
import { ctEqual } from "../crypto/compare.ts"
import { ed25519PublicKey, ed25519Sign, ed25519Verify } from "../crypto/ed25519.ts"
import { xwingDeriveKeyPair, xwingPublicKey } from "../crypto/xwing.ts"
import { AvError } from "../wire/errors.ts"
import type { Bytes, RandomBytes } from "../wire/types.ts"
import { hpkeOpen, hpkeReceiveExport, hpkeSeal, hpkeSendExport } from "./hpke.ts"

/** `MLS_256_XWING_CHACHA20POLY1305_SHA256_Ed25519`. */
export const CIPHERSUITE_ID = 0x004d
/** X-Wing public key: ML-KEM-768 encapsulation key (1184) and X25519 public key (32). */
export const XWING_PUBLIC_KEY_LENGTH = 1216
const XWING_SEED_LENGTH = 32
const EMPTY = new Uint8Array()

/**
 * ts-mls spells suites by name and writes the name's number. Number 77 carries the name of another suite there; only the number reaches the
 * wire, and every algorithm comes from the object below, never from the name.
 */
export const SUITE_NAME: CiphersuiteName = "MLS_128_MLKEM512_AES128GCM_SHA256_Ed25519"

/** ts-mls passes keys through unopened, so a key here is its raw bytes in a box of the expected type. */
interface RawKey {
  type: "public" | "private"
  raw: Bytes
}

function boxPublic(raw: Bytes): PublicKey {
  const box: RawKey = { type: "public", raw }
  return box as unknown as PublicKey
}

function boxPrivate(raw: Bytes): PrivateKey {
  const box: RawKey = { type: "private", raw }
  return box as unknown as PrivateKey
}

function unbox(key: PublicKey | PrivateKey): Bytes {
  return (key as unknown as RawKey).raw
}

function checked(bytes: Bytes, length: number): Bytes {
  if (bytes.length !== length) throw new AvError("KeyInvalid", { length: bytes.length, expected: length })
  return bytes
}

async function deriveKeyPair(ikm: Bytes): Promise<{ privateKey: PrivateKey; publicKey: PublicKey }> {
  const pair = xwingDeriveKeyPair(ikm)
  return { privateKey: boxPrivate(pair.secretKey), publicKey: boxPublic(pair.publicKey) }
}

function makeHpke(random: RandomBytes): Hpke {
  return {
    keyLength: 32,
    nonceLength: 12,
    open: (key, enc, ciphertext, info, aad = EMPTY) => hpkeOpen(unbox(key), enc, info, aad, ciphertext),
    seal: async (key, plaintext, info, aad = EMPTY) => {
      const sealed = await hpkeSeal(unbox(key), info, aad, plaintext)
      return { enc: sealed.enc, ct: sealed.ciphertext }
    },
    importPrivateKey: async (raw) => boxPrivate(checked(raw, XWING_SEED_LENGTH)),
    importPublicKey: async (raw) => boxPublic(checked(raw, XWING_PUBLIC_KEY_LENGTH)),
    exportPublicKey: async (key) => unbox(key),
    exportPrivateKey: async (key) => unbox(key),
    encryptAead: async (key, nonce, aad, plaintext) => chacha20poly1305(key, nonce, aad).encrypt(plaintext),
    decryptAead: async (key, nonce, aad, ciphertext) => chacha20poly1305(key, nonce, aad).decrypt(ciphertext),
    exportSecret: (key, context, length, info) => hpkeSendExport(unbox(key), info, context, length),
    importSecret: (key, context, enc, length, info) => hpkeReceiveExport(unbox(key), enc, info, context, length),
    deriveKeyPair,
    generateKeyPair: async () => {
      const seed = random(XWING_SEED_LENGTH)
      return { privateKey: boxPrivate(seed), publicKey: boxPublic(xwingPublicKey(seed)) }
    },
  }
}

/** Builds the suite; `random` feeds keys, nonces and path secrets. */
export function makeSuite(random: RandomBytes): CiphersuiteImpl {
  return {
    name: SUITE_NAME,
    rng: { randomBytes: random },
    hash: {
      digest: async (data) => sha256(data),
      mac: async (key, data) => hmac(sha256, key, data),
      verifyMac: async (key, mac, data) => ctEqual(hmac(sha256, key, data), mac),
    },
    kdf: {
      size: 32,
      extract: async (salt, ikm) => extract(sha256, ikm, salt),
      expand: async (prk, info, length) => expand(sha256, prk, info, length),
    },
    hpke: makeHpke(random),
    signature: {
      sign: async (seed, message) => ed25519Sign(seed, message),
      verify: async (publicKey, message, signature) => ed25519Verify(publicKey, message, signature),
      keygen: async () => {
        const signKey = random(32)
        return { signKey, publicKey: ed25519PublicKey(signKey) }
      },
    },
  }
}
