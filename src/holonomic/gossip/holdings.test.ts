/** What others claim to hold: what counts, how long, and how it is proven. */
import { expect, test } from "vitest"
import { sha256Sync } from "../../crypto/index.ts"
import { toHex } from "../../wire/bytes.ts"
import type { Bytes } from "../../wire/types.ts"
import { probeDigest } from "../claims/digests.ts"
import { HoldingBook } from "./holding-book.ts"
import { CHALLENGE_EVERY_MS, PossessionChallenger } from "./possession.ts"

const NOW = 1_700_000_000_000
const claim = (peerId: string, symbolIds: number[], at = NOW, contentId = "c") => ({
  peerId,
  contentId,
  symbolIds,
  observedAtUnixMs: BigInt(at),
})
const symbols: Bytes[] = Array.from({ length: 4 }, (_, i) => Uint8Array.of(i, i, i))
const symbolHashes = symbols.map((bytes) => toHex(sha256Sync(bytes)))
const states = (book: HoldingBook, peer: string, ids: number[], now = NOW) =>
  ids.map((id) => book.verification(peer, "c", id, now))

/** The challenger knows these symbols. */
const facts = (known: number[]) => ({
  symbolHashes,
  symbol: async (id: number) => (known.includes(id) ? symbols[id] : undefined),
})
const counting = () => {
  let n = 0
  return (length: number) => new Uint8Array(length).fill(n++)
}

test("the newest claim of a peer counts, within ten minutes; proof stays with what both name", () => {
  const book = new HoldingBook()
  expect(book.take(claim("p", [0, 1]), NOW)).toBe(true)
  expect(book.take(claim("p", [2]), NOW)).toBe(false)
  expect(book.take(claim("p", [2], NOW - 1), NOW)).toBe(false)
  expect(book.take(claim("q", [0], NOW - 600_001), NOW)).toBe(false)
  expect(book.take(claim("q", [0], NOW + 60_001), NOW)).toBe(false)
  expect(states(book, "p", [0, 1, 2])).toEqual(["SignatureOnly", "SignatureOnly", "Unverified"])
  book.proved("p", "c", NOW)
  expect(states(book, "p", [0, 1])).toEqual(["PossessionVerified", "PossessionVerified"])
  book.take(claim("p", [1, 2], NOW + 1), NOW + 1)
  expect(states(book, "p", [0, 1, 2])).toEqual(["Unverified", "PossessionVerified", "SignatureOnly"])
  expect(book.proven("c", NOW)).toEqual(new Map([["p", [1]]]))
  expect(states(book, "p", [1], NOW + 86_400_001)).toEqual(["SignatureOnly"])
  book.prune(NOW + 600_000)
  expect(book.claim("p", "c")).toBeDefined()
  book.prune(NOW + 600_002)
  expect(book.claim("p", "c")).toBeUndefined()
})

test("a wrong answer: nothing counts until a new claim; who was caught is asked for nothing", () => {
  const book = new HoldingBook()
  book.take(claim("p", [0]), NOW)
  book.take(claim("q", [0]), NOW)
  book.proved("q", "c", NOW)
  book.caught("p", "c")
  expect(states(book, "p", [0])).toEqual(["Unverified"])
  expect(book.sources("c", NOW).map(({ peerId }) => peerId)).toEqual(["q"])
  expect(book.judged("c", NOW).map(({ verification }) => verification)).toEqual(["Unverified", "PossessionVerified"])
  book.take(claim("p", [0], NOW + 1), NOW)
  expect(states(book, "p", [0])).toEqual(["SignatureOnly"])
  book.forgetContent("c")
  expect(book.sources("c", NOW)).toEqual([])
})

test("a challenge by digest and one by symbol; only the right answer in time proves anything", async () => {
  for (const held of [true, false]) {
    const book = new HoldingBook()
    const challenger = new PossessionChallenger(book, counting())
    const ask = async (now: number) => {
      book.take(claim("p", [0, 1, 2, 3], now), now)
      return challenger.challenge("p", "c", facts(held ? [0, 1, 2, 3] : []), now)
    }
    const answer = (probe: { nonce: Bytes; symbolId: number; req: number }, bytes: Bytes, now: number, peer = "p") =>
      held
        ? challenger.proof(peer, { nonce: probe.nonce, digest: probeDigest(probe.nonce, "c", probe.symbolId, bytes) }, now)
        : challenger.symbol(peer, probe.req, probe.symbolId, bytes, now)
    const first = (await ask(NOW))!
    expect(first.held).toBe(held)
    expect(answer(first, symbols[first.symbolId]!, NOW, "q")).toBeUndefined()
    expect(answer(first, symbols[first.symbolId]!, NOW + 2_000)).toBe("c")
    expect(states(book, "p", [0, 1, 2, 3])).toEqual(Array(4).fill("PossessionVerified"))
    expect(answer(first, symbols[first.symbolId]!, NOW)).toBeUndefined()

    const later = NOW + CHALLENGE_EVERY_MS
    const second = (await ask(later))!
    expect(answer(second, Uint8Array.of(9), later)).toBe("c")
    expect(states(book, "p", [0], later)).toEqual(["Unverified"])

    const third = (await ask(later + CHALLENGE_EVERY_MS))!
    answer(third, symbols[third.symbolId]!, later + CHALLENGE_EVERY_MS + 2_001)
    expect(states(book, "p", [0], later + CHALLENGE_EVERY_MS)).toEqual(["SignatureOnly"])
  }
})

test("one challenge in ten minutes; silence changes nothing", async () => {
  const book = new HoldingBook()
  const challenger = new PossessionChallenger(book, counting())
  book.take(claim("p", [0]), NOW)
  const ask = (now: number) => challenger.challenge("p", "c", facts([]), now)
  expect(await ask(NOW)).toBeDefined()
  expect(await ask(NOW + CHALLENGE_EVERY_MS - 1)).toBeUndefined()
  challenger.expire(NOW + 2_001)
  expect(states(book, "p", [0])).toEqual(["SignatureOnly"])
  expect(await ask(NOW + CHALLENGE_EVERY_MS)).toBeDefined()
  // Symbols that no manifest has cannot be judged.
  book.take(claim("q", [4, 2 ** 32 - 1]), NOW)
  expect(await challenger.challenge("q", "c", facts([]), NOW)).toBeUndefined()
})
