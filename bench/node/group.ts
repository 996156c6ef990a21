/** Group keys: found, 25 joins one by one against one batch, remove, process, join, at N = 2, 8, 32, 128; and a commit's cost over comlink-free calls. */
import { MlsEngine } from "../../src/group/engine.ts"
import type { OwnKeyPackage } from "../../src/group/key-package.ts"
import type { GroupState } from "../../src/group/state.ts"
import type { Bytes } from "../../src/wire/types.ts"

/** One measurement: a table row by column name. Times are milliseconds, sizes bytes. */
export interface BenchRow {
  [column: string]: string | number
}

export interface NodeBench {
  name: string
  run(): Promise<BenchRow[]>
}

const SIZES = [2, 8, 32, 128]
const JOINS = 25
const ROUNDS = 5
const NOW = Date.now()

async function median(rounds: number, step: () => Promise<unknown>): Promise<number> {
  const times: number[] = []
  for (let i = 0; i < rounds; i++) {
    const start = performance.now()
    await step()
    times.push(performance.now() - start)
  }
  times.sort((a, b) => a - b)
  return Math.round((times[Math.floor(times.length / 2)] as number) * 100) / 100
}

async function mintMany(engine: MlsEngine, count: number): Promise<OwnKeyPackage[]> {
  const packages: OwnKeyPackage[] = []
  for (let i = 0; i < count; i++) packages.push(await engine.mint(`peer ${i}`, NOW))
  return packages
}

/** A group of `count`, the rest of the tree blank after one batch add: the most expensive shape. */
async function coldGroup(engine: MlsEngine, packages: OwnKeyPackage[]): Promise<{ state: GroupState; welcome: Bytes }> {
  const [founder, ...others] = packages as [OwnKeyPackage, ...OwnKeyPackage[]]
  const alone = await engine.create(new Uint8Array(32), founder)
  const made = await engine.commit(alone, { adds: others.map(({ keyPackage }) => keyPackage) })
  return { state: made.next, welcome: made.welcome as Bytes }
}

async function bySize(): Promise<BenchRow[]> {
  const engine = new MlsEngine()
  const packages = await mintMany(engine, Math.max(...SIZES))
  const rows: BenchRow[] = []
  for (const n of SIZES) {
    const members = packages.slice(0, n)
    const { state, welcome } = await coldGroup(engine, members)
    const receiver = (await engine.join(welcome, members.at(-1) as OwnKeyPackage)).state
    const target = n > 2 ? n - 2 : undefined
    const operations = target === undefined ? {} : { removes: [target] }
    const commit = await engine.commit(state, operations)
    rows.push({
      n,
      create_ms: await median(ROUNDS, () => coldGroup(engine, members)),
      remove_ms: await median(ROUNDS, () => engine.commit(state, operations)),
      process_ms: await median(ROUNDS, () => engine.process(receiver, commit.bytes)),
      join_ms: await median(ROUNDS, () => engine.join(welcome, members.at(-1) as OwnKeyPackage)),
      remove_bytes: commit.bytes.length,
      welcome_bytes: welcome.length,
    })
  }
  return rows
}

async function batchAgainstSingle(): Promise<BenchRow[]> {
  const engine = new MlsEngine()
  const packages = await mintMany(engine, JOINS + 1)
  const [founder, ...joiners] = packages as [OwnKeyPackage, ...OwnKeyPackage[]]
  const alone = await engine.create(new Uint8Array(32), founder)
  const adds = joiners.map(({ keyPackage }) => keyPackage)
  const batch = await median(ROUNDS, () => engine.commit(alone, { adds }))
  const single = await median(ROUNDS, async () => {
    let state = alone
    for (const add of adds) state = (await engine.commit(state, { adds: [add] })).next
  })
  return [{ joins: JOINS, batch_ms: batch, one_by_one_ms: single, mint_ms: await median(ROUNDS, () => engine.mint("one", NOW)) }]
}

export const benches: NodeBench[] = [
  { name: "MLS 0x004D by group size (cold tree)", run: bySize },
  { name: "MLS 0x004D: 25 joins in one commit and one by one", run: batchAgainstSingle },
]
