/**
 * The six scenarios of the conformance contract (control-plane 3.6), said once: tabs, Node peers and mixtures of both run the same.
 * A cast is three peers of one room, whatever they are.
 */
import { deepStrictEqual } from "node:assert"
import type { Room } from "../../src/room/types.ts"
import { type Announcement, about, announce, callAll, heardRound, type Outcome, refusals, serve, stopServing } from "./actions.ts"

/** Runs an action where the peer is. */
export interface ContractPeer {
  name: string
  act<P, R>(action: (room: Room, parameters: P) => R | Promise<R>, parameters: P): Promise<R>
}

export interface Cast {
  /** Serves and says whom it admits. */
  server: ContractPeer
  /** Belongs where a scenario lets somebody belong. */
  friend: ContractPeer
  /** Belongs nowhere. */
  stranger: ContractPeer
}

interface Scenario {
  name: string
  run(cast: Cast): Promise<void>
}

const SUBNET = "aa".repeat(16)
const GROUP = "bb".repeat(32)
const SHAPES = ["unary", "down", "up", "both"]
const OPEN = { tags: [], participants: [], subnets: [], groups: [] }
const HEARD_MS = 20_000
const LOOK_EVERY_MS = 50

let rounds = 0

/** Before the first scenario of a cast. */
export async function prepare({ server }: Cast): Promise<void> {
  await server.act(serve, undefined)
}

/** After the last one, where another cast of the same room follows: nobody else may offer what its server offers. */
export async function finish({ server }: Cast): Promise<void> {
  await server.act(stopServing, undefined)
  await server.act(announce, { ...OPEN, round: "over" })
}

export const SCENARIOS: readonly Scenario[] = [
  {
    name: "1: without lists everybody is admitted",
    async run(cast) {
      await settle(cast, {})
      await admitted(cast, cast.friend)
      await admitted(cast, cast.stranger)
    },
  },
  {
    name: "2: of allowed nodes one is admitted, another is not",
    async run(cast) {
      const { id } = await cast.friend.act(about, undefined)
      await settle(cast, { participants: [id] })
      await admitted(cast, cast.friend)
      await denied(cast, cast.stranger)
    },
  },
  {
    name: "3: of an allowed subnet a member is admitted, another is not",
    async run(cast) {
      await settle(cast, { subnets: [SUBNET] }, [`subnet:${SUBNET}`])
      await admitted(cast, cast.friend)
      await denied(cast, cast.stranger)
    },
  },
  {
    name: "4: of an allowed group one who claims it is admitted, another is not",
    async run(cast) {
      await settle(cast, { groups: [GROUP] }, [`group:${GROUP}`])
      await admitted(cast, cast.friend)
      await denied(cast, cast.stranger)
    },
  },
  {
    name: "5: a later announcement revokes",
    async run(cast) {
      await settle(cast, {})
      await admitted(cast, cast.friend)
      const { id } = await cast.server.act(about, undefined)
      await settle(cast, { participants: [id] })
      await denied(cast, cast.friend)
    },
  },
  {
    name: "6: the callee refuses who goes around its own gate",
    async run(cast) {
      const { id, node } = await cast.server.act(about, undefined)
      await settle(cast, { participants: [id] })
      const before = await counts(cast, cast.friend)
      deepStrictEqual(await cast.friend.act(callAll, { target: id }), refusalsOf(node))
      const after = await counts(cast, cast.friend)
      // Every one of them came to the callee: the caller's gate was not asked.
      deepStrictEqual({ callee: after.callee - before.callee, caller: after.caller - before.caller }, { callee: 4, caller: 0 })
    },
  },
]

type Policy = Partial<Pick<Announcement, "participants" | "subnets" | "groups">>

/** New announcements of all three, and time until each has those of the others. */
async function settle(cast: Cast, policy: Policy, friendTags: string[] = []): Promise<void> {
  const peers = [cast.server, cast.friend, cast.stranger]
  const round = `${++rounds}`
  await cast.server.act(announce, { ...OPEN, ...policy, round })
  await cast.friend.act(announce, { ...OPEN, tags: friendTags, round })
  await cast.stranger.act(announce, { ...OPEN, round })
  for (const peer of peers) {
    const { id } = await peer.act(about, undefined)
    for (const other of peers) await heard(other, id, round)
  }
}

async function heard(peer: ContractPeer, id: string, round: string): Promise<void> {
  const end = Date.now() + HEARD_MS
  while ((await peer.act(heardRound, { id })) !== round) {
    if (Date.now() > end) throw new Error(`${peer.name} did not hear announcement ${round} of ${id.slice(0, 12)}`)
    await new Promise((resolve) => setTimeout(resolve, LOOK_EVERY_MS))
  }
}

/** Both through the own gate and around it. */
async function admitted({ server }: Cast, caller: ContractPeer): Promise<void> {
  const { id } = await server.act(about, undefined)
  const answers: Outcome[] = ["a", ["a", "a"], "a+a", ["a", "a"]]
  for (const target of ["any", id]) deepStrictEqual(await caller.act(callAll, { target }), answers)
}

/** The same error whichever gate speaks, and each refusal counted once. */
async function denied(cast: Cast, caller: ContractPeer): Promise<void> {
  const { id, node } = await cast.server.act(about, undefined)
  const before = await counts(cast, caller)
  for (const target of ["any", id]) deepStrictEqual(await caller.act(callAll, { target }), refusalsOf(node))
  const after = await counts(cast, caller)
  deepStrictEqual({ callee: after.callee - before.callee, caller: after.caller - before.caller }, { callee: 4, caller: 4 })
}

function refusalsOf(node: string): Outcome[] {
  return SHAPES.map((shape) => ({ kind: "capability-denied", target: node, capability: `contract/${shape}` }))
}

async function counts({ server }: Cast, caller: ContractPeer): Promise<{ callee: number; caller: number }> {
  const [{ asCallee }, { asCaller }] = await Promise.all([server.act(refusals, undefined), caller.act(refusals, undefined)])
  return { callee: asCallee, caller: asCaller }
}
