/** Logs in IndexedDB: the same bytes at the same offsets as in a file, also after a torn end. */
import "fake-indexeddb/auto"
import fc from "fast-check"
import { deleteDB, openDB } from "idb"
import { expect, it } from "vitest"
import { IndexedDbLogStorage, openIndexedDbLog } from "./idb.ts"

const text = (value: string) => new TextEncoder().encode(value)
let places = 0
const freshName = () => (++places).toString(16).padStart(16, "0")

it("numbers, keeps and finds again what was appended, through its syncs", async () => {
  const name = freshName()
  const log = await openIndexedDbLog(name, { durability: { everyN: 3 } })
  expect(await log.appendBatch([text("a"), text("b")])).toBe(0n)
  expect(await log.append(text("c"), { durable: true })).toBe(2n)
  await log.close()
  const again = await openIndexedDbLog(name)
  const found: string[] = []
  for await (const { seq, payload } of again.records()) found.push(`${seq} ${new TextDecoder().decode(payload)}`)
  expect([found, again.nextSeq]).toEqual([["0 a", "1 b", "2 c"], 3n])
  await again.close()
})

it("cuts a torn end off", async () => {
  const name = freshName()
  const log = await openIndexedDbLog(name)
  await log.append(text("whole"))
  await log.append(text("torn"))
  await log.close()
  const database = await openDB(`holomesh-log-${name}`, 1)
  const keys = (await database.getAllKeys("parts")) as number[]
  const last = keys.at(-1) as number
  await database.put("parts", ((await database.get("parts", last)) as Uint8Array).slice(0, 10), last)
  // As if the checkpoint of the close had never been written.
  await database.delete("meta", 0)
  database.close()
  const again = await openIndexedDbLog(name)
  expect(again.nextSeq).toBe(1n)
  expect(await again.append(text("new"))).toBe(1n)
  await again.close()
  await expect(openIndexedDbLog("no name")).rejects.toMatchObject({ code: "UsageError" })
})

it("reads and cuts like a file, whatever the sizes", async () => {
  const step = fc.oneof(
    fc.record({ op: fc.constant("append" as const), length: fc.integer({ min: 1, max: 40 }) }),
    fc.record({ op: fc.constant("truncate" as const), part: fc.double({ min: 0, max: 1, noNaN: true }) }),
    fc.record({
      op: fc.constant("read" as const),
      part: fc.double({ min: 0, max: 1, noNaN: true }),
      length: fc.integer({ min: 0, max: 90 }),
    }),
  )
  await fc.assert(
    fc.asyncProperty(fc.array(step, { maxLength: 25 }), async (steps) => {
      const name = `log-model-${++places}`
      const database = await openDB(name, 1, {
        upgrade: (db) => {
          for (const store of ["parts", "meta"]) db.createObjectStore(store)
        },
      })
      const storage = new IndexedDbLogStorage(database)
      let file = new Uint8Array()
      let next = 0
      for (const each of steps) {
        if (each.op === "append") {
          const bytes = Uint8Array.from({ length: each.length }, () => next++ & 255)
          await storage.append(bytes, file.length)
          file = Uint8Array.from([...file, ...bytes])
        } else if (each.op === "truncate") {
          file = file.slice(0, Math.floor(each.part * file.length))
          await storage.truncate(file.length)
        } else {
          const offset = Math.floor(each.part * file.length)
          expect(await storage.read(offset, each.length)).toEqual(file.slice(offset, offset + each.length))
        }
        expect(await storage.size()).toBe(file.length)
      }
      await storage.close()
      await deleteDB(name)
    }),
    { numRuns: 60 },
  )
})
