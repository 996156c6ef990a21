/** The room's memory between Node peers: what one puts another gets, a folder keeps it, and who wants no part in it has none. */
import { mkdtempSync, readdirSync, rmSync } from "node:fs"
import { tmpdir } from "node:os"
import { join } from "node:path"
import { afterAll, expect, test } from "vitest"
import { createIdentity } from "../identity/index.ts"
import { NodeRoom, until } from "./test-room.ts"

const SLOW_MS = 120_000
const folder = mkdtempSync(join(tmpdir(), "holomesh-node-memory-"))
const attic = new NodeRoom("attic")
const content = Uint8Array.from({ length: 300_000 }, (_, i) => (i * 13 + (i >> 7)) & 255)

afterAll(async () => {
  await attic.close()
  rmSync(folder, { recursive: true, force: true })
}, SLOW_MS)

test(
  "an item goes from peer to peer, outlives its room in a folder, and is offered again from there",
  async () => {
    const identity = await createIdentity()
    const ada = await attic.join("ada", { identity, memory: { folder } })
    const bob = await attic.join("bob")
    const cleo = await attic.join("cleo", { memory: false })
    await attic.linked(3)
    expect(await ada.memory.usage()).toMatchObject({ persistent: true, level: "normal" })
    expect(await bob.memory.usage()).toMatchObject({ persistent: false })
    const item = await ada.memory.put(new File([content], "plan.bin", { type: "application/x-plan" }))
    const known = async () => (await bob.memory.list()).find(({ id }) => id === item.id)
    await until("bob can read it", async () => (await known())?.readable === true)
    const file = await bob.memory.get(item.id)
    expect([file.name, file.type, Buffer.compare(new Uint8Array(await file.arrayBuffer()), content)]).toEqual([
      "plan.bin",
      "application/x-plan",
      0,
    ])
    await expect(bob.memory.revoke(item.id)).rejects.toMatchObject({ code: "NotAllowed" })
    await expect(cleo.memory.list()).rejects.toMatchObject({ code: "StorageUnavailable" })
    expect((await known())?.holders.some(({ id }) => id === cleo.local.id)).toBe(false)
    // Nothing is written once the room is left: somebody else may open the folder.
    await Promise.all(attic.rooms.splice(0).map((room) => room.leave()))
    const [kept] = readdirSync(folder)
    expect(readdirSync(join(folder, kept!))).toContain("values")

    const again = await attic.join("ada", { identity, memory: { folder } })
    const dora = await attic.join("dora")
    await attic.linked(2)
    await until("dora hears of it from the folder", async () => {
      return (await dora.memory.list()).some(({ id, readable }) => id === item.id && readable)
    })
    const copy = await dora.memory.get(item.id)
    expect(Buffer.compare(new Uint8Array(await copy.arrayBuffer()), content)).toBe(0)
    expect((await again.memory.list()).map(({ id, own }) => [id, own])).toEqual([[item.id, true]])
    await again.memory.revoke(item.id)
    await until("it is gone", async () => (await dora.memory.list()).length === 0)
    expect(attic.warnings).toEqual([])
  },
  SLOW_MS,
)

test(
  "a folder belongs to one peer at a time",
  async () => {
    const first = await attic.join("first", { memory: { folder: join(folder, "shared") } })
    await first.memory.usage()
    const second = await attic.join("second", { memory: { folder: join(folder, "shared") } })
    await expect(second.memory.list()).rejects.toMatchObject({ code: "StorageUnavailable" })
  },
  SLOW_MS,
)
