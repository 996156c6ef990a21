/** The bytes that bring a newcomer in: what it hands out, what the committer sends back, and taking that. */
import { AvError, isAvError } from "../wire/errors.ts"
import type { Bytes, Milliseconds } from "../wire/types.ts"
import type { MadeCommit } from "./commit.ts"
import type { CheckedAdd } from "./commit-input.ts"
import type { MlsEngine } from "./engine.ts"
import type { OwnKeyPackage } from "./key-package.ts"
import { makeKeyPackageRecord, makeLeafBinding, makeWelcomeEnvelope, type RecordSigner } from "./records.ts"
import type { JoinerWelcome } from "./types.ts"
import { cutWelcome, type TakenWelcome } from "./welcome.ts"

/** A fresh KeyPackage, its record, and the binding of its leaf key. */
export async function makeJoinMaterial(
  engine: MlsEngine,
  signer: RecordSigner,
  now: Milliseconds,
): Promise<{ own: OwnKeyPackage; record: Bytes; binding: Bytes }> {
  const own = await engine.mint(signer.keyId, now)
  const record = await makeKeyPackageRecord(own, signer, now)
  const binding = await makeLeafBinding(own.keyPackage.leafNode.signaturePublicKey, signer, now)
  return { own, record, binding }
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
