/** Whoever closes the memory while its storage is still being opened leaves nothing open behind. */
import { expect, test } from "vitest"
import { readFountainWasm } from "../../fountain/node.ts"
import { testPeer } from "../../holonomic/testing.ts"
import { MemoryHoloStorage } from "../../store/holo/memory.ts"
import type { OpenedStorage } from "./open-storage.ts"
import { MemoryService } from "./service.ts"

test("a storage that opens too late is closed again", async () => {
  const signer = await testPeer(1)
  const storage = new MemoryHoloStorage()
  let opened: (storage: OpenedStorage) => void = () => {}
  let asked = () => {}
  const waiting = new Promise<void>((resolve) => {
    asked = resolve
  })
  const service = new MemoryService({
    tabs: undefined,
    openStorage: () => {
      asked()
      return new Promise((resolve) => {
        opened = resolve
      })
    },
  })
  const { entityId, mlDsaPublicKey, pqHash, keyId, nodeId } = signer
  const identity = { entityId, mlDsaPublicKey, pqHash, keyId, nodeId }
  const options = { meshId: "attic", identity, persistent: false, preferred: false }
  const opening = service.open(options, (message) => signer.signHybrid(message), await readFountainWasm())
  const failed = expect(opening).rejects.toMatchObject({ code: "HandleClosedError" })
  await waiting
  await service.close()
  opened({ storage, persistent: false })
  await failed
  await expect(storage.get("holo/meta")).rejects.toMatchObject({ code: "StorageUnavailable" })
})
