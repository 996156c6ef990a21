import { describe, expect, test } from "vitest"
import { Directory, type ShelvedRecord } from "./directory.ts"
import { SERVER_LIMITS } from "./limits.ts"

function record(ref: string, options: Partial<ShelvedRecord> = {}): ShelvedRecord {
  const bytes = new TextEncoder().encode(`record ${ref}`)
  return { bytes, ref, lastResort: false, notBefore: 0, notAfter: 10_000, ...options }
}

function text(bytes: Uint8Array | undefined): string | undefined {
  return bytes === undefined ? undefined : new TextDecoder().decode(bytes)
}

describe("Directory", () => {
  test("hands out each one-time record once and then the last resort again and again", () => {
    const directory = new Directory(SERVER_LIMITS)
    directory.put("a", record("1"), 0)
    directory.put("a", record("2"), 0)
    directory.put("a", record("last", { lastResort: true }), 0)
    const taken = [0, 1, 2, 3].map(() => text(directory.take("a", 1)))
    expect(taken).toEqual(["record 1", "record 2", "record last", "record last"])
    expect(directory.take("b", 1)).toBeUndefined()
  })

  test("forgets what has expired and keeps back what is not valid yet", () => {
    const directory = new Directory(SERVER_LIMITS)
    directory.put("a", record("late", { notBefore: 500 }), 0)
    expect(directory.take("a", 100)).toBeUndefined()
    expect(directory.take("a", 10_000)).toBeUndefined()
    expect(directory.bytes).toBe(0)
    expect(directory.put("a", record("old"), 10_000)).toBe(false)
  })

  test("a full shelf refuses, a known package replaces itself", () => {
    const directory = new Directory({ ...SERVER_LIMITS, oneTimePerKey: 2 })
    expect(directory.put("a", record("1"), 0)).toBe(true)
    expect(directory.put("a", record("2"), 0)).toBe(true)
    expect(directory.put("a", record("2"), 0)).toBe(true)
    expect(directory.put("a", record("3"), 0)).toBe(false)
  })

  test("over its bound in owners or bytes the oldest owner goes", () => {
    const few = new Directory({ ...SERVER_LIMITS, directoryKeys: 2 })
    for (const owner of ["a", "b", "c"]) few.put(owner, record(owner), 0)
    expect([few.owners, few.take("a", 1), text(few.take("c", 1))]).toEqual([2, undefined, "record c"])
    const small = new Directory({ ...SERVER_LIMITS, directoryBytes: 20 })
    for (const owner of ["a", "b", "c"]) small.put(owner, record(owner), 0)
    expect(small.bytes).toBeLessThanOrEqual(20)
  })
})
