/** Being added without asking: packages published, fetched, used, replaced. */
import { expect, test } from "vitest"
import { welcomeProof } from "../crypto/room-keys.ts"
import { createIdentity } from "../identity/index.ts"
import { MemoryStore } from "../store/index.ts"
import { toHex } from "../wire/bytes.ts"
import { isAvError } from "../wire/errors.ts"
import { decodeKeyPackageRecord, decodeWelcomeEnvelope } from "../wire/key-records.ts"
import type { Bytes } from "../wire/types.ts"
import { PUBLISHED_FOR_MS, PUBLISHED_ONE_TIME, type ShelvedPackage } from "./package-shelf.ts"
import { MlsRoomGroup } from "./room-group.ts"
import { INVITE_KEY, makeRoom, NOW, ROOM_ID, type TestPeer } from "./test-peer.ts"

const sink = { epoch: () => {}, erase: () => {} }

test("eight and a last resort; used ones are gone, the last resort stays", async () => {
  const [founder] = (await makeRoom(1)) as [TestPeer]
  const store = new MemoryStore<ShelvedPackage>()
  const identity = await createIdentity()
  const keys = { entityId: identity.entityId, mlDsa65: identity.mlDsaPublicKey }
  const group = new MlsRoomGroup({ identity, sink, packages: store })
  const records = await group.publishPackages(NOW)
  expect(records).toHaveLength(PUBLISHED_ONE_TIME + 1)
  expect(records.filter((record) => decodeKeyPackageRecord(record).record.lastResort)).toHaveLength(1)
  expect(await group.publishPackages(NOW)).toHaveLength(0)

  const join = async (record: Bytes, at: number) => {
    const staged = await founder.group.stageCommit({ adds: [{ record, keys }], now: at })
    expect(staged.records).toEqual([record])
    await founder.group.confirm(staged.token, at)
    const envelope = staged.welcomes[0]?.envelope as Bytes
    // Another page of the same browser: only the store is shared.
    const later = new MlsRoomGroup({ identity, sink, packages: store })
    const proof = welcomeProof(INVITE_KEY, decodeWelcomeEnvelope(envelope).canonical)
    const leaves = await founder.group.leafEvidence([founder.keyId])
    await later.join({ roomId: ROOM_ID, envelope, inviter: founder.keys, proof, inviteKey: INVITE_KEY, leaves, now: at })
    expect(await later.unverifiedMembers()).toEqual([])
    await later.protect(new Uint8Array(1))
    const removal = await founder.group.stageCommit({ removes: [identity.keyId], now: at })
    await founder.group.confirm(removal.token, at)
  }
  const weeksLater = NOW + 14 * 24 * 3_600_000
  await join(records[0] as Bytes, weeksLater)
  await join(records[PUBLISHED_ONE_TIME] as Bytes, weeksLater)
  const left = await store.keys()
  expect(left).toHaveLength(PUBLISHED_ONE_TIME)
  expect(left).not.toContain(toHex(decodeKeyPackageRecord(records[0] as Bytes).record.keyPackageRef))
  expect(await group.publishPackages(weeksLater)).toHaveLength(1)
  expect(await group.publishPackages(NOW + PUBLISHED_FOR_MS)).toHaveLength(PUBLISHED_ONE_TIME)
})

test("private halves are stored encrypted under a key that cannot be read out; without a store nothing is published", async () => {
  const store = new MemoryStore<ShelvedPackage>()
  const identity = await createIdentity()
  const group = new MlsRoomGroup({ identity, sink })
  await expect(group.publishPackages(NOW)).rejects.toSatisfy((error) => isAvError(error, "UsageError"))
  const published = new MlsRoomGroup({ identity, sink, packages: store })
  await published.publishPackages(NOW)
  const [ref] = await store.keys()
  const entry = (await store.get(ref as string)) as ShelvedPackage
  expect(Object.keys(entry).sort()).toEqual(["key", "keyPackage", "lastResort", "notAfter", "sealed"])
  expect(entry.key.extractable).toBe(false)
})
