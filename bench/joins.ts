/**
 * What one join costs in a room that is full but for one, over the real group with real signatures: `npx tsx bench/joins.ts 30 60 120`. All
 * members are in this process, so costs are counted per member: messages, operations and processor time, not the time that passes.
 */
import { MlsRoomGroup } from "../src/group/room-group.ts"
import type { RoomGroup } from "../src/group/types.ts"
import { createIdentity } from "../src/identity/index.ts"
import type { RoomMachine } from "../src/membership/machine.ts"
import { SelfUpdate } from "../src/membership/self-update.ts"
import { TestNetwork } from "../src/membership/test-network.ts"
import type { TestNode } from "../src/membership/test-node.ts"
import type { RoomEvent } from "../src/membership/types.ts"
import { encodeControlMessage } from "../src/wire/control-json.ts"

/** Newcomers at a time while the room fills. */
const WAVE = 30
/** Virtual time for links that nothing needs to end. */
const SETTLE_MS = 45_000
/** Virtual time for a join to be over: Welcome, states, the first signs of life. */
const JOIN_MS = 4_000

// Each newcomer updates its leaf once within a minute: a commit of its own, which would fall into the measurement by lot.
SelfUpdate.prototype.joined = () => {}

interface Cost {
  calls: number
  ms: number
}

/** What one member has done since the last {@link clear}. */
class Ledger {
  readonly costs = new Map<string, Cost>()
  messages = 0
  bytes = 0

  add(name: string, ms: number, calls = 1): void {
    const cost = this.costs.get(name) ?? { calls: 0, ms: 0 }
    this.costs.set(name, { calls: cost.calls + calls, ms: cost.ms + ms })
  }

  ms(...names: string[]): number {
    return names.reduce((sum, name) => sum + (this.costs.get(name)?.ms ?? 0), 0)
  }

  calls(name: string): number {
    return this.costs.get(name)?.calls ?? 0
  }

  get total(): number {
    return this.ms(...this.costs.keys())
  }

  clear(): void {
    this.costs.clear()
    this.messages = 0
    this.bytes = 0
  }
}

/** Processor time of this process in ms, so that other work on the machine does not count. */
function cpu(): number {
  const { user, system } = process.cpuUsage()
  return (user + system) / 1_000
}

/** The group with every call of it on the ledger. Calls of the test network follow one another. */
function audited(group: RoomGroup, ledger: Ledger): RoomGroup {
  return new Proxy(group, {
    get(target, name) {
      const member: unknown = Reflect.get(target, name, target)
      if (typeof member !== "function") return member
      return async (...args: unknown[]) => {
        const before = cpu()
        try {
          return await Reflect.apply(member, target, args)
        } finally {
          const items = Array.isArray(args[0]) ? args[0].length : 1
          ledger.add(String(name), cpu() - before, items)
        }
      }
    },
  })
}

/** Counts what the machine is told, and its time. */
function auditMachine(machine: RoomMachine, ledger: Ledger): void {
  const handle = machine.handle.bind(machine)
  machine.handle = (event: RoomEvent, now: number) => {
    if (event.type === "message" && event.message.t !== "unknown") {
      ledger.messages++
      ledger.bytes += encodeControlMessage(event.message).length
    }
    const before = performance.now()
    const actions = handle(event, now)
    ledger.add("machine", performance.now() - before)
    return actions
  }
}

const mean = (values: number[]) => values.reduce((sum, value) => sum + value, 0) / values.length
const round = (value: number) => (value >= 100 ? value.toFixed(0) : value.toPrecision(3))

async function costOfOneJoin(size: number): Promise<string[]> {
  const net = new TestNetwork(size)
  const ledgers = new Map<TestNode, Ledger>()
  const add = async (label: string) => {
    const identity = await createIdentity()
    const { entityId, mlDsaPublicKey, keyId, nodeId } = identity
    const ledger = new Ledger()
    const group = new MlsRoomGroup({ identity, sink: { epoch: () => {}, erase: () => {} } })
    const peer = { entityId, mlDsaPublicKey, keyId, nodeId }
    const sign = (message: Uint8Array) => identity.signEd25519(message)
    const node = net.add(label, { identity: { peer, sign }, group: audited(group, ledger) })
    auditMachine(node.machine, ledger)
    ledgers.set(node, ledger)
    return node
  }
  await add("m0")
  await net.run(8_000, () => net.agreed())
  const settings = { admission: "invited", maxMembers: size, publish: "all", relay: "all", barred: [] } as const
  net.feed(net.nodes[0]!, { type: "settings", settings: { ...settings, barred: [] } })
  await net.run(500)
  while (net.nodes.length < size - 1) {
    for (let i = 0; i < WAVE && net.nodes.length < size - 1; i++) await add(`m${net.nodes.length}`)
    if (!(await net.run(20_000, () => net.agreed()))) throw new Error(`no agreement with ${net.nodes.length} members`)
    await net.run(2_000)
  }
  await net.run(SETTLE_MS)
  const before = [...net.nodes]
  for (const ledger of ledgers.values()) ledger.clear()
  const epoch = net.nodes[0]!.machine.view!.epoch
  const newcomer = await add("last")
  await net.run(JOIN_MS)
  if (!net.agreed()) throw new Error(`the last of ${size} is not in`)
  const committer = before.find((node) => node.machine.committer === node.keyId)!
  const of = (node: TestNode) => ledgers.get(node)!
  const others = before.filter((node) => node !== committer).map(of)
  const last = of(newcomer)
  const links = mean(before.map((node) => net.sessions.linksOf(node).length))
  const epochs = Number(net.nodes[0]!.machine.view!.epoch - epoch)
  const take = ["previewCommit", "processCommit", "learnRecords"]
  const talk = ["open", "verifyWithLeaf", "protect", "signWithLeaf"]
  const leaves = ["learnLeaves", "leafEvidence", "unverifiedMembers", "learnKeys"]
  const all = [...ledgers.values()].reduce((sum, { total }) => sum + total, 0)
  return [
    `${size}`,
    round(links),
    `${epochs}`,
    round(mean(others.map(({ messages }) => messages))),
    round(mean(others.map(({ bytes }) => bytes)) / 1_024),
    round(mean(others.map((ledger) => ledger.ms(...take)))),
    round(mean(others.map((ledger) => ledger.ms(...talk)))),
    round(mean(others.map((ledger) => ledger.ms("machine")))),
    round(mean(others.map(({ total }) => total))),
    round(of(committer).total),
    `${last.calls("learnLeaves")}`,
    `${last.calls("verifyWithLeaf")}`,
    round(last.bytes / 1_024),
    round(last.ms("join")),
    round(last.ms(...leaves)),
    round(last.total),
    round(all / 1_000),
  ]
}

const sizes = process.argv.slice(2).map(Number)
const columns = [
  "members",
  "links each",
  "epochs",
  "member: messages",
  "KB in",
  "commit, ms",
  "talk, ms",
  "machine, ms",
  "all, ms",
  "committer, ms",
  "newcomer: leaves asked for",
  "states",
  "KB in",
  "Welcome, ms",
  "leaves, ms",
  "all, ms",
  "room, s",
]
console.log(`| ${columns.join(" | ")} |\n|${" --: |".repeat(columns.length)}`)
for (const size of sizes.length === 0 ? [30, 60, 120] : sizes) console.log(`| ${(await costOfOneJoin(size)).join(" | ")} |`)
