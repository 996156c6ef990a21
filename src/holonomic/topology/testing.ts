/** Helpers for the tests of this folder: profile 1001 once more in the simplest form that can be written, and random snapshots. */
import fc from "fast-check"
import { compareUtf8 } from "../../wire/bytes.ts"
import type { Bytes, PeerKeyId } from "../../wire/types.ts"
import { latestAds } from "./candidates.ts"
import { believedMillibps, pairScore, parentScore } from "./quantise.ts"
import { pathBytes, pathKey, sortedPaths, WHOLE_STREAM } from "./sub-path.ts"
import type {
  AdVerification,
  ReachabilityObservation,
  RootedOptions,
  TopologyAd,
  TopologyEdge,
  TopologySnapshot,
  TrustGrant,
} from "./types.ts"

export const STREAM = new Uint8Array(32).fill(7)

export interface AdOptions {
  uplinkMbps?: number
  subscribers?: number
  measuredAt?: number
  verification?: AdVerification
  streamId?: Bytes
  commitments?: [path: number[], subscribers: number][]
}

export function ad(advertiserKeyId: PeerKeyId, options: AdOptions = {}): TopologyAd {
  return {
    advertiserKeyId,
    capacity: {
      uplinkMbps: options.uplinkMbps ?? 100,
      maxStreams: 8,
      maxSubscribersPerStream: options.subscribers ?? 64,
      measuredAtUnixMs: BigInt(options.measuredAt ?? 1_000),
      maxLayerSupported: { maxSpatial: 255, maxTemporal: 255, maxQuality: 255 },
      subStreamCommitments: (options.commitments ?? []).map(([path, maxSubscribers]) => ({
        subStreamPath: Uint8Array.from(path),
        uplinkBudgetMbps: 5,
        maxSubscribers,
      })),
    },
    streamId: options.streamId ?? STREAM,
    epoch: 1n,
    verification: options.verification ?? "HybridSignatureValid",
  }
}

export function grant(granterPeerId: PeerKeyId, granteePeerId: PeerKeyId, chainDepth = 0): TrustGrant {
  return { granterPeerId, granteePeerId, grantedAtUnixMs: 1n, chainDepth, weight: 255 }
}

export function seen(fromPeerId: PeerKeyId, toPeerId: PeerKeyId, observedRttMs = 50): ReachabilityObservation {
  return { fromPeerId, toPeerId, observedRttMs, observedAtUnixMs: 2n }
}

/** Everybody trusts and reaches everybody. */
export function fullMesh(ads: TopologyAd[], rttMs = 50): TopologySnapshot {
  const ids = [...new Set(ads.map(({ advertiserKeyId }) => advertiserKeyId))]
  const pairs = ids.flatMap((a) => ids.filter((b) => b !== a).map((b) => [a, b] as const))
  return {
    capacityAds: ads,
    trustGrants: pairs.map(([a, b]) => grant(a, b)),
    reachabilityObservations: pairs.map(([a, b]) => seen(a, b, rttMs)),
    localityId: "here",
    snapshotEpochId: 9n,
  }
}

export function shuffled<T>(list: readonly T[], seed: number): T[] {
  const out = [...list]
  let state = seed >>> 0
  for (let i = out.length - 1; i > 0; i--) {
    state = (Math.imul(state, 1_664_525) + 1_013_904_223) >>> 0
    const j = state % (i + 1)
    ;[out[i], out[j]] = [out[j]!, out[i]!]
  }
  return out
}

export function shuffledSnapshot(snapshot: TopologySnapshot, seed: number): TopologySnapshot {
  return {
    ...snapshot,
    capacityAds: shuffled(snapshot.capacityAds, seed),
    trustGrants: shuffled(snapshot.trustGrants, seed + 1),
    reachabilityObservations: shuffled(snapshot.reachabilityObservations, seed + 2),
  }
}

const peerNames = ["peer", "Peer", "é", "ﬁ～", "p\u{1F600}", "p～", "zz", ""]
const paths: number[][] = [[], [0], [1], [0, 1], [3]]

const nameOf = (i: number) => `${peerNames[i % peerNames.length]}#${i}`

/** Snapshots of up to a dozen peers with everything that matters: old ads, ties, long chains, far pairs, promises, strangers. */
export const snapshots: fc.Arbitrary<TopologySnapshot> = fc.integer({ min: 1, max: 12 }).chain((count) => {
  const peer = fc.integer({ min: 0, max: count - 1 }).map(nameOf)
  const commitments: fc.Arbitrary<[number[], number][]> = fc.oneof(
    { weight: 1, arbitrary: fc.constant<[number[], number][]>([]) },
    {
      weight: 1,
      arbitrary: fc.array(fc.tuple(fc.constantFrom(...paths), fc.nat({ max: 6 })), { maxLength: 5 }),
    },
  )
  const anyAd = fc
    .record({
      id: peer,
      uplinkMbps: fc.constantFrom(0, 1, 5, 16.7, 33.3, 250, 999.999, 5_000, 12_345.678, Number.NaN, -1),
      subscribers: fc.constantFrom(0, 1, 2, 3, 8),
      measuredAt: fc.integer({ min: 1, max: 3 }),
      verification: fc.constantFrom<AdVerification>(
        "HybridSignatureValid",
        "HybridSignatureValid",
        "ThroughputChallenged",
        "Unverified",
      ),
      commitments,
    })
    .map(({ id, ...options }) => ad(id, options))
  // Mostly full meshes: in sparse ones hardly anybody has a choice.
  const listed = <T>(weights: number[], make: (from: string, to: string, value: number) => T) =>
    fc
      .array(fc.constantFrom(...weights), { minLength: count * count, maxLength: count * count })
      .map((values) =>
        values.flatMap((value, i) => (value < 0 ? [] : [make(nameOf(Math.floor(i / count)), nameOf(i % count), value)])),
      )
  return fc.record({
    capacityAds: fc
      .tuple(fc.array(anyAd, { minLength: count, maxLength: count }), fc.array(anyAd, { maxLength: 4 }))
      .map(([own, more]) => [...own.map((one, i) => ({ ...one, advertiserKeyId: nameOf(i) })), ...more]),
    trustGrants: listed([-1, 0, 0, 0, 0, 0, 1, 4, 5, 255], grant),
    reachabilityObservations: listed([-1, 0, 1, 50, 50, 50, 50, 120, 5_000, 5_001], seen),
    localityId: fc.constant("here"),
    snapshotEpochId: fc.constant(3n),
  })
})

/** Profile 1001 with maps and strings, one line per sentence of the rule. Edges in any order. */
export function simplestRooted(snapshot: TopologySnapshot, { sourcePeerId, edgeMillibps = 0n }: RootedOptions): TopologyEdge[] {
  const locality = new Set(snapshot.reachabilityObservations.flatMap((o) => [o.fromPeerId, o.toPeerId]))
  const latest = new Map([...latestAds(snapshot.capacityAds)].filter(([id]) => locality.has(id)))
  if (!latest.has(sourcePeerId)) return []
  const ids = [...latest.keys()].sort(compareUtf8)
  const cap = (id: string) => believedMillibps(latest.get(id)!.capacity.uplinkMbps, latest.get(id)!.verification)
  const promises = (id: string) => latest.get(id)!.capacity.subStreamCommitments
  const wants = (id: string) =>
    promises(id).length === 0 ? [WHOLE_STREAM] : sortedPaths(promises(id).map((c) => pathKey(c.subStreamPath)))
  const trust = (a: string, b: string) =>
    Math.min(
      ...snapshot.trustGrants
        .filter((g) => g.granterPeerId === a && g.granteePeerId === b && g.chainDepth <= 4)
        .map((g) => g.chainDepth),
    )
  const rtt = (a: string, b: string) =>
    Math.min(
      ...snapshot.reachabilityObservations.filter((o) => o.fromPeerId === a && o.toPeerId === b).map((o) => o.observedRttMs),
    )
  const edges: TopologyEdge[] = []
  const between = (a: string, b: string) => edges.filter((e) => e.parentPeerId === a && e.childPeerId === b).length
  const children = ids.filter((id) => id !== sourcePeerId).sort((a, b) => cap(b) - cap(a) || compareUtf8(a, b))
  for (const path of sortedPaths(children.flatMap(wants))) {
    const depth = new Map([[sourcePeerId, 0]])
    const onPath = (a: string) => edges.filter((e) => e.parentPeerId === a && pathKey(e.subStreamPath) === path).length
    for (let d = 0; [...depth.values()].includes(d); d++) {
      for (const child of children.filter((id) => wants(id).includes(path) && !depth.has(id))) {
        const possible = ids.filter((parent) => {
          const own = edges.filter((e) => e.parentPeerId === parent)
          const subs = new Set(own.map((e) => e.childPeerId))
          const promise = promises(parent).find((c) => pathKey(c.subStreamPath) === path)
          return (
            depth.get(parent) === d &&
            trust(parent, child) <= 4 &&
            rtt(parent, child) <= 5_000 &&
            (subs.has(child) || subs.size < latest.get(parent)!.capacity.maxSubscribersPerStream) &&
            (promises(parent).length === 0 || (promise !== undefined && onPath(parent) < promise.maxSubscribers)) &&
            (edgeMillibps === 0n || BigInt(own.length + 1) * edgeMillibps <= BigInt(cap(parent)))
          )
        })
        const score = (parent: string) =>
          Math.max(0, parentScore(cap(parent)) + pairScore(trust(parent, child), rtt(parent, child)) - 5 * onPath(parent))
        possible.sort((a, b) => between(a, child) - between(b, child) || score(b) - score(a) || compareUtf8(a, b))
        const parent = possible[0]
        if (parent === undefined) continue
        edges.push({ parentPeerId: parent, childPeerId: child, subStreamPath: pathBytes(path) })
        depth.set(child, d + 1)
      }
    }
  }
  return edges
}
