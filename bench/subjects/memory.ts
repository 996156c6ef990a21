/** A room's memory: witnesses over many claims, retention plans, and a recording of 10 MB from encoding to restoring. */
import {
  type ContentRef,
  ContentStore,
  type DurableClaim,
  leafSet,
  liveAt,
  makeContent,
  maxContentBytes,
  merkleRoot,
  type RetentionPlanInput,
  recommendedPolicy,
  restoreContent,
  retentionPlan,
  type SignedManifest,
  signClaim,
  signedClaimBytes,
  trustGrantBytes,
  verifyClaim,
  witnessPreimage,
} from "../../src/holonomic/index.ts"
import { signerFromSeeds } from "../../src/identity/index.ts"
import { MemoryHoloStorage } from "../../src/store/holo/memory.ts"
import type { Bytes } from "../../src/wire/types.ts"
import { type Effort, microseconds, quantile, round, takeTurns } from "../measure.ts"
import type { BenchRow, Subject } from "../subject.ts"

const NOW = 1_700_000_000_000
const CLAIMS = 10_000
const RECORDING = 10_000_000

const peerOf = (i: number) => `mk1${((i * 2_654_435_761) >>> 0).toString(16).padStart(64, "0")}`
const signer = () => signerFromSeeds(new Uint8Array(32).fill(1), new Uint8Array(32).fill(2))

/** Grants of everybody to somebody, as the live rules read them. */
function claims(count: number): DurableClaim[] {
  return Array.from({ length: count }, (_, i) => {
    const grant = {
      granter: peerOf(i),
      grantee: peerOf(i + 1),
      grantedAtUnixMs: BigInt(NOW),
      chainDepth: 0,
      weight: 255,
      expiresAtUnixMs: 0n,
    }
    const leaf = signedClaimBytes({
      claimKind: "trust_grant",
      signerPeerId: grant.granter,
      claimBytes: trustGrantBytes(grant),
      signedAtUnixMs: BigInt(NOW),
      claimVersion: 1,
      userOwner: null,
      delegatesTo: null,
      identityOccurrence: null,
    })
    const body = { kind: "trust_grant", grant } as const
    return { hash: "", leaf, signerPeerId: grant.granter, signedAtUnixMs: BigInt(NOW), cohortScope: "mesh", body }
  })
}

async function witnesses(effort: Effort): Promise<BenchRow[]> {
  const rows: BenchRow[] = []
  const own = await signer()
  const keys = { ed25519: own.entityId, mlDsa65: own.mlDsaPublicKey }
  const facts = { holdsManifest: () => true, holdsAggregation: () => true }
  for (const count of [1_000, CLAIMS]) {
    const all = claims(count)
    let root: Bytes = new Uint8Array(32)
    const times = await takeTurns(effort.rounds, {
      live: async () => liveAt(all, BigInt(NOW), facts),
      root: async () => {
        root = merkleRoot(leafSet(all.map(({ leaf }) => leaf)))
      },
      sign: async () => {
        const statement = {
          peerId: own.keyId,
          epochId: 1n,
          merkleRoot: root,
          leafCount: count,
          claimNamespaces: ["trust_grant@m"],
        }
        await own.signHybrid(witnessPreimage({ ...statement, observedAtUnixMs: BigInt(NOW), witnessVersion: 1 }))
      },
    })
    const claim = await signClaim(own, "trust_grant", trustGrantBytes(grantOf(own.keyId)), NOW)
    const verify = await microseconds(effort, { operations: 1, run: () => verifyClaim({ ...claim }, keys) })
    rows.push({
      claims: count,
      live_rules_ms: round(times.live),
      root_ms: round(times.root),
      sign_ms: round(times.sign),
      verify_one_claim_us: round(verify),
    })
  }
  return rows
}

const grantOf = (granter: string) => ({
  granter,
  grantee: peerOf(1),
  grantedAtUnixMs: BigInt(NOW),
  chainDepth: 0,
  weight: 255,
  expiresAtUnixMs: 0n,
})

async function plans(effort: Effort): Promise<BenchRow[]> {
  const rows: BenchRow[] = []
  const policy = recommendedPolicy()
  for (const peers of [5, 50, 120, 1_000]) {
    const livePeers = Array.from({ length: peers }, (_, i) => peerOf(i))
    const whole = Array.from({ length: policy.nSource + policy.kRepair }, (_, id) => id)
    const input = (holdings: ReadonlyMap<string, readonly number[]>): RetentionPlanInput => {
      return { contentId: "clip", policy, consent: "Active", localPeer: livePeers[1]!, holdings, livePeers }
    }
    const published = input(new Map([[livePeers[0]!, whole]]))
    // What the plans end with: thirty holders of one symbol, or all that the call has.
    const holders = livePeers.slice(1, 31)
    const share = (at: number) => whole.filter((id) => id % holders.length === at % whole.length)
    const settledHoldings = new Map<string, readonly number[]>([[livePeers[0]!, whole]])
    for (const [at, peer] of holders.entries())
      settledHoldings.set(peer, holders.length < whole.length ? share(at) : [at % whole.length])
    const settled = input(settledHoldings)
    const crowd = new Map<string, readonly number[]>(livePeers.slice(0, 90).map((peer, i) => [peer, i === 0 ? whole : [i % 26]]))
    const crowded = input(crowd)
    const times = await takeTurns(effort.rounds, {
      published: async () => retentionPlan(published),
      settled: async () => retentionPlan(settled),
      crowded: async () => retentionPlan(crowded),
    })
    rows.push({
      peers,
      first_spread_ms: round(times.published),
      settled_ms: round(times.settled),
      ninety_holders_ms: round(times.crowded),
    })
  }
  return rows
}

async function recording(effort: Effort): Promise<BenchRow[]> {
  const own = await signer()
  const payload = new Uint8Array(RECORDING)
  for (let i = 0; i < payload.length; i++) payload[i] = (i * 2_654_435_761) >>> 13
  const part = maxContentBytes(recommendedPolicy())
  const parts = Array.from({ length: Math.ceil(RECORDING / part) }, (_, i) => payload.subarray(i * part, (i + 1) * part))
  const refs: ContentRef[] = parts.map((_, i) => ({ contentId: `part-${i}`, corpusKind: "av_chunk" }))
  const envelope = { className: "STANDARD", authorities: [], application: new Uint8Array(0) }
  let made: Awaited<ReturnType<typeof makeContent>>[] = []
  let store = await ContentStore.open(new MemoryHoloStorage())
  const fill = async () => {
    store = await ContentStore.open(new MemoryHoloStorage())
    for (const { manifest, symbols } of made) await store.put(manifest, symbols, { own: true, nowUnixMs: BigInt(NOW) })
  }
  const times = await takeTurns(Math.min(3, effort.rounds), {
    encode: async () => {
      made = []
      for (const [i, bytes] of parts.entries()) made.push(await makeContent(refs[i]!, bytes, envelope, own))
    },
    store: fill,
    restore_source: () => restoreAll(store, refs, 0),
    restore_repair: () => restoreAll(store, refs, 6),
  })
  const evicting: number[] = []
  for (let turn = 0; turn < Math.min(3, effort.rounds); turn++) {
    await fill()
    const start = performance.now()
    for (const tier of ["T2", "T3", "T4"] as const) for (const ref of refs) await store.evictToTier(ref, tier)
    evicting.push(performance.now() - start)
  }
  return [
    {
      megabytes: RECORDING / 1e6,
      parts: parts.length,
      encode_and_sign_ms: round(times.encode),
      admit_and_store_ms: round(times.store),
      evict_three_tiers_ms: round(quantile(evicting, 0.5)),
      restore_from_source_ms: round(times.restore_source),
      restore_with_6_repair_ms: round(times.restore_repair),
    },
  ]
}

/** Reads every part, without its first `missing` source symbols. */
async function restoreAll(store: ContentStore, refs: readonly ContentRef[], missing: number): Promise<void> {
  for (const ref of refs) {
    const reading = await store.read(ref)
    if (reading.state !== "held") throw new Error("not held")
    restore(reading.manifest, reading.symbols, missing)
  }
}

function restore(manifest: SignedManifest, symbols: { symbolId: number; bytes: Uint8Array }[], missing: number): void {
  const used = symbols.filter(({ symbolId }) => symbolId >= missing && (missing > 0 || symbolId < manifest.nSource))
  restoreContent(manifest, used)
}

export const witnessOfClaims: Subject = {
  name: "witness",
  title: "A witness over many claims",
  note: "Which claims count, the root over them, and both signatures; once a minute, and only when something has changed. Beside it what one claim costs to verify when it comes in.",
  run: witnesses,
}

export const retentionPlans: Subject = {
  name: "retention",
  title: "The retention plan of one content",
  note: "26 symbols, 30 holders wanted. First: only the publisher holds it. Settled: nothing to do, which is what every 30 s costs. Ninety holders: the surplus goes.",
  run: plans,
}

export const recordingInMemory: Subject = {
  name: "memory",
  title: "A recording of 10 MB in a room's memory",
  note: "One peer, storage in memory. Every symbol is hashed when it is admitted and again when it is read.",
  run: recording,
}
