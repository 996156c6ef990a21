/** A mesh that keeps contents while peers come and go: the product's nodes and storage, a virtual clock, one seed. */

import { type MeshPeer, TestMesh } from "../../src/holonomic/gossip/testing.ts"
import { type ContentRef, makeContent } from "../../src/holonomic/index.ts"
import { peerFromSeed } from "../../src/holonomic/testing.ts"
import { Random } from "../engine/random.ts"
import { lightSigner, lightVerify } from "./light.ts"

export interface RetentionScenario {
  peers: number
  contents: number
  minutes: number
  /** Of the peers leave per hour for good, and as many come. */
  churnPerHour: number
  /** Publishers leave for good at this minute, all of them; 0: never. */
  publishersLeaveAt: number
  /** Peers that publish; contents are spread over them. */
  publishers: number
  /** Minutes at the end without churn, to see that nothing moves any more. */
  quiet: number
  seed: number
}

export const RETENTION_DEFAULTS: RetentionScenario = {
  peers: 40,
  contents: 8,
  minutes: 60,
  churnPerHour: 0.2,
  publishersLeaveAt: 15,
  publishers: 2,
  quiet: 15,
  seed: 1,
}

export interface RetentionSample {
  minute: number
  online: number
  /** Of all contents: peers that hold any symbol of it, the heaviest left out. */
  holders: { min: number; median: number; max: number }
  /** Symbols kept in all, by those of a content; 26 is each once. */
  copies: { min: number; mean: number; max: number }
  /** Distinct symbols that are there, of the content that has fewest. */
  distinct: number
  /** Contents of which fewer than the source symbols are there. */
  lost: number
  /** Symbols that live peers have let go and taken up in this minute. */
  dropped: number
  adopted: number
}

export interface RetentionReport {
  scenario: RetentionScenario
  samples: RetentionSample[]
  left: number
  joined: number
  /** The least that any content had at any minute. */
  leastDistinct: number
  lost: number
  /** Holders and copies over the quiet time's last minute. */
  settled: { holders: RetentionSample["holders"]; copies: RetentionSample["copies"] }
  /** Symbols that moved in the last ten quiet minutes. */
  movedWhileQuiet: number
  /** Bytes of symbols sent, per content and byte of content. */
  trafficFactor: number
  /** A content revoked at the end: seconds until the last live peer had deleted it. */
  revocationSeconds: number
}

const MINUTE_MS = 60_000
const SYMBOL_BYTES = 64
const N_SOURCE = 20

/** The same scenario gives the same report, byte for byte. */
export async function simulateRetention(
  scenario: RetentionScenario,
  progress?: (minute: number) => void,
): Promise<RetentionReport> {
  const random = new Random(scenario.seed, "retention")
  const mesh = new TestMesh({ seed: scenario.seed, wire: false, delayMs: 30 })
  let next = 0
  const join = async () => {
    const peer = await mesh.add(lightSigner(await peerFromSeed(next++)), { verify: lightVerify })
    await mesh.join(peer)
    return peer
  }
  const peers: MeshPeer[] = []
  for (let i = 0; i < scenario.peers; i++) {
    peers.push(await join())
    await mesh.run(1_000)
  }
  const publishers = peers.slice(0, scenario.publishers)
  const refs: ContentRef[] = []
  for (let i = 0; i < scenario.contents; i++) refs.push(await publish(mesh, publishers[i % publishers.length]!, i))
  const samples: RetentionSample[] = []
  let [left, joined] = [0, 0]
  let before = await held(mesh, refs)
  const total = scenario.minutes + scenario.quiet
  for (let minute = 1; minute <= total; minute++) {
    if (minute === scenario.publishersLeaveAt) for (const peer of publishers) mesh.leave(peer)
    // Who leaves and comes does so at any second of the minute.
    const events = minute > scenario.minutes ? 0 : leavers(random, scenario)
    const times = Array.from({ length: events }, () => random.between(0, MINUTE_MS)).sort((a, b) => a - b)
    let at = 0
    for (const time of times) {
      await mesh.run(time - at)
      at = time
      const online = mesh.online().filter((peer) => !publishers.includes(peer))
      mesh.leave(online[random.below(online.length)]!)
      await join()
      left += 1
      joined += 1
    }
    await mesh.run(MINUTE_MS - at)
    const now = await held(mesh, refs)
    const online = new Set(mesh.online().map(({ signer }) => signer.keyId))
    const dropped = [...before].filter(([key, peer]) => online.has(peer) && !now.has(key)).length
    const adopted = [...now.keys()].filter((key) => !before.has(key)).length
    samples.push({ ...(await look(mesh, refs)), minute, dropped, adopted })
    before = now
    progress?.(minute)
  }
  const last = samples.at(-1)!
  const sent = [...mesh.peers.values()].reduce((sum, peer) => sum + peer.sent.symbols, 0)
  const payload = scenario.contents * N_SOURCE * SYMBOL_BYTES
  return {
    scenario,
    samples,
    left,
    joined,
    leastDistinct: Math.min(...samples.map(({ distinct }) => distinct)),
    lost: Math.max(...samples.map(({ lost }) => lost)),
    settled: { holders: last.holders, copies: last.copies },
    movedWhileQuiet: samples.slice(-10).reduce((sum, { dropped, adopted }) => sum + dropped + adopted, 0),
    trafficFactor: Math.round((100 * sent) / payload) / 100,
    revocationSeconds: await revokeOne(mesh, refs[0]!, publishers[0]!),
  }
}

async function publish(mesh: TestMesh, publisher: MeshPeer, i: number): Promise<ContentRef> {
  const ref = { contentId: `content-${i}`, corpusKind: "blob" }
  const payload = Uint8Array.from({ length: N_SOURCE * SYMBOL_BYTES }, (_, at) => (at * 7 + (at >> 6) * 31 + i * 101) & 0xff)
  const envelope = { className: "PERSISTENT", authorities: [], application: new Uint8Array(0) }
  const { manifest, symbols } = await makeContent(ref, payload, envelope, publisher.signer)
  await publisher.node.put(manifest, symbols, mesh.nowMs)
  return ref
}

/** How many leave in one minute: the fraction by lot. */
function leavers(random: Random, { peers, churnPerHour }: RetentionScenario): number {
  const mean = (peers * churnPerHour) / 60
  return Math.floor(mean) + (random.unit() < mean % 1 ? 1 : 0)
}

async function look(
  mesh: TestMesh,
  refs: readonly ContentRef[],
): Promise<Omit<RetentionSample, "minute" | "dropped" | "adopted">> {
  const holders: number[] = []
  const copies: number[] = []
  const distincts: number[] = []
  for (const ref of refs) {
    const counts = []
    const seen = new Set<number>()
    for (const { node } of mesh.online()) {
      const ids = await node.shelf.symbolIds(ref)
      if (ids.length > 0) counts.push(ids.length)
      for (const id of ids) seen.add(id)
    }
    holders.push(Math.max(0, counts.length - 1))
    copies.push(counts.reduce((sum, count) => sum + count, 0) - Math.max(0, ...counts))
    distincts.push(seen.size)
  }
  const sorted = holders.toSorted((a, b) => a - b)
  return {
    online: mesh.online().length,
    holders: { min: sorted[0]!, median: sorted[Math.floor(sorted.length / 2)]!, max: sorted.at(-1)! },
    copies: {
      min: Math.min(...copies),
      mean: Math.round((10 * copies.reduce((sum, count) => sum + count, 0)) / copies.length) / 10,
      max: Math.max(...copies),
    },
    distinct: Math.min(...distincts),
    lost: distincts.filter((count) => count < N_SOURCE).length,
  }
}

/** Every symbol on a live peer, with the peer. */
async function held(mesh: TestMesh, refs: readonly ContentRef[]): Promise<Map<string, string>> {
  const found = new Map<string, string>()
  for (const { node, signer } of mesh.online()) {
    for (const ref of refs) {
      for (const id of await node.shelf.symbolIds(ref)) found.set(`${signer.keyId} ${ref.contentId} ${id}`, signer.keyId)
    }
  }
  return found
}

/** The publisher comes back for it when it has left. */
async function revokeOne(mesh: TestMesh, ref: ContentRef, publisher: MeshPeer): Promise<number> {
  if (!publisher.online) await mesh.join(publisher)
  await mesh.run(20_000)
  const start = mesh.nowMs
  await publisher.node.revoke(ref, mesh.nowMs)
  for (;;) {
    const held = []
    for (const { node } of mesh.online()) held.push((await node.shelf.symbolIds(ref)).length)
    if (held.every((count) => count === 0)) return (mesh.nowMs - start) / 1_000
    if (mesh.nowMs - start > 10 * MINUTE_MS) return Number.POSITIVE_INFINITY
    await mesh.run(250)
  }
}
