/** The bytes that bring a newcomer in: what it hands out, what the committer sends back, and taking that. */
import { AvError, isAvError } from "../wire/errors.ts"
import type { Bytes, Milliseconds } from "../wire/types.ts"
import type { MadeCommit } from "./commit.ts"
import type { CheckedAdd } from "./commit-input.ts"
import type { MlsEngine } from "./engine.ts"
import type { OwnKeyPackage } from "./key-package.ts"
import type { LeafDirectory } from "./leaf-directory.ts"
import type { OwnPackages } from "./own-packages.ts"
import type { PackageShelf } from "./package-shelf.ts"
import { makeKeyPackageRecord, makeLeafBinding, makeWelcomeEnvelope, type RecordSigner } from "./records.ts"
import type { JoinerWelcome } from "./types.ts"
import { cutWelcome, type TakenWelcome } from "./welcome.ts"

/** The identity behind the group: long-term keys and the right to sign with them. */
export interface GroupIdentity extends RecordSigner {
  readonly entityId: Bytes
  readonly mlDsaPublicKey: Bytes
}

/** A fresh KeyPackage, its record, and the binding of its leaf key. */
export interface MintedPackage {
  own: OwnKeyPackage
  record: Bytes
  binding: Bytes
}

export async function makeJoinMaterial(engine: MlsEngine, signer: RecordSigner, now: Milliseconds): Promise<MintedPackage> {
  const own = await engine.mint(signer.keyId, now)
  const record = await makeKeyPackageRecord(own, signer, now)
  const binding = await makeLeafBinding(own.keyPackage.leafNode.signaturePublicKey, signer, now)
  return { own, record, binding }
}

/** Enters the own leaf key into the directory: this process has just signed for it. */
export function trustOwn(directory: LeafDirectory, identity: GroupIdentity, own: OwnKeyPackage, binding: Bytes): void {
  const leafKey = own.keyPackage.leafNode.signaturePublicKey
  directory.trust({ keyId: identity.keyId, leafKey }, binding, { entityId: identity.entityId, mlDsa65: identity.mlDsaPublicKey })
}

/**
 * A package of this peer's own that a Welcome was made for: handed out lately, or published in a directory.
 *
 * @throws AvError `KeyPackageUnknown`
 */
export async function findOwn(source: OwnSources, ref: Bytes, now: Milliseconds): Promise<OwnKeyPackage> {
  const handedOut = source.packages.get(ref)
  if (handedOut !== undefined) return handedOut
  if (source.shelf === undefined) throw new AvError("KeyPackageUnknown")
  const published = await source.shelf.find(ref)
  const binding = await makeLeafBinding(published.keyPackage.leafNode.signaturePublicKey, source.identity, now)
  trustOwn(source.directory, source.identity, published, binding)
  return published
}

/** Where {@link findOwn} looks, and where it notes what it found. */
export interface OwnSources {
  packages: OwnPackages
  shelf: PackageShelf | undefined
  directory: LeafDirectory
  identity: GroupIdentity
}

/** A signed envelope for each newcomer, with its own entry of the Welcome only. */
export async function makeWelcomes(made: MadeCommit, adds: CheckedAdd[], signer: RecordSigner): Promise<JoinerWelcome[]> {
  const { welcome } = made
  if (welcome === undefined) return []
  const welcomes: JoinerWelcome[] = []
  for (const { keyId, ref } of adds) {
    const envelope = await makeWelcomeEnvelope(keyId, ref, cutWelcome(welcome, ref), signer)
    welcomes.push({ keyId, keyPackageRef: ref, ...envelope })
  }
  return welcomes
}

/** @throws AvError `WelcomeMalformed` when the bytes are no Welcome, `WelcomeFailed` when it cannot be used. */
export async function takeWelcome(engine: MlsEngine, welcome: Bytes, own: OwnKeyPackage): Promise<TakenWelcome> {
  try {
    return await engine.join(welcome, own)
  } catch (cause) {
    if (!isAvError(cause, "WireDecodeFailed")) throw cause
    throw new AvError("WelcomeMalformed", {}, { cause })
  }
}
