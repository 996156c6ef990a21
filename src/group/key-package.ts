/** KeyPackages of suite 0x004D: minting one, reading one, and the group a single member starts with. */
import type { CiphersuiteImpl } from "ts-mls/crypto/ciphersuite.js"
import { deriveSecret } from "ts-mls/crypto/kdf.js"
import { createConfirmationTag } from "ts-mls/framedContent.js"
import { generateKeyPackageWithKey, type KeyPackage, makeKeyPackageRef, type PrivateKeyPackage } from "ts-mls/keyPackage.js"
import { initializeKeySchedule } from "ts-mls/keySchedule.js"
import { encodeMlsMessage } from "ts-mls/message.js"
import type { RatchetTree } from "ts-mls/ratchetTree.js"
import { treeHashRoot } from "ts-mls/treeHash.js"
import { utf8Encode } from "../wire/bytes.ts"
import { AvError } from "../wire/errors.ts"
import type { Bytes, Milliseconds, PeerKeyId } from "../wire/types.ts"
import { decodeMessage } from "./message.ts"
import { enterEpoch, type GroupState } from "./state.ts"
import { SUITE_NAME, XWING_PUBLIC_KEY_LENGTH } from "./suite.ts"

/** A KeyPackage with its private half. */
export interface OwnKeyPackage {
  keyPackage: KeyPackage
  privateKeys: PrivateKeyPackage
  /** MLSMessage(mls_key_package). */
  bytes: Bytes
  /** RFC 9420 5.2. */
  ref: Bytes
}

/** Clocks differ: a package is valid from an hour before it was made. */
export const LIFETIME_BEFORE_MS = 60 * 60 * 1000
/** A package in `room.join` is used at once; a day covers a page left open before the click. */
export const LIFETIME_AFTER_MS = 24 * 60 * 60 * 1000

/** Mints a KeyPackage with a fresh leaf key. `now` is Unix milliseconds. */
export async function mintKeyPackage(
  keyId: PeerKeyId,
  now: Milliseconds,
  suite: CiphersuiteImpl,
  validMs: Milliseconds = LIFETIME_AFTER_MS,
): Promise<OwnKeyPackage> {
  try {
    const { publicPackage: keyPackage, privatePackage: privateKeys } = await generateKeyPackageWithKey(
      { credentialType: "basic", identity: utf8Encode(keyId) },
      { versions: ["mls10"], ciphersuites: [SUITE_NAME], extensions: [], proposals: [], credentials: ["basic"] },
      { notBefore: seconds(now - LIFETIME_BEFORE_MS), notAfter: seconds(now + validMs) },
      [],
      await suite.signature.keygen(),
      suite,
    )
    const bytes = encodeMlsMessage({ version: "mls10", wireformat: "mls_key_package", keyPackage })
    return { keyPackage, privateKeys, bytes, ref: await makeKeyPackageRef(keyPackage, suite.hash) }
  } catch (cause) {
    throw new AvError("KeyPackageBuildFailed", {}, { cause })
  }
}

function seconds(ms: Milliseconds): bigint {
  return BigInt(Math.max(0, Math.floor(ms / 1000)))
}

/** Reads MLSMessage(mls_key_package). @throws AvError `WireDecodeFailed` */
export function readKeyPackage(bytes: Bytes): KeyPackage {
  const message = decodeMessage(bytes)
  if (message.wireformat !== "mls_key_package") throw new AvError("WireDecodeFailed", { wireformat: message.wireformat })
  return message.keyPackage
}

/** The gate of av-mesh D-11 on the package itself: right suite, X-Wing init key. @throws AvError `PeerLacksMlkem` */
export function requireXWing(keyPackage: KeyPackage, keyId: PeerKeyId): void {
  if (keyPackage.cipherSuite !== SUITE_NAME || keyPackage.initKey.length !== XWING_PUBLIC_KEY_LENGTH) {
    throw new AvError("PeerLacksMlkem", { key_id: keyId })
  }
}

/** A group of one, epoch 0 (RFC 9420 11). */
export async function createGroupState(groupId: Bytes, own: OwnKeyPackage, suite: CiphersuiteImpl): Promise<GroupState> {
  const tree: RatchetTree = [{ nodeType: "leaf", leaf: own.keyPackage.leafNode }]
  const confirmedTranscriptHash = new Uint8Array()
  const epochSecret = suite.rng.randomBytes(suite.kdf.size)
  const keySchedule = await initializeKeySchedule(epochSecret, suite.kdf)
  const encryptionSecret = await deriveSecret(epochSecret, "encryption", suite.kdf)
  return enterEpoch(
    {
      context: {
        version: "mls10",
        cipherSuite: SUITE_NAME,
        epoch: 0n,
        treeHash: await treeHashRoot(tree, suite.hash),
        groupId,
        extensions: [],
        confirmedTranscriptHash,
      },
      tree,
      privatePath: { leafIndex: 0, privateKeys: { 0: own.privateKeys.hpkePrivateKey } },
      signatureKey: own.privateKeys.signaturePrivateKey,
      confirmationTag: await createConfirmationTag(keySchedule.confirmationKey, confirmedTranscriptHash, suite.hash),
      secrets: { keySchedule, encryptionSecret, joinerSecret: epochSecret, welcomeSecret: new Uint8Array() },
    },
    suite,
  )
}
