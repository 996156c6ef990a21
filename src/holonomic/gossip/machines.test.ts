/** The small machines of a node: loops by the wall clock, the queue, fetches, manifests looked for, the snapshot of a mesh. */
import { expect, test } from "vitest"
import { sha256Sync } from "../../crypto/index.ts"
import { toHex } from "../../wire/bytes.ts"
import { testContent } from "../content/testing.ts"
import { keysOf, testPeer } from "../testing.ts"
import { snapshotDigest } from "../topology/digest.ts"
import { SymbolFetch } from "./fetching.ts"
import { Inbox } from "./inbox.ts"
import { LOOP_CADENCE_MS, LoopClock } from "./loops.ts"
import { ManifestHunt } from "./manifest-hunt.ts"
import { flattened, MeshFacts } from "./mesh-snapshot.ts"
import { SYMBOLS_END } from "./messages.ts"
import { PeerTable } from "./peers.ts"
import { ReconcileWalk } from "./reconcile.ts"

const NOW = 1_700_000_000_000

test("each loop runs once per slot of the wall clock, however long a tab slept or a clock was set back", () => {
  const clock = new LoopClock(0.5)
  expect(clock.due(NOW)).toEqual(["publisher", "converger", "witness", "decay", "headroom"])
  expect(clock.due(NOW + 1)).toEqual([])
  const next = clock.nextMs(NOW + 1)
  expect(next).toBeLessThanOrEqual(NOW + LOOP_CADENCE_MS.converger)
  expect(clock.due(next - 1)).toEqual([])
  expect(clock.due(next).length).toBeGreaterThan(0)
  // A week asleep: each once.
  expect(clock.due(NOW + 7 * 86_400_000)).toEqual(["publisher", "converger", "witness", "decay", "headroom"])
  expect(clock.due(NOW + 7 * 86_400_000)).toEqual([])
  expect(clock.due(NOW)).toEqual([])
  // Throttled to one timer a minute, nothing is missed for longer than that.
  let runs = 0
  for (let minute = 0; minute < 10; minute++)
    if (clock.due(NOW + 8 * 86_400_000 + minute * 60_000).includes("publisher")) runs += 1
  expect(runs).toBe(10)
  const other = new LoopClock(0.9)
  other.due(NOW)
  expect(other.nextMs(NOW)).not.toBe(new LoopClock(0.1).nextMs(NOW))
})

test("the queue runs one thing at a time, urgent ones first, and no peer fills it", async () => {
  const inbox = new Inbox()
  const log: string[] = []
  let release = () => {}
  const first = inbox.push("p", false, () => new Promise((resolve) => (release = resolve)))
  const others = ["a", "b"].map((name) => inbox.push("p", false, async () => void log.push(name)))
  const urgent = inbox.push("q", true, async () => void log.push("revoke"))
  const failing = inbox.push("q", false, () => Promise.reject(new Error("no")))
  const many = Array.from({ length: 600 }, () => inbox.push("p", false, async () => {}))
  expect(await many.at(-1)).toBe(false)
  await Promise.resolve()
  release()
  await Promise.all([first, ...others, urgent])
  await expect(failing).rejects.toThrow("no")
  expect(log).toEqual(["revoke", "a", "b"])
  await Promise.all(many)
  expect(await inbox.push("p", false, async () => {})).toBe(true)
})

test("a fetch asks several holders for exactly what is missing, and believes no bytes", async () => {
  const { manifest, symbols } = await testContent(await testPeer(1))
  const all = new Set(symbols.keys())
  const fetch = new SymbolFetch({ manifest, have: new Set([0, 1]), need: 20 })
  let req = 0
  const sources = ["p", "q", "r"].map((peerId) => ({ peerId, symbolIds: all }))
  const asked = fetch.next(
    sources,
    () => 4,
    () => ++req,
    NOW,
  )
  const ids = asked.flatMap(({ message }) => message.symbolIds)
  expect(ids).toHaveLength(18)
  expect(new Set(ids).size).toBe(18)
  expect(ids).not.toContain(0)
  expect(new Set(asked.map(({ peerId }) => peerId)).size).toBe(3)
  expect(
    fetch.next(
      sources,
      () => 4,
      () => ++req,
      NOW,
    ),
  ).toEqual([])
  const [first, second, third] = asked as [(typeof asked)[0], (typeof asked)[0], (typeof asked)[0]]
  const answer = (peerId: string, number: number, id: number, bytes = symbols[id]!.bytes) =>
    fetch.symbol(peerId, { req: number, symbolId: id, bytes }, NOW)
  const [good, bad] = first.message.symbolIds as [number, number]
  expect(answer("q", first.message.req, good)).toBe(false)
  expect(answer(first.peerId, 999, good)).toBe(false)
  answer(first.peerId, first.message.req, good)
  answer(first.peerId, first.message.req, good)
  expect(fetch.have).toBe(3)
  // A wrong symbol: its sender is asked no more, and the others for what it owed.
  answer(first.peerId, first.message.req, bad, new Uint8Array(64))
  fetch.symbol(first.peerId, { req: first.message.req, symbolId: SYMBOLS_END, bytes: new Uint8Array(0) }, NOW)
  for (const id of second.message.symbolIds) answer(second.peerId, second.message.req, id)
  fetch.symbol(second.peerId, { req: second.message.req, symbolId: SYMBOLS_END, bytes: new Uint8Array(0) }, NOW)
  // The third sends nothing, and is given up.
  fetch.tick(NOW + 9_999)
  expect(fetch.openAt(third.peerId)).toBe(1)
  fetch.tick(NOW + 10_000)
  expect(fetch.idle).toBe(true)
  const again = fetch.next(
    sources,
    () => 4,
    () => ++req,
    NOW + 10_000,
  )
  expect(new Set(again.map(({ peerId }) => peerId))).toEqual(new Set([second.peerId]))
  for (const { peerId, message } of again) for (const id of message.symbolIds) answer(peerId, message.req, id)
  for (const { peerId, message } of fetch.next(
    sources,
    () => 4,
    () => ++req,
    NOW,
  ))
    for (const id of message.symbolIds) answer(peerId, message.req, id)
  expect([fetch.done, fetch.have]).toEqual([true, 20])
  expect(
    fetch.next(
      sources,
      () => 0,
      () => ++req,
      NOW,
    ),
  ).toEqual([])
})

test("a manifest is asked for again, of others, and less and less often", () => {
  const hunt = new ManifestHunt((length) => new Uint8Array(length))
  hunt.want("aa", "q", NOW)
  expect(hunt.next([], NOW)).toEqual([])
  expect(hunt.next(["p", "q"], NOW)).toEqual([{ hash: "aa", peer: "q" }])
  expect(hunt.next(["p", "q"], NOW + 4_999)).toEqual([])
  expect(hunt.next(["p", "q"], NOW + 5_000)).toEqual([{ hash: "aa", peer: "p" }])
  let at = NOW + 5_000
  for (let i = 0; i < 4; i++) {
    at += 5_000
    hunt.next(["p"], at)
  }
  expect(hunt.next(["p"], at + 59_999)).toEqual([])
  expect(hunt.next(["p"], at + 60_000)).toHaveLength(1)
  // Whoever asks when to look next does not put it off.
  expect(hunt.nextTickMs()).toBe(at + 120_000)
  hunt.found("aa")
  expect([hunt.wants("aa"), hunt.nextTickMs()]).toEqual([false, Number.POSITIVE_INFINITY])
})

test("everybody who heard the same, in any order, has the same snapshot of a mesh", () => {
  const stream = { streamId: new Uint8Array(32).fill(1), epoch: 2n, localityId: "here" }
  const capacity = (at: number) => ({
    uplinkMbps: 10,
    maxStreams: 1,
    maxSubscribersPerStream: 2,
    measuredAtUnixMs: BigInt(at),
    maxLayerSupported: { maxSpatial: 0, maxTemporal: 0, maxQuality: 0 },
    subStreamCommitments: [],
  })
  const cut = NOW - (NOW % 10_000)
  const ads = ["a", "b", "old"].map((advertiserKeyId) => ({
    advertiserKeyId,
    capacity: capacity(advertiserKeyId === "old" ? cut - 30_000 : cut - 1_000),
    ...stream,
  }))
  const rtts = [40, 10, 30, 20, 50, 60].map((observedRttMs, i) => ({
    toPeerId: "b",
    observedRttMs,
    observedAtUnixMs: BigInt(cut - 59_000 + i * 1_000),
  }))
  const direct = (granterPeerId: string, granteePeerId: string) => ({
    granterPeerId,
    granteePeerId,
    grantedAtUnixMs: 1n,
    chainDepth: 0,
    weight: 255,
  })
  const grants = [direct("T", "a"), direct("a", "b"), direct("T", "b"), direct("b", "T")]
  const digests = [1, -1].map((order) => {
    const facts = new MeshFacts()
    const sorted = <T>(list: T[]) => (order > 0 ? list : list.toReversed())
    for (const ad of sorted(ads)) facts.takeAd(ad, "HybridSignatureValid")
    for (const rtt of sorted(rtts)) facts.takeRtt("a", rtt)
    facts.takeRtt("b", { toPeerId: "a", observedRttMs: 1, observedAtUnixMs: BigInt(cut - 60_001) })
    facts.takeRtt("b", { toPeerId: "a", observedRttMs: 1, observedAtUnixMs: BigInt(cut + 1) })
    const snapshot = facts.snapshot(stream, sorted(grants), NOW)
    expect(snapshot.capacityAds.map(({ advertiserKeyId }) => advertiserKeyId).sort()).toEqual(["a", "b"])
    // Of six samples the last five count: 10, 30, 20, 50, 60.
    expect(snapshot.reachabilityObservations.map(({ observedRttMs }) => observedRttMs)).toEqual([30])
    return toHex(snapshotDigest(snapshot))
  })
  expect(digests[1]).toBe(digests[0])
  const depths = flattened(grants).map(
    ({ granterPeerId, granteePeerId, chainDepth }) => `${granterPeerId}${granteePeerId}${chainDepth}`,
  )
  expect(depths.sort()).toEqual(["Ta0", "Tb0", "aT1", "ab0", "bT0", "ba1"])
})

test("requests of a peer are counted by the minute, and nobody else's keys are taken for its own", async () => {
  const [peer, other] = await Promise.all([testPeer(1), testPeer(2)])
  const table = new PeerTable()
  expect(() => table.connect(peer.keyId, keysOf(other), true)).toThrow("KeyInvalid")
  const stranger = table.connect(peer.keyId, keysOf(peer), false)
  expect(table.spend(stranger, NOW)).toBe(false)
  stranger.standing = 3
  expect(Array.from({ length: 14 }, () => table.spend(stranger, NOW)).filter(Boolean)).toHaveLength(13)
  expect(table.spend(stranger, NOW + 60_000)).toBe(true)
  table.disconnect(peer.keyId, NOW)
  expect([table.counts(peer.keyId, NOW + 9_999), table.counts(peer.keyId, NOW + 10_000)]).toEqual([true, false])
  table.learnKeys(other.keyId, keysOf(peer))
  expect(table.keysOf(other.keyId)).toBeUndefined()
})

test("a walk asks for what is missing, gives up who is silent, and knows what the other side lacks", () => {
  const hashes = ["a", "b", "c"].map((name) => sha256Sync(new TextEncoder().encode(name))).sort((x, y) => x[0]! - y[0]!)
  const has = new Set([toHex(hashes[0]!)])
  const walk = new ReconcileWalk({ has: (hash) => has.has(hash), hashes: () => [hashes[0]!] }, { epochId: 5n })
  expect(walk.start(NOW)).toEqual([{ t: "holo.leaves?", epochId: 5n }])
  expect(walk.leaves({ t: "holo.leaves", epochId: 4n, count: 1, hashes }, NOW)).toEqual([])
  const [request] = walk.leaves({ t: "holo.leaves", epochId: 5n, count: 2, hashes: hashes.slice(1) }, NOW)
  expect(request).toEqual({ t: "holo.claims?", hashes: hashes.slice(1) })
  expect([walk.expects("00"), walk.expects(toHex(hashes[1]!)), walk.expects(toHex(hashes[1]!))]).toEqual([false, true, false])
  expect(walk.progressed(NOW)).toEqual([])
  expect(walk.tick(NOW + 4_999)).toEqual([])
  expect(walk.tick(NOW + 5_000)).toEqual([request])
  walk.expects(toHex(hashes[2]!))
  expect([walk.progressed(NOW), walk.state]).toEqual([[], "done"])
  expect(walk.lacking()).toEqual([toHex(hashes[0]!)])
  const silent = new ReconcileWalk({ has: () => false, hashes: () => [] }, { epochId: 5n })
  silent.start(NOW)
  for (let i = 1; i <= 3; i++) silent.tick(NOW + i * 5_000)
  expect(silent.state).toBe("failed")
})
