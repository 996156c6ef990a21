/** How every storage of a room's memory behaves: tests for all back ends alike. Not part of the product. */
import { expect, test } from "vitest"
import { type ErrorCode, isAvError } from "../../wire/errors.ts"
import type { HoloStorage } from "./storage.ts"

/** The code of the error that the call rejects with; undefined when it does not. */
export async function codeOfRejection(run: () => Promise<unknown>): Promise<ErrorCode | undefined> {
  try {
    await run()
    return undefined
  } catch (error) {
    if (isAvError(error)) return error.code
    throw error
  }
}

const bytes = (...values: number[]) => Uint8Array.from(values)

/** @param open an empty storage, new each time */
export function holoStorageSuite(name: string, open: () => Promise<HoloStorage>): void {
  test(`${name}: keeps copies of what it was given, and gives copies`, async () => {
    const storage = await open()
    const value = bytes(1, 2)
    await storage.batch([{ put: ["a", value] }])
    value[0] = 9
    const found = await storage.get("a")
    expect(found).toEqual(bytes(1, 2))
    found![0] = 7
    expect(await storage.get("a")).toEqual(bytes(1, 2))
    expect(await storage.get("b")).toBeUndefined()
    await storage.close()
  })

  test(`${name}: the last operation on a key wins`, async () => {
    const storage = await open()
    await storage.batch([{ put: ["a", bytes(1)] }, { del: "a" }, { put: ["b", bytes(2)] }, { put: ["b", bytes(3)] }])
    expect(await storage.get("a")).toBeUndefined()
    expect(await storage.get("b")).toEqual(bytes(3))
    await storage.close()
  })

  test(`${name}: lists by UTF-8 bytes, after a key, and no more than asked for`, async () => {
    const storage = await open()
    const keys = ["p/\u{1f600}", "p/\uff5e", "p/\u00e9", "p/A", "q/B", "p"]
    await storage.batch(keys.map((key) => ({ put: [key, bytes()] as const })))
    const sorted = ["p/A", "p/\u00e9", "p/\uff5e", "p/\u{1f600}"]
    expect(await storage.list("p/")).toEqual(sorted)
    expect(await storage.list("p/", { after: "p/\u00e9" })).toEqual(sorted.slice(2))
    expect(await storage.list("p/", { after: "p/B", limit: 1 })).toEqual(["p/\u00e9"])
    expect(await storage.list("p/", { limit: 0 })).toEqual([])
    await storage.close()
  })

  test(`${name}: knows how much it holds`, async () => {
    const storage = await open()
    const before = (await storage.estimate()).usageBytes
    await storage.batch([{ put: ["a", new Uint8Array(10_000)] }])
    const { usageBytes, quotaBytes } = await storage.estimate()
    expect(usageBytes - before).toBeGreaterThanOrEqual(10_000)
    expect(quotaBytes).toBeGreaterThan(usageBytes)
    await storage.close()
    expect(await codeOfRejection(() => storage.get("a"))).toBe("StorageUnavailable")
  })
}
