/** The committer's batches: reasons that must fit into 8 KiB, and attempts that fail (RM-8, RM-14). */
import { expect, test } from "vitest"
import type { GroupMember, GroupView } from "../group/types.ts"
import { parseCommitReasons } from "../wire/commit-reasons.ts"
import { AvError } from "../wire/errors.ts"
import type { RoomOrder } from "../wire/room-order.ts"
import { seededRandom } from "../wire/seeded.ts"
import { Carrier } from "./carrier.ts"
import { RoomCore } from "./core.ts"
import { GroupTrack } from "./group-track.ts"
import { Sequencer } from "./sequencer.ts"
import { START } from "./test-network.ts"
import { testIdentity } from "./test-node.ts"
import type { RoomAction } from "./types.ts"

const MAX_REASONS_LENGTH = 8_192
const idOf = (i: number) => `mk1${i.toString(16).padStart(64, "0")}`
const leaf = (i: number): GroupMember => ({ keyId: idOf(i), leafIndex: i, leafKey: new Uint8Array(32), verified: true })

/** A committer among `size` members; commits are made by the test. */
function committer(size: number, changed: () => void = () => {}) {
  const random = seededRandom(1).bytes
  const self = testIdentity(random).peer
  const core = new RoomCore({ name: "test-room", self, inviteKey: new Uint8Array(32), random })
  core.now = START
  const members: GroupMember[] = [{ ...leaf(0), keyId: self.keyId }]
  for (let i = 1; i < size; i++) members.push(leaf(i))
  const view = (epoch: bigint, list: GroupMember[]): GroupView => ({
    roomId: new Uint8Array(32),
    epoch,
    ownKeyId: self.keyId,
    ownLeaf: 0,
    members: list,
    tip: new Uint8Array(32),
    roomCode: "0000-0000",
  })
  core.setView(view(0n, members))
  const nothing = () => {}
  const track = new GroupTrack(core, new Carrier(core), {
    changed: ({ view: next, added, removed }) => {
      core.setView(next)
      sequencer.membersChanged(added, removed)
      changed()
    },
    removedMe: nothing,
    broken: nothing,
    lostCommits: nothing,
    foreign: nothing,
    behind: nothing,
    needLeaves: nothing,
    open: nothing,
  })
  const sequencer = new Sequencer(core, track, { iCommit: () => true })
  const request = (i: number) => ({ keyId: idOf(i), session: "s", record: new Uint8Array(1), binding: new Uint8Array(1) })
  type Commit = Extract<RoomAction, { type: "op" }> & { op: { op: "commit" } }
  /** Lets time pass and returns the commit that is asked for now. */
  const tick = (ms = 300): Commit | undefined => {
    core.now += ms
    sequencer.tick()
    return core.takeActions().find((action): action is Commit => action.type === "op" && action.op.op === "commit")
  }
  /** Answers a commit as the group would. */
  const made = ({ id, op }: Commit) => {
    const epoch = core.view!.epoch
    const list = core.view!.members.filter(({ keyId }) => !op.removes.includes(keyId))
    const change = {
      view: view(epoch + 1n, list),
      commitHash: new Uint8Array(32),
      author: core.me,
      added: [],
      removed: op.removes,
      authenticatedData: op.authenticatedData,
    }
    const bytes = new Uint8Array([Number(epoch)])
    core.finishOp({ type: "opResult", id, ok: true, value: { change, epoch, bytes, hash: bytes, welcomes: [], records: [] } })
  }
  return { core, track, sequencer, tick, made, request }
}

function order(target: string): RoomOrder {
  const sig = new Uint8Array(64)
  return { kind: 1, target, issuedMs: 1n, expiresMs: 2n, entityId: new Uint8Array(32), sig, chain: new Uint8Array(3_000) }
}

test("64 reloads and 40 losses at once: commits of at most 8 KiB of reasons, until everybody is served", () => {
  const { core, sequencer, tick, made, request } = committer(120)
  for (let i = 1; i <= 64; i++) sequencer.queue.add(request(i), core.now)
  for (let i = 65; i <= 104; i++) sequencer.queue.remove({ keyId: idOf(i), reason: "gone", urgent: false }, core.now)
  const added = new Set<string>()
  const removed = new Set<string>()
  let commits = 0
  for (let commit = tick(); commit !== undefined; commit = tick()) {
    expect(commit.op.authenticatedData.length).toBeLessThanOrEqual(MAX_REASONS_LENGTH)
    const why = parseCommitReasons(commit.op.authenticatedData)
    expect(why.map(({ keyId }) => keyId).sort()).toEqual([...commit.op.removes].sort())
    for (const { keyId, reason } of why) (reason === "replaced" ? added : removed).add(keyId)
    made(commit)
    expect(++commits).toBeLessThan(5)
  }
  expect([added.size, removed.size]).toEqual([64, 40])
  expect(commits).toBeGreaterThan(1)
})

test("orders with token chains are long: each still gets into some commit, the urgent ones first", () => {
  const { core, sequencer, tick, made } = committer(40)
  for (let i = 1; i <= 30; i++) sequencer.queue.remove({ keyId: idOf(i), reason: "gone", urgent: false }, core.now)
  for (let i = 31; i <= 34; i++) {
    sequencer.queue.remove({ keyId: idOf(i), reason: "removed", order: order(idOf(i)), urgent: true }, core.now)
  }
  const gone: string[] = []
  for (let commit = tick(); commit !== undefined; commit = tick()) {
    const ordered = parseCommitReasons(commit.op.authenticatedData).filter(({ reason }) => reason === "removed")
    if (gone.length === 0) expect(ordered.length).toBeGreaterThan(0)
    gone.push(...commit.op.removes)
    made(commit)
  }
  expect(new Set(gone).size).toBe(34)
})

test("an attempt that throws half-way does not leave the committer busy", () => {
  let broken = true
  const { core, track, sequencer, tick, made, request } = committer(10, () => {
    if (broken) throw new RangeError("somewhere below")
  })
  sequencer.queue.add(request(20), core.now)
  const commit = tick()!
  expect(() => made(commit)).toThrow(RangeError)
  expect([track.busy, sequencer.queue.open]).toEqual([false, false])
  broken = false
  sequencer.queue.add(request(21), core.now)
  expect(tick()?.op.adds).toHaveLength(1)
})

test("a commit that the group refuses is tried again without the culprit", () => {
  const { core, sequencer, tick, request } = committer(10)
  for (const i of [20, 21, 22]) sequencer.queue.add(request(i), core.now)
  const { id } = tick()!
  core.finishOp({ type: "opResult", id, ok: false, error: new AvError("ProcessFailed", { key_id: idOf(21) }) })
  expect(tick()?.op.adds).toHaveLength(2)
})
