/** Choosing parents, and telling copies apart: what a receiver pays for being fed twice. */
import { type ParentCandidate, ParentManager, planJoin, rankCandidates } from "../../src/alm/index.ts"
import { ChunkDedup, DedupRing } from "../../src/seal/inner/dedup.ts"
import { BLINKING_DOT, UNCAPPED } from "../../src/wire/layers.ts"
import { type Effort, microseconds, round } from "../measure.ts"
import type { BenchRow, Subject } from "../subject.ts"

const NOW = 1_700_000_000_000
const CHUNKS = 10_000
const POOL = 20

/** Relays of which about half pass every filter. */
function candidates(count: number): ParentCandidate[] {
  return Array.from({ length: count }, (_, i) => ({
    signedCapacity: {
      advertiserKeyId: `mk1${i.toString(16).padStart(64, "0")}`,
      capacity: {
        uplinkMbps: (i * 7) % 20,
        maxStreams: 8,
        maxSubscribersPerStream: 8,
        measuredAtUnixMs: BigInt(NOW - ((i * 97) % 32_000)),
        maxLayerSupported: UNCAPPED,
        subStreamCommitments: [],
      },
    },
    reachabilityRatio: 0.4 + ((i * 13) % 60) / 100,
    rttMsEstimate: (i * 31) % 200,
    currentSubscribers: i % 8,
  }))
}

async function measurePlanner(effort: Effort): Promise<BenchRow[]> {
  const rows: BenchRow[] = []
  for (const count of [10, 100, 1_000]) {
    const pool = candidates(count)
    const passed = rankCandidates(pool, 1, BLINKING_DOT, BigInt(NOW)).length
    const times = (operation: () => unknown) =>
      microseconds(effort, {
        operations: POOL,
        run: async () => {
          for (let i = 0; i < POOL; i++) operation()
        },
      })
    const plan_us = round(await times(() => planJoin(pool, 1, BLINKING_DOT, BigInt(NOW))))
    const manager = managerOf(pool)
    const tick_us = round(await times(() => manager.tick(NOW)))
    rows.push({ candidates: count, feasible: passed, plan_us, tick_us })
  }
  return rows
}

/** A manager that is fed by two parents. */
function managerOf(pool: readonly ParentCandidate[]): ParentManager {
  const own = { me: "me", publisher: "publisher", streamId: new Uint8Array(32), random: () => 0.5 }
  const manager = new ParentManager({ ...own, policy: BLINKING_DOT, bitrateMbps: 1 }, NOW)
  for (const action of manager.setCandidates(pool, NOW)) if (action.kind === "subscribe") manager.heard(action.parent, NOW)
  if (manager.parents.some(({ role }) => role === "asked")) throw new Error("the manager is still asking")
  return manager
}

async function measureDedup(effort: Effort): Promise<BenchRow[]> {
  // Every chunk twice, the copy 20 chunks later, as from a second parent that is a little farther away.
  const order = Array.from({ length: CHUNKS }, (_, i) => [BigInt(i + 20), BigInt(i)]).flat()
  const rows: BenchRow[] = []
  const ways: [string, () => (seq: bigint) => unknown][] = [
    ["window of 4 096 (receive path)", () => withWindow(new ChunkDedup())],
    ["ring of 1 024 (reference)", () => withRing(new DedupRing())],
  ]
  for (const [way, make] of ways) {
    let observe = make()
    const us = await microseconds(effort, {
      operations: order.length,
      prepare: async () => {
        observe = make()
      },
      run: async () => {
        for (const seq of order) observe(seq)
      },
    })
    rows.push({ way, observe_us: round(us) })
  }
  return rows
}

function withWindow(dedup: ChunkDedup): (seq: bigint) => unknown {
  return (seq) => dedup.peek(1n, seq) === "Fresh" && dedup.commit(1n, seq)
}

function withRing(ring: DedupRing): (seq: bigint) => unknown {
  return (seq) => ring.observe(1n, seq)
}

export const planner: Subject = {
  name: "planner",
  title: "Choosing parents",
  note: "plan: every filter, the order and the three best of a pool. tick: one look of a fed subscription's parent manager, which happens twice a second.",
  run: measurePlanner,
}

export const dedup: Subject = {
  name: "dedup",
  title: "Telling copies apart",
  note: "Every chunk comes twice, the copy 20 chunks after the original; time per chunk observed.",
  run: measureDedup,
}
