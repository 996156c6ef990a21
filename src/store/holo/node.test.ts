/** Storage in a directory: behaves as every storage does, survives death at every write and torn files, and keeps its log short. */
import { mkdtemp, readdir, readFile, rm, stat, truncate, writeFile } from "node:fs/promises"
import { tmpdir } from "node:os"
import { join } from "node:path"
import { afterAll, expect, test } from "vitest"
import { crashCase } from "./crash-suite.ts"
import { LogIndex } from "./log-index.ts"
import { NodeFiles, NodeGenerations, openNodeHoloStorage } from "./node.ts"
import { bytes, codeOfRejection, filled, storageCases } from "./storage-suite.ts"

const made: string[] = []
async function folder(): Promise<string> {
  const path = await mkdtemp(join(tmpdir(), "holomesh-holo-"))
  made.push(path)
  return path
}
afterAll(() => Promise.all(made.map((path) => rm(path, { recursive: true, force: true }))))

for (const { name, run } of storageCases) {
  test(`Node: ${name}`, async () => {
    const root = await folder()
    await run({ open: () => openNodeHoloStorage(root) })
  })
}

const crash = crashCase(async () => {
  const root = await folder()
  const storage = await openNodeHoloStorage(root)
  await storage.close()
  return {
    parts: async () => ({
      index: await LogIndex.open(await NodeGenerations.open(root)),
      files: new NodeFiles(join(root, "values")),
    }),
    tear: (name, value) => writeFile(join(root, "values", `${name}.tmp`), value.subarray(0, value.length >> 1)),
  }
})
test(`Node: ${crash.name}`, async () => {
  // Three deaths at four files written, one commit, and the files that go; and one run of each that survives.
  expect(await crash.run()).toBeGreaterThan(15)
})

const SYMBOL = "holo/symbol/blob/x/0000000000"

test("a log cut at any byte holds the old batch or the new one", async () => {
  const root = await folder()
  const first = await openNodeHoloStorage(root)
  await first.batch([{ put: ["a", bytes(1)] }, { put: [SYMBOL, filled(5_000, 1)] }])
  const log = join(root, "0000000000000000", "log.dat")
  const before = (await stat(log)).size
  await first.batch([{ put: ["a", bytes(2)] }, { put: ["b", bytes(3)] }])
  await first.close()
  const whole = await readFile(log)
  for (let length = before; length <= whole.length; length += 31) {
    await writeFile(log, whole.subarray(0, length))
    const storage = await openNodeHoloStorage(root)
    const seen = [await storage.get("a"), await storage.get("b")]
    expect(seen).toEqual(length < whole.length ? [bytes(1), undefined] : [bytes(2), bytes(3)])
    expect(await storage.get(SYMBOL)).toEqual(filled(5_000, 1))
    await storage.close()
  }
})

test("a torn or changed file counts as missing, and can be written again", async () => {
  const root = await folder()
  const storage = await openNodeHoloStorage(root)
  await storage.batch([{ put: [SYMBOL, filled(5_000, 1)] }])
  const [name] = await readdir(join(root, "values"))
  await truncate(join(root, "values", name!), 2_500)
  expect(await storage.get(SYMBOL)).toBeUndefined()
  await storage.batch([{ put: [SYMBOL, filled(5_000, 1)] }])
  expect(await storage.get(SYMBOL)).toEqual(filled(5_000, 1))
  await writeFile(join(root, "values", name!), filled(5_000, 2))
  expect(await storage.get(SYMBOL)).toBeUndefined()
  expect(await storage.list("holo/symbol/")).toEqual([SYMBOL])
  await storage.close()
})

test("a second user is refused; files that nothing refers to go; the log is written anew when it is mostly history", async () => {
  const root = await folder()
  const storage = await openNodeHoloStorage(root)
  expect(await codeOfRejection(() => openNodeHoloStorage(root))).toBe("StorageUnavailable")
  const many = (round: number) => Array.from({ length: 600 }, (_, i) => ({ put: [`k/${i}`, bytes(i & 0xff, round)] as const }))
  for (let round = 0; round < 4; round++) await storage.batch(many(round))
  await storage.batch([{ put: [SYMBOL, filled(5_000, 1)] }])
  await storage.close()
  await writeFile(join(root, "values", "stray"), "x")
  const size = (await stat(join(root, "0000000000000000", "log.dat"))).size
  const again = await openNodeHoloStorage(root)
  expect((await readdir(join(root, "values"))).length).toBe(1)
  expect(await again.get("k/599")).toEqual(bytes(599 & 0xff, 3))
  expect(await again.get(SYMBOL)).toEqual(filled(5_000, 1))
  await again.batch([{ del: "k/0" }])
  await again.close()
  expect((await stat(join(root, "0000000000000001", "log.dat"))).size).toBeLessThan(size / 2)
  const third = await openNodeHoloStorage(root)
  expect((await third.list("k/")).length).toBe(599)
  await third.close()
})

test("damage in the middle of the log is told, not passed over", async () => {
  const root = await folder()
  const storage = await openNodeHoloStorage(root)
  for (let i = 0; i < 5; i++) await storage.batch([{ put: [`k/${i}`, bytes(i)] }])
  await storage.close()
  const log = join(root, "0000000000000000", "log.dat")
  const whole = await readFile(log)
  whole[40]! ^= 1
  await writeFile(log, whole)
  expect(await codeOfRejection(() => openNodeHoloStorage(root))).toBe("StorageCorrupt")
})
