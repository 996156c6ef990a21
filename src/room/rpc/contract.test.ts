/** The six scenarios of the conformance contract with real calls over real sessions (control-plane 3.6), in every shape. */
import { afterEach, beforeEach, describe, expect, test, vi } from "vitest"
import type { IdentitySigner } from "../../identity/index.ts"
import { createIdentity } from "../../identity/index.ts"
import { all, failure, TestMesh, type TestPeer, text, words } from "./test-mesh.ts"

const signers = await Promise.all([createIdentity(), createIdentity(), createIdentity()])
const SUBNET = new Uint8Array(16).fill(0xaa)
const GROUP = new Uint8Array(32).fill(0xbb)

let mesh: TestMesh
let alice: TestPeer
let bob: TestPeer
let cleo: TestPeer

beforeEach(async () => {
  mesh = new TestMesh()
  const [a, b, c] = signers as [IdentitySigner, IdentitySigner, IdentitySigner]
  ;[alice, bob, cleo] = [await mesh.peer({ signer: a }), await mesh.peer({ signer: b }), await mesh.peer({ signer: c })]
  await mesh.link(alice, bob)
  await mesh.link(alice, cleo)
})
afterEach(() => mesh.close())

/** Alice serves under every shape; `ran` says for whom a handler ran. */
function serveAll(): string[] {
  const ran: string[] = []
  const by = (id: string) => ran.push(id)
  alice.rpc.serve("unary", (body, { caller }) => {
    by(caller.id)
    return body
  })
  alice.rpc.serveStream("down", async function* (body, { caller }) {
    by(caller.id)
    yield body
    yield body
  })
  alice.rpc.serveUpload("up", async (items, { caller }) => {
    by(caller.id)
    return text((await all(items)).map(words).join("+"))
  })
  alice.rpc.serveDuplex("both", async function* (items, { caller }) {
    by(caller.id)
    for await (const item of items) yield item
  })
  return ran
}

const knows = (peer: TestPeer, check: () => boolean) =>
  vi.waitFor(() => expect(check(), `${peer.id.slice(0, 8)} knows`).toBe(true), { timeout: 5_000, interval: 10 })

/** The announcement of Alice that the others have is the newest. */
async function settled(): Promise<void> {
  const own = () => alice.plane.gossip.index.get(alice.signer.nodeId, Date.now())?.announcement.version
  for (const peer of [bob, cleo]) {
    await knows(peer, () => peer.plane.gossip.index.get(alice.signer.nodeId, Date.now())?.announcement.version === own())
    await knows(alice, () => alice.capabilities.of(peer.id)?.tags.join() === peer.capabilities.of(peer.id)?.tags.join())
  }
}

/** How one caller fares in all four shapes, through its own gate and around it. */
async function fares(peer: TestPeer): Promise<unknown[]> {
  const a = text("a")
  return Promise.all(
    (["any", alice.id] as const).flatMap((target) => [
      outcome(peer.rpc.call(target, "unary", a)),
      outcome(all(peer.rpc.callStream(target, "down", a))),
      outcome(peer.rpc.callUpload(target, "up", [a, a])),
      outcome(all(peer.rpc.callDuplex(target, "both", [a, a]))),
    ]),
  )
}

async function outcome(call: Promise<Uint8Array | Uint8Array[]>): Promise<unknown> {
  try {
    const result = await call
    return result instanceof Uint8Array ? words(result) : result.map(words)
  } catch {
    return failure(call)
  }
}

const once = ["a", ["a", "a"], "a+a", ["a", "a"]]
const ADMITTED = [...once, ...once]
const denied = ["unary", "down", "up", "both"].map((capability) => ({
  kind: "capability-denied",
  target: signers[0]?.nodeId,
  capability,
}))
const DENIED = [...denied, ...denied]

describe("conformance contract (3.6) over linked peers", () => {
  test("1: without lists everybody is admitted", async () => {
    serveAll()
    await settled()
    expect([await fares(bob), await fares(cleo)]).toEqual([ADMITTED, ADMITTED])
  })

  test.each<[string, () => void]>([
    ["2: allowed nodes", () => alice.capabilities.announce({ policy: { participants: [bob.id] } })],
    ["3: an allowed subnet", () => alice.capabilities.announce({ policy: { subnets: [SUBNET] } })],
    ["4: an allowed group", () => alice.capabilities.announce({ policy: { groups: [GROUP] } })],
  ])("%s (AUTH-R15: in all four shapes)", async (_name, restrict) => {
    bob.capabilities.announce({ tags: [`subnet:${"aa".repeat(16)}`, `group:${"bb".repeat(32)}`] })
    restrict()
    const ran = serveAll()
    await settled()
    expect(await fares(bob)).toEqual(ADMITTED)
    ran.length = 0
    expect(await fares(cleo)).toEqual(DENIED)
    expect(ran).toEqual([])
    // One refusal at the caller's gate and one at the callee's for each shape.
    expect(cleo.plane.stats().deniedByCallersGate).toBe(4)
    expect(alice.plane.stats().deniedByCalleesGate).toEqual({ unary: 1, down: 1, up: 1, both: 1 })
  })

  test("5: a later announcement revokes", async () => {
    serveAll()
    await settled()
    expect(await fares(bob)).toEqual(ADMITTED)
    alice.capabilities.announce({ policy: { participants: [alice.id] } })
    await settled()
    expect(await fares(bob)).toEqual(DENIED)
  })

  test("6: the callee refuses who has not heard of the policy, or goes around its own gate", async () => {
    const ran = serveAll()
    await settled()
    alice.capabilities.announce({ policy: { participants: [cleo.id] } })
    expect(bob.capabilities.mayCall(alice.id, "unary")).toBe(true)
    expect(await fares(bob)).toEqual(DENIED)
    expect(ran).toEqual([])
  })

  test("AUTH-R20: a new policy ends calls that run; those of others go on", async () => {
    const seen: string[] = []
    alice.rpc.serveDuplex("live", async function* (items, { signal, caller }) {
      signal.addEventListener("abort", () => seen.push(caller.id))
      for await (const item of items) yield item
    })
    await settled()
    const source = async function* () {
      yield text("x")
      await new Promise<void>(() => {})
    }
    const [ofBob, ofCleo] = [bob, cleo].map((peer) => peer.rpc.callDuplex(alice.id, "live", source()))
    expect([await ofBob?.next(), await ofCleo?.next()].map((step) => step?.done)).toEqual([false, false])
    alice.capabilities.announce({ policy: { participants: [cleo.id] } })
    expect(await failure(ofBob?.next() ?? Promise.resolve())).toMatchObject({ kind: "capability-denied", capability: "live" })
    expect(seen).toEqual([bob.id])
    await ofCleo?.return?.()
  })

  test("AUTH-R5: nobody offers it is another failure", async () => {
    await settled()
    expect(await failure(bob.rpc.call("any", "nothing", text("")))).toMatchObject({ kind: "no-route", target: null })
    expect(await failure(bob.rpc.call(alice.id, "nothing", text("")))).toMatchObject({ kind: "server-error", status: 1 })
  })

  test("a service is found by its announcement, two hops away as well, and asked only where a session is", async () => {
    alice.rpc.serve("echo", (body) => body)
    await knows(cleo, () => cleo.capabilities.providers("echo").length === 1)
    bob.rpc.serve("echo", (body) => text(`bob ${words(body)}`))
    await knows(cleo, () => cleo.capabilities.of(bob.id)?.services.includes("echo") === true)
    expect(cleo.capabilities.providers("echo").map(({ id }) => id)).toEqual([alice.id])
    for (let i = 0; i < 3; i++) expect(words(await cleo.rpc.call("any", "echo", text("x")))).toBe("x")
  })
})
