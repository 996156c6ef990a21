/** How every storage of a room's memory behaves: cases for all back ends alike, in any place that runs them. Not part of the product. */
import { type ErrorCode, isAvError } from "../../wire/errors.ts"
import type { HoloStorage } from "./storage.ts"

/** Somewhere to keep things, empty at first: what one storage kept there the next one finds. */
interface StoragePlace {
  open(): Promise<HoloStorage>
}

export interface StorageCase {
  name: string
  run(place: StoragePlace): Promise<void>
}

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

export const bytes = (...values: number[]) => Uint8Array.from(values)

/** Bytes that differ from each other, and by seed. */
export function filled(length: number, seed: number): Uint8Array {
  return Uint8Array.from({ length }, (_, i) => (i * 31 + seed * 7 + (i >> 8)) & 0xff)
}

/** Arrays, bytes, numbers and undefined. */
export function expectSame(actual: unknown, expected: unknown, what = "value"): void {
  const [a, b] = [show(actual), show(expected)]
  if (a !== b) throw new Error(`${what}: got ${a.slice(0, 200)}, expected ${b.slice(0, 200)}`)
}

function show(value: unknown): string {
  if (value instanceof Uint8Array) return `bytes(${value.join()})`
  return JSON.stringify(value) ?? "undefined"
}

/** Large enough to be kept apart from small values by every back end. */
const LARGE = 10_000

export const storageCases: StorageCase[] = [
  {
    name: "keeps copies of what it was given, and gives copies",
    async run(place) {
      const storage = await place.open()
      for (const length of [2, LARGE]) {
        const value = filled(length, 1)
        await storage.batch([{ put: ["a", value] }])
        value[0]! ^= 9
        const found = await storage.get("a")
        expectSame(found, filled(length, 1))
        found![0]! ^= 7
        expectSame(await storage.get("a"), filled(length, 1))
      }
      expectSame(await storage.get("b"), undefined)
      await storage.close()
    },
  },
  {
    name: "the last operation on a key wins",
    async run(place) {
      const storage = await place.open()
      await storage.batch([{ put: ["a", bytes(1)] }, { del: "a" }, { put: ["b", bytes(2)] }, { put: ["b", bytes(3)] }])
      await storage.batch([{ put: ["c", filled(LARGE, 1)] }, { put: ["c", filled(LARGE, 2)] }])
      expectSame(await storage.get("a"), undefined)
      expectSame(await storage.get("b"), bytes(3))
      expectSame(await storage.get("c"), filled(LARGE, 2))
      await storage.close()
    },
  },
  {
    name: "lists by UTF-8 bytes, after a key, and no more than asked for",
    async run(place) {
      const storage = await place.open()
      const keys = ["p/\u{1f600}", "p/\uff5e", "p/\u00e9", "p/A", "q/B", "p"]
      await storage.batch(keys.map((key) => ({ put: [key, bytes()] as const })))
      const sorted = ["p/A", "p/\u00e9", "p/\uff5e", "p/\u{1f600}"]
      expectSame(await storage.list("p/"), sorted)
      expectSame(await storage.list(""), ["p", ...sorted, "q/B"])
      expectSame(await storage.list("p/", { after: "p/\u00e9" }), sorted.slice(2))
      expectSame(await storage.list("p/", { after: "p/B", limit: 1 }), ["p/\u00e9"])
      expectSame(await storage.list("p/", { after: "a" }), sorted)
      expectSame(await storage.list("p/", { after: "q" }), [])
      expectSame(await storage.list("", { after: "p/\u{1f600}" }), ["q/B"])
      expectSame(await storage.list("p/", { limit: 0 }), [])
      await storage.close()
    },
  },
  {
    name: "knows how much it holds",
    async run(place) {
      const storage = await place.open()
      const before = (await storage.estimate()).usageBytes
      await storage.batch([{ put: ["a", new Uint8Array(LARGE)] }])
      const { usageBytes, quotaBytes } = await storage.estimate()
      expectSame(usageBytes - before >= LARGE, true, `grown by ${usageBytes - before}`)
      expectSame(quotaBytes > usageBytes, true, "quota")
      await storage.close()
      expectSame(await codeOfRejection(() => storage.get("a")), "StorageUnavailable")
      expectSame(await codeOfRejection(() => storage.batch([])), "StorageUnavailable")
    },
  },
  {
    name: "finds after reopening what was there, small and large, replaced and deleted",
    async run(place) {
      const storage = await place.open()
      const small = Array.from({ length: 40 }, (_, i) => ({ put: [`s/${i}`, filled(i, i)] as const }))
      await storage.batch([...small, { put: ["l/1", filled(LARGE, 1)] }, { put: ["l/2", filled(LARGE, 2)] }])
      await storage.batch([{ put: ["l/1", filled(LARGE, 3)] }, { del: "l/2" }, { del: "s/7" }])
      await storage.batch([{ put: ["l/2", bytes(5)] }, { put: ["s/8", filled(LARGE, 8)] }])
      await storage.close()
      const again = await place.open()
      expectSame((await again.list("s/")).length, 39)
      expectSame(await again.get("s/9"), filled(9, 9))
      expectSame(await again.get("s/7"), undefined)
      expectSame(await again.get("s/8"), filled(LARGE, 8))
      expectSame(await again.get("l/1"), filled(LARGE, 3))
      expectSame(await again.get("l/2"), bytes(5))
      await again.close()
    },
  },
  {
    name: "batches asked for at once happen one after the other",
    async run(place) {
      const storage = await place.open()
      await Promise.all(
        Array.from({ length: 12 }, (_, i) =>
          storage.batch([{ put: ["a", filled(LARGE, i)] }, { put: ["b", filled(i, i)] }, { put: [`c/${i}`, bytes(i)] }]),
        ),
      )
      expectSame(await storage.get("a"), filled(LARGE, 11))
      expectSame(await storage.get("b"), filled(11, 11))
      expectSame((await storage.list("c/")).length, 12)
      await storage.close()
    },
  },
]
