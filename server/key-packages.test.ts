/** The whole way of a key package: published at a real server, fetched by an inviter, added to the group, joined by Welcome. */
import { afterEach, beforeEach, describe, expect, it } from "vitest"
import { welcomeProof } from "../src/crypto/room-keys.ts"
import { MlsRoomGroup, verifyKeyPackageRecord } from "../src/group/index.ts"
import { makeSuite } from "../src/group/suite.ts"
import { createIdentity } from "../src/identity/index.ts"
import type { IdentitySigner } from "../src/identity/signer.ts"
import { MemoryStore } from "../src/store/index.ts"
import { decodeWelcomeEnvelope } from "../src/wire/key-records.ts"
import { createRendezvousServer, type RendezvousServer } from "./rendezvous.ts"
import { openClient, random } from "./testing/client.ts"

const suite = makeSuite(random)
const keysOf = (signer: IdentitySigner) => ({ entityId: signer.entityId, mlDsa65: signer.mlDsaPublicKey })

describe("key packages through the server's directory", () => {
  let server: RendezvousServer
  beforeEach(async () => {
    server = await createRendezvousServer({ logLevel: "silent" })
  })
  afterEach(() => server.close())

  it("lets a member add somebody who is not asking, with a record that only that peer can have signed", async () => {
    const now = Date.now()
    const [ada, bob] = await Promise.all([createIdentity(), createIdentity()])
    const sink = { epoch: () => {}, erase: () => {} }
    const groupOfAda = new MlsRoomGroup({ identity: ada, sink })
    const groupOfBob = new MlsRoomGroup({ identity: bob, sink, packages: new MemoryStore() })

    const publisher = await openClient(server.port, "directory", { signer: bob })
    await publisher.registered
    await publisher.client.putKeyPackages(await groupOfBob.publishPackages(now))

    const inviter = await openClient(server.port, "directory", { signer: ada })
    await inviter.registered
    const record = await inviter.client.getKeyPackage(bob.keyId)
    expect((await verifyKeyPackageRecord(record, keysOf(bob), now, suite)).keyId).toBe(bob.keyId)
    await expect(verifyKeyPackageRecord(record, keysOf(ada), now, suite)).rejects.toMatchObject({ name: expect.any(String) })
    const next = await inviter.client.getKeyPackage(bob.keyId)
    expect(Buffer.compare(record, next)).not.toBe(0)

    const roomId = random(32)
    const inviteKey = random(32)
    await groupOfAda.found(roomId, now)
    const staged = await groupOfAda.stageCommit({ adds: [{ record, keys: keysOf(bob) }], now })
    const { view } = await groupOfAda.confirm(staged.token, now)
    const envelope = staged.welcomes[0]?.envelope ?? new Uint8Array(0)
    const proof = welcomeProof(inviteKey, decodeWelcomeEnvelope(envelope).canonical)
    const leaves = await groupOfAda.leafEvidence([ada.keyId])
    const joined = await groupOfBob.join({ roomId, envelope, inviter: keysOf(ada), proof, inviteKey, leaves, now })
    expect(joined.epoch).toBe(view.epoch)
    expect(Buffer.compare(joined.tip, view.tip)).toBe(0)
    inviter.client.close()
    publisher.client.close()
  })
})
