/** Long random lives of a group: everybody on one secret, newcomers included, and nobody who was removed. */
import { describe, expect, test } from "vitest"
import { isAvError } from "../wire/errors.ts"
import { seededRandom } from "../wire/seeded.ts"
import { MlsEngine, membersOf } from "./engine.ts"
import type { GroupState } from "./state.ts"

const NOW = 1_750_000_000_000
const MAX_MEMBERS = 20
const STEPS = 100

interface History {
  members: Map<string, GroupState>
  former: GroupState[]
  names: number
}

async function step(engine: MlsEngine, history: History, random: (below: number) => number): Promise<void> {
  const { members } = history
  const keyIds = [...members.keys()]
  const committer = keyIds[random(keyIds.length)] as string
  const others = keyIds.filter((keyId) => keyId !== committer)
  const kind = random(4)
  const addCount = kind === 0 || kind === 3 ? Math.min(1 + random(4), MAX_MEMBERS - members.size) : 0
  const removeCount = kind === 1 || kind === 3 ? Math.min(1 + random(3), others.length) : 0
  const removed = new Set<string>()
  while (removed.size < removeCount) removed.add(others[random(others.length)] as string)

  const state = members.get(committer) as GroupState
  const leaves = membersOf(state)
  const removes = leaves.filter(({ keyId }) => removed.has(keyId)).map(({ leafIndex }) => leafIndex)
  const newcomers = await Promise.all(Array.from({ length: addCount }, () => engine.mint(`member ${history.names++}`, NOW)))
  const made = await engine.commit(state, { adds: newcomers.map(({ keyPackage }) => keyPackage), removes })
  const authenticator = made.next.keySchedule.epochAuthenticator
  for (const keyId of others) {
    const before = members.get(keyId) as GroupState
    if (removed.has(keyId)) {
      await expectShutOut(engine, before, made.bytes)
      members.delete(keyId)
      history.former.push(before)
    } else {
      const next = await engine.process(before, made.bytes)
      expect(next.keySchedule.epochAuthenticator).toEqual(authenticator)
      members.set(keyId, next)
    }
  }
  members.set(committer, made.next)
  for (const [i, own] of newcomers.entries()) {
    const { state: joined } = await engine.join(made.welcome as Uint8Array, own)
    expect(joined.keySchedule.epochAuthenticator).toEqual(authenticator)
    members.set(
      membersOf(joined).find(({ leafIndex }) => leafIndex === joined.privatePath.leafIndex)?.keyId ?? `lost ${i}`,
      joined,
    )
  }
}

/** The removed member is told so; one that ignores it and goes on with all keys it holds gets nowhere. */
async function expectShutOut(engine: MlsEngine, state: GroupState, commit: Uint8Array): Promise<void> {
  const opened = await engine.open(state, commit)
  expect(opened.removesMe).toBe(true)
  await expect(engine.apply(state, opened)).rejects.toSatisfy((error) => isAvError(error, "RemovedFromGroup"))
  await expect(engine.apply(state, { ...opened, removesMe: false })).rejects.toSatisfy((error) =>
    isAvError(error, "ProcessFailed"),
  )
}

async function found(engine: MlsEngine): Promise<History> {
  const own = await engine.mint("member 0", NOW)
  const state = await engine.create(new Uint8Array(32).fill(1), own)
  return { members: new Map([["member 0", state]]), former: [], names: 1 }
}

describe("random histories", () => {
  test(`${STEPS} adds, removes, updates and batches over ${MAX_MEMBERS} members`, async () => {
    const random = seededRandom(20_250_615).below
    const engine = new MlsEngine()
    const history = await found(engine)
    for (let i = 0; i < STEPS; i++) await step(engine, history, random)
    expect(history.former.length).toBeGreaterThan(20)
    expect(history.names).toBeGreaterThan(40)
    // A member removed long ago cannot open what the others say now either.
    const [first] = history.members.values()
    const { bytes } = await engine.protect(first as GroupState, new Uint8Array(3))
    for (const state of history.former) {
      await expect(engine.openContent(state, bytes)).rejects.toSatisfy((error) => isAvError(error, "ProcessFailed"))
    }
  }, 120_000)

  test("small groups that shrink to the right half of the tree", async () => {
    const engine = new MlsEngine()
    for (const seed of [1, 2, 3]) {
      const random = seededRandom(seed).below
      const history = await found(engine)
      for (let i = 0; i < 6; i++) await step(engine, history, random)
    }
    // Leaves 0 and 1 go, so the committer's filtered path ends below the root.
    const packages = await Promise.all(["a", "b", "c", "d"].map((name) => engine.mint(name, NOW)))
    const [a, b, c, d] = packages as [(typeof packages)[0], (typeof packages)[0], (typeof packages)[0], (typeof packages)[0]]
    const start = await engine.create(new Uint8Array(32), a)
    const made = await engine.commit(start, { adds: [b, c, d].map(({ keyPackage }) => keyPackage) })
    const welcome = made.welcome as Uint8Array
    const third = (await engine.join(welcome, c)).state
    const fourth = (await engine.join(welcome, d)).state
    const remove = await engine.commit(third, { removes: [0, 1] })
    const fourthNext = await engine.process(fourth, remove.bytes)
    expect(fourthNext.keySchedule.epochAuthenticator).toEqual(remove.next.keySchedule.epochAuthenticator)
    const again = await engine.mint("again", NOW)
    const readd = await engine.commit(fourthNext, { adds: [again.keyPackage] })
    const joined = await engine.join(readd.welcome as Uint8Array, again)
    const thirdNext = await engine.process(remove.next, readd.bytes)
    for (const state of [joined.state, thirdNext]) {
      expect(state.keySchedule.epochAuthenticator).toEqual(readd.next.keySchedule.epochAuthenticator)
    }
  }, 120_000)
})
