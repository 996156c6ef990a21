/** The directory of verified leaves is bounded, and nobody can push a member out of it. */
import { expect, test } from "vitest"
import { secureRandom } from "../crypto/random.ts"
import { createIdentity } from "../identity/index.ts"
import { MlsEngine } from "./engine.ts"
import { LeafDirectory, MAX_STRANGERS } from "./leaf-directory.ts"
import { keyIdOf, makeKeyPackageRecord, makeLeafBinding } from "./records.ts"

const NOW = 1_750_000_000_000
const DAY_MS = 24 * 3_600_000
const engine = new MlsEngine()
const strangerKeys = () => ({ entityId: secureRandom(32), mlDsa65: secureRandom(1952) })

test("bindings and key package records are verified, others have a verdict by name", async () => {
  const [peer, other] = [await createIdentity(), await createIdentity()]
  const directory = new LeafDirectory(engine.suite)
  const keys = { entityId: peer.entityId, mlDsa65: peer.mlDsaPublicKey }
  const leafKey = secureRandom(32)
  const binding = await makeLeafBinding(leafKey, peer, NOW)
  expect(await directory.learnRecord(binding, NOW)).toMatchObject({ keyId: peer.keyId, verified: false })
  const foreign = { entityId: other.entityId, mlDsa65: other.mlDsaPublicKey, binding }
  expect(await directory.learnLeaf(foreign, NOW)).toMatchObject({ verified: false, error: "LeafIdentityUnverified" })
  expect(await directory.learnLeaf({ ...keys, binding }, NOW + 30 * DAY_MS)).toMatchObject({ verified: false })
  expect(await directory.learnLeaf({ ...keys, binding: binding.slice(0, 40) }, NOW)).toEqual({
    keyId: "",
    verified: false,
    error: "Malformed",
  })
  expect(directory.isVerified(peer.keyId, leafKey)).toBe(false)
  expect(await directory.learnLeaf({ ...keys, binding }, NOW)).toEqual({ keyId: peer.keyId, verified: true })
  expect(directory.isVerified(peer.keyId, leafKey)).toBe(true)
  expect(directory.isVerified(other.keyId, leafKey)).toBe(false)
  const own = await engine.mint(peer.keyId, NOW)
  const record = await makeKeyPackageRecord(own, peer, NOW)
  expect(await directory.learnRecord(record, NOW + 2 * DAY_MS)).toMatchObject({ error: "KeyPackageExpired" })
  expect(await directory.learnRecord(record, NOW)).toEqual({ keyId: peer.keyId, verified: true })
  expect(directory.isVerified(peer.keyId, own.keyPackage.leafNode.signaturePublicKey)).toBe(true)
})

test("strangers come and go, members and their present leaf stay", () => {
  const directory = new LeafDirectory(engine.suite)
  const keys = strangerKeys()
  const member = { keyId: keyIdOf(keys), leafKey: secureRandom(32) }
  directory.trust(member, new Uint8Array(1), keys)
  directory.setMembers([member])
  for (let i = 0; i < 10; i++) directory.trust({ keyId: member.keyId, leafKey: secureRandom(32) }, new Uint8Array(i + 2), keys)
  const first = directory.learnKeys(strangerKeys())
  for (let i = 0; i < MAX_STRANGERS; i++) directory.learnKeys(strangerKeys())
  expect(directory.keysOf(first)).toBeUndefined()
  expect(directory.isVerified(member.keyId, member.leafKey)).toBe(true)
  expect(directory.evidence([member])).toHaveLength(1)
  directory.setMembers([])
  for (let i = 0; i <= MAX_STRANGERS; i++) directory.learnKeys(strangerKeys())
  expect(directory.isVerified(member.keyId, member.leafKey)).toBe(false)
})
