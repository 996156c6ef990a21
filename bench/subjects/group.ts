/** Group keys at suite 0x004D: founding, adding, removing, processing and joining, by group size; batches against single joins. */
import { MlsEngine } from "../../src/group/index.ts"
import type { OwnKeyPackage } from "../../src/group/key-package.ts"
import type { GroupState } from "../../src/group/state.ts"
import type { Bytes } from "../../src/wire/types.ts"
import { type Effort, round, takeTurns } from "../measure.ts"
import type { BenchRow, Subject } from "../subject.ts"

const SIZES = [2, 8, 32, 128]
const JOINS = 25

async function mintMany(engine: MlsEngine, count: number): Promise<OwnKeyPackage[]> {
  const packages: OwnKeyPackage[] = []
  for (let i = 0; i < count; i++) packages.push(await engine.mint(`peer ${i}`, Date.now()))
  return packages
}

/** A group of all packages made by one commit: every inner node is blank, the dearest shape for the next commit. */
async function coldGroup(engine: MlsEngine, packages: OwnKeyPackage[]): Promise<{ state: GroupState; welcome: Bytes }> {
  const [founder, ...others] = packages as [OwnKeyPackage, ...OwnKeyPackage[]]
  const alone = await engine.create(new Uint8Array(32), founder)
  const { next, welcome } = await engine.commit(alone, { adds: others.map(({ keyPackage }) => keyPackage) })
  if (welcome === undefined) throw new Error("no Welcome")
  return { state: next, welcome }
}

async function bySize(effort: Effort): Promise<BenchRow[]> {
  const engine = new MlsEngine()
  const packages = await mintMany(engine, Math.max(...SIZES) + 1)
  const rows: BenchRow[] = []
  for (const n of SIZES) rows.push(await measureSize(effort, engine, packages.slice(0, n), packages[n] as OwnKeyPackage))
  return rows
}

async function measureSize(
  effort: Effort,
  engine: MlsEngine,
  members: OwnKeyPackage[],
  newcomer: OwnKeyPackage,
): Promise<BenchRow> {
  const { state, welcome } = await coldGroup(engine, members)
  const last = members.at(-1) as OwnKeyPackage
  const receiver = (await engine.join(welcome, last)).state
  // In a group of two nobody would be left to process the removal, so the remover goes on alone there.
  const removes = [members.length > 2 ? members.length - 2 : 1]
  const adds = [newcomer.keyPackage]
  const removal = await engine.commit(state, { removes })
  const addition = await engine.commit(state, { adds })
  const addWelcome = addition.welcome as Bytes
  const times = await takeTurns(effort.rounds, {
    create: () => coldGroup(engine, members),
    add: () => engine.commit(state, { adds }),
    remove: () => engine.commit(state, { removes }),
    process: () => engine.process(receiver, addition.bytes),
    join: () => engine.join(addWelcome, newcomer),
  })
  return {
    members: members.length,
    create_ms: round(times.create),
    add_ms: round(times.add),
    remove_ms: round(times.remove),
    process_ms: round(times.process),
    join_ms: round(times.join),
    add_commit_bytes: addition.bytes.length,
    remove_commit_bytes: removal.bytes.length,
    welcome_bytes: addWelcome.length,
  }
}

async function batch(effort: Effort): Promise<BenchRow[]> {
  const engine = new MlsEngine()
  const packages = await mintMany(engine, JOINS + 2)
  const joiners = packages.slice(2).map(({ keyPackage }) => keyPackage)
  const { state: start } = await coldGroup(engine, packages.slice(0, 2))
  const sequence = (forcePath: boolean) => async () => {
    let state = start
    for (const add of joiners) state = (await engine.commit(state, { adds: [add] }, { forcePath })).next
  }
  const together = (forcePath: boolean) => () => engine.commit(start, { adds: joiners }, { forcePath })
  const times = await takeTurns(Math.max(3, effort.rounds - 4), {
    single: sequence(true),
    batch: together(true),
    singleWithoutPath: sequence(false),
    batchWithoutPath: together(false),
  })
  const single = await engine.commit(start, { adds: joiners.slice(0, 1) })
  const all = await engine.commit(start, { adds: joiners })
  const row = (variant: string, one: number, many: number): BenchRow => ({
    variant,
    one_by_one_ms: round(one),
    batch_ms: round(many),
    ratio: round(one / many),
  })
  return [
    {
      ...row("every commit with a path (as rooms do)", times.single, times.batch),
      first_single_commit_bytes: single.bytes.length,
      batch_commit_bytes: all.bytes.length,
      batch_welcome_bytes: all.welcome?.length ?? 0,
    },
    row("no paths", times.singleWithoutPath, times.batchWithoutPath),
    row("paths only one by one (as published)", times.single, times.batchWithoutPath),
  ]
}

export const group: Subject = {
  name: "group",
  title: "MLS 0x004D by group size",
  note: "A cold tree: the group was made by one commit, so no inner node holds a key and every commit encrypts to each leaf. Create includes adding all members; add and remove are one commit with a path; process is a member's side of that add; join is the newcomer's. Without networking, records and hybrid signatures.",
  run: bySize,
}

export const batchJoin: Subject = {
  name: "batch",
  title: "25 joins onto a group of 2: one by one against one commit",
  note: "The committer's side. KeyPackages were minted before and do not count.",
  run: batch,
}
