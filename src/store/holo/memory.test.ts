/** Storage in memory behaves as every storage does; keys hold any name; a full one refuses and changes nothing. */
import { expect, test } from "vitest"
import { codeOf } from "../../wire/testing.ts"
import { MemoryHoloStorage } from "./memory.ts"
import { holoKey, holoKeyParts, keyNumber } from "./storage.ts"
import { codeOfRejection, storageCases } from "./storage-suite.ts"

for (const { name, run } of storageCases) {
  test(`memory: ${name}`, async () => {
    let last: MemoryHoloStorage | undefined
    await run({
      open: async () => {
        last = new MemoryHoloStorage(last === undefined ? {} : { contents: last.contents })
        return last
      },
    })
  })
}

test("a batch without room changes nothing; deleting always works", async () => {
  const storage = new MemoryHoloStorage({ quotaBytes: 100 })
  await storage.batch([{ put: ["a", new Uint8Array(60)] }])
  const over = () => storage.batch([{ put: ["b", new Uint8Array(1)] }, { put: ["c", new Uint8Array(60)] }])
  expect(await codeOfRejection(over)).toBe("QuotaExceeded")
  expect(await storage.list("")).toEqual(["a"])
  storage.quotaBytes = 10
  await storage.batch([{ del: "a" }])
  expect((await storage.estimate()).usageBytes).toBe(0)
})

test("any name is one part of a key", () => {
  const parts = ["a/b", "", "%2F", "\u{1f600}", ".."]
  const key = holoKey("manifest", ...parts)
  expect(key.split("/")).toHaveLength(2 + parts.length)
  expect(holoKeyParts(key, "manifest")).toEqual(parts)
  expect(holoKeyParts(key, "symbol")).toBeUndefined()
  expect(holoKeyParts("holo/manifest/%zz", "manifest")).toBeUndefined()
  expect(codeOf(() => holoKey("manifest", "\ud800"))).toBe("IllFormedString")
  expect(codeOf(() => holoKey("manifest", "x".repeat(5_000)))).toBe("UsageError")
  expect([keyNumber(9, 10), keyNumber(10n, 10)]).toEqual(["0000000009", "0000000010"])
})
