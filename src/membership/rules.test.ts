/** The pure rules of the room, run over this repository's own vectors, and their limits over random input. */
import { readFileSync } from "node:fs"
import fc from "fast-check"
import { describe, expect, test } from "vitest"
import { runners } from "../../conformance/runners/membership.ts"
import { compareBytes } from "../wire/bytes.ts"
import { chooseCommit } from "./choice.ts"
import { CommitBook } from "./commit-book.ts"
import { EpochQueue } from "./epoch-order.ts"
import { SeenSet } from "./flood.ts"
import { neighbours } from "./neighbours.ts"
import { refusalError } from "./refusals.ts"

describe("own vectors", () => {
  const file = new URL("../../conformance/vectors/room-membership.json", import.meta.url)
  const { sections } = JSON.parse(readFileSync(file, "utf8")) as { sections: Record<string, unknown[]> }
  for (const [name, cases] of Object.entries(sections)) {
    test(name, async () => {
      for (const testCase of cases) await runners.room![name]!(testCase)
    })
  }
})

const commit = fc.record({
  authorLeaf: fc.nat(5),
  removes: fc.uniqueArray(fc.nat(5), { maxLength: 3 }),
  hash: fc.uint8Array({ minLength: 4, maxLength: 4 }),
})

test("a refusal for a reason that is none of ours is one error whatever it is called", () => {
  expect([refusalError("locked").code, refusalError("room-full", { max: 4 }).details]).toEqual(["RoomLocked", { max: 4 }])
  for (const reason of ["too-old", "later", "", "toString", "constructor", "__proto__", "hasOwnProperty"]) {
    expect(refusalError(reason).code).toBe("JoinTimeout")
  }
})

test("RM-29: the choice does not depend on the order in which commits became known", () => {
  fc.assert(
    fc.property(fc.array(commit, { minLength: 1, maxLength: 6 }), fc.infiniteStream(fc.nat()), (commits, keys) => {
      const shuffled = commits.map((item) => ({ item, key: keys.next().value ?? 0 })).sort((a, b) => a.key - b.key)
      const [a, b] = [chooseCommit(commits), chooseCommit(shuffled.map(({ item }) => item))]
      expect([a.authorLeaf, compareBytes(a.hash, b.hash)]).toEqual([b.authorLeaf, 0])
    }),
    { numRuns: 2_000 },
  )
})

test("RM-38: links are no more than six above eight members, never to oneself, never twice", () => {
  const roomId = new Uint8Array(32).fill(1)
  for (let size = 1; size <= 40; size++) {
    const members = Array.from({ length: size }, (_, i) => `m${i}`)
    for (const me of members.slice(0, 3)) {
      const links = neighbours(roomId, members, me, (keyId) => keyId !== "m5")
      expect(new Set(links).size).toBe(links.length)
      expect(links).not.toContain(me)
      expect(links).not.toContain("m5")
      expect(links.length).toBeLessThanOrEqual(size <= 8 ? size - 1 : 6)
    }
  }
})

test("what waits for its epoch is bounded in number and bytes, the oldest messages go first", () => {
  const queue = new EpochQueue<number>()
  for (let i = 0; i < 1_000; i++) queue.hold("app", { epoch: 5n, bytes: new Uint8Array(1_000), at: i, extra: i })
  const { waiting, waitingBytes } = queue.load("app")
  expect(waiting).toBe(256)
  expect(waitingBytes).toBeLessThanOrEqual(1024 * 1024)
  expect(queue.release(5n).messages[0]?.extra).toBe(1_000 - 256)
})

test("the seen-set forgets the oldest above 4 096", () => {
  const seen = new SeenSet()
  for (let i = 0; i < 4_097; i++) expect(seen.admit(`m${i}`, 0)).toBe(true)
  expect(seen.admit("m4096", 1)).toBe(false)
  expect(seen.admit("m0", 1)).toBe(true)
})

test("RM-17: the last 64 commits are kept, older ones are not", () => {
  const book = new CommitBook()
  for (let i = 0; i < 100; i++) {
    const bytes = Uint8Array.of(i)
    book.applied({ epoch: BigInt(i), bytes, hash: bytes, authorLeaf: 0, removes: [], records: [] }, i)
  }
  expect(book.since(36n, 100)).toHaveLength(64)
  expect(book.since(35n, 100)).toBeUndefined()
  expect(book.since(36n, 11 * 60_000)).toBeUndefined()
})
