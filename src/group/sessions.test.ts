/** MlsSession and AvSession: the behaviours listed in av-mesh 11 and the decisions D-12, D-13, D-17. */
import { inspect } from "node:util"
import { beforeAll, describe, expect, test, vi } from "vitest"
import { type ErrorCode, isAvError } from "../wire/errors.ts"
import { AvSession } from "./av-session.ts"
import { MlsEngine } from "./engine.ts"
import type { OwnKeyPackage } from "./key-package.ts"
import { type Member, memberOf } from "./member.ts"
import { MlsSession } from "./mls-session.ts"

// Key generation is slow, and slower still on a busy machine.
vi.setConfig({ hookTimeout: 60_000 })

const NOW = 1_750_000_000_000
const STREAM = new Uint8Array(32).fill(5)
const engine = new MlsEngine()
const packages: OwnKeyPackage[] = []
const members: Member[] = []
const POOL = 56

beforeAll(async () => {
  for (let i = 0; i < POOL; i++) {
    const own = await engine.mint(`peer ${i}`, NOW)
    packages.push(own)
    members.push(memberOf(`peer ${i}`, own.bytes))
  }
})

const own = (i: number) => packages[i] as OwnKeyPackage
const member = (i: number) => members[i] as Member
const range = (from: number, to: number) => members.slice(from, to)
const without = (m: Member): Member => ({ ...m, kexPubkeys: { x25519Pub: m.kexPubkeys.x25519Pub } })
const create = (count: number) => MlsSession.create(own(0), "peer 0", range(1, count), { engine })

async function refused(run: Promise<unknown>, code: ErrorCode, keyId?: string): Promise<void> {
  const error = await run.then(
    () => undefined,
    (cause: unknown) => cause,
  )
  expect(isAvError(error, code), `${code}, not ${String(error)}`).toBe(true)
  if (keyId !== undefined && isAvError(error)) expect(error.details.key_id).toBe(keyId)
}

describe("MlsSession", () => {
  test.each([1, 2, 4, 7, 8, 16])("create for %i", async (n) => {
    const { session, rootSecret } = await create(n)
    expect(session.epoch()).toBe(n === 1 ? 0n : 1n)
    expect(session.memberCount()).toBe(n)
    expect(session.memberKeyIds()).toContain("peer 0")
    expect(rootSecret.some((byte) => byte !== 0)).toBe(true)
  })

  test("a peer without ML-KEM is refused everywhere and nothing changes", async () => {
    await refused(
      MlsSession.create(own(0), "peer 0", [member(1), without(member(2)), without(member(3))]),
      "PeerLacksMlkem",
      "peer 2",
    )
    const { session } = await create(2)
    await refused(session.commitAdd(without(member(3))), "PeerLacksMlkem", "peer 3")
    const short = { ...member(4), kexPubkeys: { ...member(4).kexPubkeys, mlkem768Pub: new Uint8Array(1183) } }
    await refused(session.commitBatch([{ add: member(3) }, { add: short }, { remove: "peer 1" }]), "PeerLacksMlkem", "peer 4")
    const foreign = { ...own(5), keyPackage: { ...own(5).keyPackage, initKey: new Uint8Array(32) } }
    await refused(MlsSession.processWelcome("peer 5", foreign, new Uint8Array(8)), "PeerLacksMlkem", "peer 5")
    expect([session.epoch(), session.memberCount()]).toEqual([1n, 2])
    await session.commitAdd(member(3))
    expect([session.epoch(), session.memberCount()]).toEqual([2n, 3])
  })

  test("add, then remove: roots change, members count", async () => {
    const { session, rootSecret } = await create(3)
    const added = await session.commitAdd(member(3))
    expect(added.commit).not.toEqual(added.welcome)
    const removed = await session.commitRemove("peer 1")
    expect(session.memberKeyIds()).toEqual(["peer 0", "peer 2", "peer 3"])
    expect(new Set([rootSecret, added.rootSecret, removed.rootSecret].map(String)).size).toBe(3)
    await refused(session.commitRemove("peer 1"), "MemberNotFound", "peer 1")
  })

  test.each([2, 8, 20])("batch of %i adds: one commit, a welcome each, all alike", async (n) => {
    const { session } = await create(2)
    const { welcomes } = await session.commitBatch(range(2, 2 + n).map((add) => ({ add })))
    expect(welcomes).toHaveLength(n)
    for (const welcome of welcomes) expect(welcome).toEqual(welcomes[0])
    expect([session.epoch(), session.memberCount()]).toEqual([2n, 2 + n])
  })

  test.each([2, 8])("batch of %i removes has no welcome", async (n) => {
    const { session } = await create(10)
    const { welcomes } = await session.commitBatch(range(1, 1 + n).map(({ keyId }) => ({ remove: keyId })))
    expect(welcomes).toHaveLength(0)
    expect(session.memberCount()).toBe(10 - n)
  })

  test("operations that cannot be: each by name, group untouched", async () => {
    const { session } = await create(3)
    await refused(session.commitBatch([]), "EmptyBatch")
    await refused(session.commitBatch([{ add: member(4) }, { remove: "nobody" }]), "MemberNotFound", "nobody")
    await refused(session.commitBatch([{ remove: "peer 0" }]), "CannotRemoveSelf")
    await refused(session.commitBatch([{ add: member(1) }]), "AlreadyMember", "peer 1")
    await refused(session.commitBatch([{ add: member(4) }, { add: member(4) }]), "DuplicateOp", "peer 4")
    await refused(session.commitBatch([{ remove: "peer 1" }, { remove: "peer 1" }]), "DuplicateOp", "peer 1")
    await refused(session.commitAdd({ ...member(4), keyPackage: undefined }), "KeyPackageUnavailable", "peer 4")
    await refused(session.commitAdd({ ...member(4), keyId: "somebody" }), "KeyPackageMismatch", "somebody")
    expect([session.epoch(), session.memberCount()]).toEqual([1n, 3])
    await session.commitBatch([{ remove: "peer 1" }, { add: member(1) }])
    expect([session.epoch(), session.memberCount()]).toEqual([2n, 3])
  })

  test("two machines: welcome, third member, removal", async () => {
    const a = await MlsSession.create(own(0), "peer 0", [], { engine })
    const add = await a.session.commitAdd(member(1))
    const b = await MlsSession.processWelcome("peer 1", own(1), add.welcome)
    expect(b.rootSecret).toEqual(add.rootSecret)
    const third = await b.session.commitAdd(member(2))
    expect(await a.session.processCommit(third.commit)).toEqual(third.rootSecret)
    const c = await MlsSession.processWelcome("peer 2", own(2), third.welcome)
    expect(c.rootSecret).toEqual(third.rootSecret)
    expect(third.rootSecret).not.toEqual(add.rootSecret)
    const gone = await a.session.commitRemove("peer 1")
    expect(await c.session.processCommit(gone.commit)).toEqual(gone.rootSecret)
    await refused(b.session.processCommit(gone.commit), "RemovedFromGroup")
    expect([b.session.isActive(), b.session.memberCount()]).toEqual([false, 0])
    await refused(b.session.commitAdd(member(3)), "RemovedFromGroup")
  })

  test("foreign bytes have their names", async () => {
    const { session, welcomes } = await create(2)
    await refused(session.processCommit(new Uint8Array(40)), "WireDecodeFailed")
    await refused(session.processCommit(welcomes[0] as Uint8Array), "NotACommit")
    await refused(session.processCommit(own(3).bytes), "NotACommit")
    await refused(MlsSession.processWelcome("peer 3", own(3), welcomes[0] as Uint8Array), "WelcomeFailed")
    await refused(MlsSession.processWelcome("peer 3", own(3), own(3).bytes), "WireDecodeFailed")
  })
})

describe("AvSession", () => {
  test.each([2, 4, 8])("create for %i, join, leave", async (n) => {
    const { session, dek } = await AvSession.create(STREAM, own(0), "peer 0", range(1, n), { engine, autoConfirm: true })
    expect(session.epoch()).toBe(1n)
    const join = await session.advanceEpoch({ join: member(20) })
    expect([join.newEpoch, join.welcomeBytes.length]).toEqual([2n, 1])
    const leave = await session.advanceEpoch({ leave: "peer 1" })
    expect([leave.newEpoch, leave.welcomeBytes.length]).toEqual([3n, 0])
    const keys = [dek, join.newDek, leave.newDek].map((key) => String(key.reveal()))
    expect(new Set(keys).size).toBe(3)
    expect(session.rosterSize()).toBe(n)
    expect(session.streamId()).toEqual(STREAM)
  })

  test("replace keeps the own member and finds the difference", async () => {
    const { session } = await AvSession.create(STREAM, own(0), "peer 0", range(1, 3), { engine, autoConfirm: true })
    const { welcomeBytes } = await session.advanceEpoch({ replace: [member(1), member(3), member(4)] })
    expect([welcomeBytes.length, session.rosterSize()]).toEqual([2, 4])
    await refused(session.advanceEpoch({ replace: [member(0), member(4), member(3), member(1)] }), "EmptyBatch")
    await refused(session.advanceEpoch({ leave: "peer 0" }), "CannotRemoveSelf")
    await refused(session.advanceEpoch({ join: without(member(9)) }), "PeerLacksMlkem")
  })

  test.each([10, 50])("a batch of %i joins is one step", async (n) => {
    const { session } = await AvSession.create(STREAM, own(0), "peer 0", [], { engine, autoConfirm: true })
    const { newEpoch, welcomeBytes } = await session.advanceEpoch({ batch: range(1, 1 + n).map((add) => ({ add })) })
    expect([newEpoch, welcomeBytes.length, session.rosterSize()]).toEqual([1n, n, n + 1])
  })

  test("staged: pending, conflict, retry; all three agree in the end", async () => {
    const a = await AvSession.create(STREAM, own(0), "peer 0", range(1, 3), { engine })
    const [welcome] = a.welcomes
    const b = await AvSession.processWelcome(STREAM, "peer 1", own(1), welcome as Uint8Array)
    const c = await AvSession.processWelcome(STREAM, "peer 2", own(2), welcome as Uint8Array)
    expect(b.dek.reveal()).toEqual(a.dek.reveal())
    const winner = await a.session.advanceEpoch({ join: member(3) })
    const loser = await b.session.advanceEpoch({ join: member(4) })
    expect(a.session.epoch()).toBe(1n)
    await refused(a.session.advanceEpoch({ join: member(5) }), "CommitPending")
    winner.confirm()
    expect(a.session.epoch()).toBe(2n)
    expect((await b.session.processCommit(winner.commitBytes)).reveal()).toEqual(winner.newDek.reveal())
    await c.session.processCommit(winner.commitBytes)
    expect(() => loser.confirm()).toThrow(expect.objectContaining({ code: "CommitConflict" }))
    loser.abort()
    await refused(a.session.processCommit(loser.commitBytes), "ProcessFailed")
    const retry = await b.session.advanceEpoch({ join: member(4) })
    retry.confirm()
    const atA = await a.session.processCommit(retry.commitBytes)
    const atC = await c.session.processCommit(retry.commitBytes)
    expect([atA.reveal(), atC.reveal()]).toEqual([retry.newDek.reveal(), retry.newDek.reveal()])
    expect(a.session.rosterSize()).toBe(5)
  })

  test("a content key does not print itself", async () => {
    const { dek } = await AvSession.create(STREAM, own(0), "peer 0", [], { engine })
    for (const shown of [String(dek), JSON.stringify({ dek }), inspect(dek), `${dek}`]) expect(shown).toContain("<redacted")
    dek.erase()
    expect(dek.reveal().every((byte) => byte === 0)).toBe(true)
  })
})
