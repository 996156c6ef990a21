/** A member that missed something: later proposals, newer settings, more commits than fit into one answer (RM-16, RM-17). */
import { describe, expect, test } from "vitest"
import type { ControlMessage, KnownControlMessage } from "../wire/control-json.ts"
import type { Bytes } from "../wire/types.ts"
import { CatchUp } from "./catch-up.ts"
import type { RoomCore } from "./core.ts"
import type { RoomSession } from "./sessions.ts"
import { TestNetwork } from "./test-network.ts"
import type { TestNode } from "./test-node.ts"

/** Two members; `a`'s tab stands still, and the test speaks for it on its session with `b`. */
async function frozen(seed: number) {
  const net = new TestNetwork(seed)
  const a = net.add("a")
  await net.run(500)
  const b = net.add("b")
  expect(await net.run(10_000, () => net.agreed())).toBe(true)
  await net.run(1_000)
  const session = b.machine.sessionOf(a.keyId)!
  const roomId = b.machine.roomId!
  const said = sends(b)
  a.alive = false
  const say = (message: ControlMessage) => net.feed(b, { type: "message", session, message })
  const mls = (kind: "app" | "proposal" | "commit", bytes: Bytes) => say({ t: "av.mls", roomId, kind, bytes })
  /** Empty commits of `a`, one after another, that nobody has seen yet. */
  const commits = async (count: number) => {
    const made: { epoch: bigint; bytes: Bytes }[] = []
    for (let i = 0; i < count; i++) {
      const { token, epoch, bytes } = await a.group.stageCommit({ now: net.now })
      await a.group.confirm(token, net.now)
      made.push({ epoch, bytes })
    }
    return made
  }
  return { net, a, b, session, roomId, say, mls, commits, said }
}

/** What a node sends from now on. */
function sends(node: TestNode): KnownControlMessage[] {
  const said: KnownControlMessage[] = []
  const { handle } = node.machine
  node.machine.handle = (event, now) => {
    const actions = handle.call(node.machine, event, now)
    for (const action of actions) if (action.type === "send") said.push(action.message)
    return actions
  }
  return said
}

test("a proposal that overtakes the commit before it waits for its epoch", async () => {
  const { net, a, b, mls, commits } = await frozen(1)
  const [commit] = await commits(1)
  mls("proposal", await a.group.proposeLeave())
  await net.run(100)
  mls("commit", commit!.bytes)
  await net.run(2_500)
  expect(b.saw("memberLeft")).toEqual([{ type: "memberLeft", keyId: a.keyId, reason: "left" }])
  expect(b.memberIds).toEqual([b.keyId])
})

test("a proposal of a later epoch is passed on unread", async () => {
  const net = new TestNetwork(2)
  const nodes = ["a", "b", "c"].map((label) => net.add(label))
  expect(await net.run(15_000, () => net.agreed())).toBe(true)
  await net.run(6_000)
  const [a, b, c] = nodes as [TestNode, TestNode, TestNode]
  const roomId = b.machine.roomId!
  const { token } = await a.group.stageCommit({ now: net.now })
  await a.group.confirm(token, net.now)
  const bytes = await a.group.proposeLeave()
  const said = sends(b)
  const message: ControlMessage = { t: "av.mls", roomId, kind: "proposal", bytes }
  net.feed(b, { type: "message", session: b.machine.sessionOf(a.keyId)!, message })
  expect(said.filter(({ t }) => t === "av.mls")).toEqual([message])
  expect(b.machine.sessionOf(c.keyId)).toBeDefined()
})

describe("settings", () => {
  const settings = { admission: "knock", maxMembers: 7, publish: "all", relay: "all", barred: [] } as const

  test("that were lost on the way are asked for when a neighbour shows a newer version", async () => {
    const net = new TestNetwork(3)
    const host = net.add("host")
    await net.run(500)
    const guest = net.add("guest")
    expect(await net.run(10_000, () => net.agreed())).toBe(true)
    // Nobody looks for missing states any more.
    await net.run(20_000)
    net.lossPercent = 100
    net.feed(host, { type: "settings", settings: { ...settings, barred: [] } })
    await net.run(200)
    net.lossPercent = 0
    expect(guest.saw("settings")).toEqual([])
    await net.run(6_000)
    expect(guest.saw("settings").map(({ settings: { maxMembers } }) => maxMembers)).toEqual([7])
  })

  test("that do not exist are asked for once in a while only", async () => {
    const { net, b, roomId, say, said } = await frozen(4)
    const { epoch, tip } = b.machine.view!
    for (let i = 0; i < 50; i++) {
      say({ t: "room.alive", roomId, epoch, tip, settingsVersion: 2n ** 64n - 1n })
      await net.run(50)
    }
    const asked = said.filter(({ t }) => t === "room.sync?").length
    expect(asked).toBeGreaterThan(0)
    expect(asked).toBeLessThanOrEqual(3)
  })
})

describe("missed commits", () => {
  test.each([16, 64])("more than 32 of them, answered by %i at a time, do not end the session", async (page) => {
    const { net, b, roomId, say, mls, commits, said } = await frozen(5)
    const start = b.machine.view!.epoch
    const made = await commits(60)
    const target = start + 60n
    const answered = new Set<KnownControlMessage>()
    for (let step = 0; step < 100 && b.machine.view!.epoch < target; step++) {
      say({ t: "room.alive", roomId, epoch: target, tip: new Uint8Array(32), settingsVersion: 0n })
      await net.run(100)
      for (const question of said) {
        if (question.t !== "room.commits?" || answered.has(question)) continue
        answered.add(question)
        const from = made.findIndex(({ epoch }) => epoch === question.fromEpoch)
        for (const { bytes } of made.slice(Math.max(0, from)).slice(0, page)) mls("commit", bytes)
      }
    }
    expect(b.machine.view!.epoch).toBe(target)
    expect(b.actions.filter(({ type }) => type === "goaway")).toEqual([])
    expect(answered.size).toBeLessThanOrEqual(5)
  })

  test("what nobody asked for is still measured: the 33rd commit in ten seconds ends the session", async () => {
    const { b, session, mls, commits } = await frozen(6)
    for (const { bytes } of await commits(33)) mls("commit", bytes)
    expect(b.actions).toContainEqual({ type: "goaway", session, code: 7 })
  })

  test("one question does not open the gate for good", async () => {
    const { net, b, session, roomId, say, mls, commits, said } = await frozen(7)
    const made = await commits(1)
    say({ t: "room.alive", roomId, epoch: made[0]!.epoch + 9n, tip: new Uint8Array(32), settingsVersion: 0n })
    await net.run(600)
    expect(said.some(({ t }) => t === "room.commits?")).toBe(true)
    for (let i = 0; i < 64 + 33; i++) mls("commit", made[0]!.bytes)
    expect(b.actions).toContainEqual({ type: "goaway", session, code: 7 })
  })

  test("an answer is a page of what the asker can hold, and nobody gets one as often as it likes", async () => {
    const { net, b, roomId, say, mls, commits, said } = await frozen(8)
    const start = b.machine.view!.epoch
    for (const { bytes } of await commits(30)) {
      mls("commit", bytes)
      await net.run(20)
    }
    expect(b.machine.view!.epoch).toBe(start + 30n)
    const commitsSaid = () => said.filter((message) => message.t === "av.mls" && message.kind === "commit").length
    const before = commitsSaid()
    say({ t: "room.commits?", roomId, fromEpoch: start })
    expect(commitsSaid() - before).toBe(16)
    for (let i = 0; i < 50; i++) say({ t: "room.commits?", roomId, fromEpoch: start })
    expect(commitsSaid() - before).toBeLessThanOrEqual(4 * 16)
    await net.run(1_100)
    const later = commitsSaid()
    say({ t: "room.commits?", roomId, fromEpoch: start + 20n })
    expect(commitsSaid() - later).toBe(10)
  })
})

describe("who is asked for missed commits", () => {
  const roomId = new Uint8Array(32).fill(1)
  const tip = (epoch: bigint) => new Uint8Array(32).fill(Number(epoch))

  function scene(links: string[]) {
    const asked: { session: string; fromEpoch: bigint }[] = []
    const calls: string[] = []
    const sessions = new Map(links.map((id) => [id, { id } as RoomSession]))
    const core = {
      now: 1_000,
      view: { epoch: 5n, tip: tip(5n) },
      room: { roomId },
      sessions,
      count: () => {},
      act: ({ session, message }: { session: string; message: { fromEpoch: bigint } }) =>
        asked.push({ session, fromEpoch: message.fromEpoch }),
    }
    const state = { busy: false }
    const catchUp = new CatchUp(core as unknown as RoomCore, {
      otherBranch: (session) => calls.push(`other branch ${session}`),
      tooOld: () => calls.push("too old"),
      links: () => [...sessions.values()],
      busy: () => state.busy,
    })
    catchUp.epochChanged()
    const show = (session: string, epoch: bigint) =>
      catchUp.alive(session, { t: "room.alive", roomId, epoch, tip: tip(epoch), settingsVersion: 0n })
    const run = (ms: number) => {
      for (const end = core.now + ms; core.now < end; ) {
        core.now += 100
        catchUp.tick()
      }
    }
    return { core, sessions, state, catchUp, asked, calls, show, run }
  }

  test("a newcomer that never had them is not the last one asked", () => {
    const { catchUp, asked, calls, show, run } = scene(["new", "old"])
    show("new", 7n)
    show("old", 7n)
    run(500)
    expect(asked).toEqual([{ session: "new", fromEpoch: 5n }])
    catchUp.tooOld("new")
    run(100)
    expect(asked[1]).toEqual({ session: "old", fromEpoch: 5n })
    expect(calls).toEqual([])
    catchUp.tooOld("old")
    expect(calls).toEqual(["too old"])
  })

  test("one that does not answer is followed by the next, and nobody is asked who is behind as well", () => {
    const { asked, calls, show, run } = scene(["behind", "mute", "other"])
    show("behind", 5n)
    show("mute", 6n)
    show("other", 6n)
    run(2_000)
    expect(asked.map(({ session }) => session)).toEqual(["mute", "other"])
    run(10_000)
    expect(asked.some(({ session }) => session === "behind")).toBe(false)
    expect(calls).toHaveLength(1)
  })

  test("while commits are being taken nobody is asked, and nobody taken for another branch", () => {
    const { state, asked, calls, show, run } = scene(["a"])
    state.busy = true
    show("a", 6n)
    run(20_000)
    expect([asked, calls]).toEqual([[], []])
    state.busy = false
    run(100)
    expect(asked).toHaveLength(1)
  })

  test("what was learned from a link outlives it when others show the same", () => {
    const { catchUp, sessions, asked, show, run } = scene(["a", "b"])
    show("a", 6n)
    show("b", 6n)
    sessions.delete("a")
    catchUp.closed("a")
    run(600)
    expect(asked).toEqual([{ session: "b", fromEpoch: 5n }])
  })

  test("a peer where this one was before is only behind; another tip of that epoch is another branch", () => {
    const { core, catchUp } = scene(["a"])
    core.view = { epoch: 6n, tip: tip(6n) }
    catchUp.epochChanged()
    expect(catchUp.wasAt({ roomId, epoch: 5n, tip: tip(5n) })).toBe(true)
    expect(catchUp.wasAt({ roomId, epoch: 5n, tip: tip(9n) })).toBe(false)
    expect(catchUp.wasAt({ roomId, epoch: 4n, tip: tip(4n) })).toBeUndefined()
    expect(catchUp.wasAt({ roomId, epoch: 7n, tip: tip(7n) })).toBeUndefined()
  })
})
