/** Several nodes: what spreads, what is refused, and what the gates make of it (control-plane 3.6). */
import { describe, expect, test } from "vitest"
import { certifiedId, issueMembershipCert, signFloorRecord } from "../identity/index.ts"
import { encodeFloorPayload } from "../wire/floor-record.ts"
import { FRAME_ANNOUNCE, FRAME_FLOOR } from "../wire/frame.ts"
import type { Bytes, NodeId } from "../wire/types.ts"
import { decodeAnnouncement, encodeAnnouncement, signAnnouncement, withHopCount } from "./announcement-codec.ts"
import { mayExecute } from "./authorize.ts"
import { callerGate } from "./gates.ts"
import type { Gossip } from "./gossip.ts"
import { OPEN_POLICY, type Policy } from "./self-state.ts"
import { announcementOf, payloadOf, START, TestMesh, testSigner } from "./testing.ts"

const [ALICE, BOB, CLEO, DORA] = (await Promise.all([1, 2, 3, 4].map(testSigner))) as [S, S, S, S]
type S = Awaited<ReturnType<typeof testSigner>>

const SUBNET = new Uint8Array(16).fill(0xaa)
const GROUP = new Uint8Array(32).fill(0xbb)
const only = (policy: Partial<Policy>): Policy => ({ ...OPEN_POLICY, ...policy })
const restricted = (...nodes: NodeId[]) => only({ allowedNodes: nodes })

/** Alice in the middle, Bob and Cleo beside her. */
async function trio() {
  const mesh = new TestMesh()
  const [alice, bob, cleo] = [mesh.add(ALICE), mesh.add(BOB), mesh.add(CLEO)]
  await mesh.link(ALICE, BOB)
  await mesh.link(ALICE, CLEO)
  return { mesh, alice, bob, cleo }
}

/** Both gates for one caller: what it finds, and what Alice says when it calls all the same. */
function verdicts(mesh: TestMesh, callee: Gossip, calleeSigner: S, caller: Gossip, callerSigner: S): [string, string] {
  const found = callerGate(caller.index, "echo", { self: callerSigner.nodeId }, mesh.now, caller.counters)
  const admitted = mayExecute(callee.index, calleeSigner.nodeId, "nrpc:echo", callerSigner.nodeId, mesh.now)
  return [found.kind, admitted ? "admitted" : "denied"]
}

const YES = ["candidates", "admitted"]
const NO = ["capability-denied", "denied"]

describe("conformance contract (3.6), announcements and gates", () => {
  test.each<[string, Policy, string[], string[]]>([
    ["1: no lists admit everybody", OPEN_POLICY, YES, YES],
    ["2: allowed_nodes", restricted(BOB.nodeId), YES, NO],
    ["3: allowed_subnets", only({ allowedSubnets: [SUBNET] }), YES, NO],
    ["4: allowed_groups", only({ allowedGroups: [GROUP] }), YES, NO],
  ])("scenario %s", async (_name, policy, forBob, forCleo) => {
    const { mesh, alice, bob, cleo } = await trio()
    bob.announcer.update({ tags: [`subnet:${"aa".repeat(16)}`, `group:${"bb".repeat(32)}`] }, mesh.now)
    alice.announcer.update({ policy }, mesh.now)
    alice.announcer.serve("echo", mesh.now)
    await mesh.advance(11_000)
    expect(verdicts(mesh, alice, ALICE, bob, BOB)).toEqual(forBob)
    expect(verdicts(mesh, alice, ALICE, cleo, CLEO)).toEqual(forCleo)
  })

  test("scenarios 5 and 6, AUTH-R23: a later announcement revokes, and the callee refuses before the caller has heard of it", async () => {
    const { mesh, alice, bob } = await trio()
    alice.announcer.serve("echo", mesh.now)
    await mesh.advance(11_000)
    expect(verdicts(mesh, alice, ALICE, bob, BOB)).toEqual(YES)
    alice.announcer.update({ policy: restricted(ALICE.nodeId) }, mesh.now)
    expect(verdicts(mesh, alice, ALICE, bob, BOB)).toEqual(["candidates", "denied"])
    await mesh.advance(11_000)
    expect(verdicts(mesh, alice, ALICE, bob, BOB)).toEqual(NO)
    // AUTH-R23: the counter moved exactly once.
    expect(bob.counters.deniedCallerSide).toBe(1)
    expect(mesh.events.some(({ node, action }) => node === ALICE.nodeId && action.kind === "policy-changed")).toBe(true)
  })

  test("AUTH-R14: the gate knows the policy before the first request, whatever the order", async () => {
    for (const policyFirst of [true, false]) {
      const { mesh, alice, bob } = await trio()
      const steps = [
        () => alice.announcer.update({ policy: restricted(CLEO.nodeId) }, mesh.now),
        () => alice.announcer.serve("echo", mesh.now),
      ]
      for (const step of policyFirst ? steps : steps.reverse()) step()
      // Nothing was signed or sent yet.
      expect(verdicts(mesh, alice, ALICE, bob, BOB)).toEqual(["no-route", "denied"])
    }
  })

  test("AUTH-R19: strict membership counts only with a certificate of one's own that is alive", async () => {
    const { mesh, alice, bob, cleo } = await trio()
    const owner = await testSigner(9)
    const group = certifiedId("group", owner.entityId)
    const begin = BigInt(START / 1000)
    const cert = await issueMembershipCert(owner, {
      kind: "group",
      member: BOB.entityId,
      notBefore: begin,
      notAfter: begin + 60n,
    })
    const tag = `group:${[...group].map((byte) => byte.toString(16).padStart(2, "0")).join("")}`
    alice.announcer.update({ policy: only({ allowedGroups: [group], strict: true }) }, mesh.now)
    alice.announcer.serve("echo", mesh.now)
    bob.announcer.update({ tags: [tag] }, mesh.now)
    cleo.announcer.update({ tags: [tag], certs: [cert] }, mesh.now)
    await mesh.advance(11_000)
    // A tag without certificate, and a certificate of somebody else.
    expect(verdicts(mesh, alice, ALICE, bob, BOB)).toEqual(NO)
    expect(verdicts(mesh, alice, ALICE, cleo, CLEO)).toEqual(NO)
    expect(alice.counters.certsIgnored).toBeGreaterThan(0)
    bob.announcer.update({ certs: [cert] }, mesh.now)
    await mesh.advance(11_000)
    expect(verdicts(mesh, alice, ALICE, bob, BOB)).toEqual(YES)
    // Expired 60 s and the tolerance later, without any further announcement.
    await mesh.advance(100_000)
    expect(verdicts(mesh, alice, ALICE, bob, BOB)).toEqual(NO)
  })
})

describe("hostile announcements (2.7)", () => {
  test("AUTH-R8: a victim's node id under another key changes nothing anywhere", async () => {
    const { mesh, alice, bob, cleo } = await trio()
    bob.announcer.update({ policy: restricted(CLEO.nodeId) }, mesh.now)
    bob.announcer.serve("echo", mesh.now)
    await mesh.advance(11_000)
    const before = alice.index.get(BOB.nodeId, mesh.now)?.announcement
    const forged = await payloadOf(DORA, { nodeId: BOB.nodeId, version: BigInt(mesh.now) * 2n, tags: ["nrpc:echo"] }, 1)
    const stolen = encodeAnnouncement({
      ...(await signAnnouncement({ ...announcementOf(BOB, { version: BigInt(mesh.now) * 2n }) }, DORA)),
      hopCount: 1,
    })
    expect(await mesh.deliver(CLEO.nodeId, ALICE.nodeId, FRAME_ANNOUNCE, forged)).toBe("NodeIdMismatch")
    expect(await mesh.deliver(CLEO.nodeId, ALICE.nodeId, FRAME_ANNOUNCE, stolen)).toBe("BadSignature")
    expect(alice.index.get(BOB.nodeId, mesh.now)?.announcement).toBe(before)
    expect(mayExecute(alice.index, BOB.nodeId, "nrpc:echo", ALICE.nodeId, mesh.now)).toBe(false)
    expect(mayExecute(cleo.index, BOB.nodeId, "nrpc:echo", CLEO.nodeId, mesh.now)).toBe(true)
    expect(alice.counters.rejected.toJSON()).toEqual({ NodeIdMismatch: 1, BadSignature: 1 })
  })

  test("AUTH-R9, R10: a forwarded copy pins nobody, the direct one that follows does", async () => {
    const mesh = new TestMesh()
    mesh.add(ALICE)
    mesh.add(CLEO)
    await mesh.link(ALICE, CLEO)
    const payload = await payloadOf(DORA, { version: 5n })
    expect(await mesh.deliver(CLEO.nodeId, ALICE.nodeId, FRAME_ANNOUNCE, withHopCount(payload, 1))).toBe("accepted")
    const pins = mesh.pins.get(ALICE.nodeId)
    expect([pins?.get(DORA.nodeId), pins?.get(CLEO.nodeId)]).toEqual([undefined, CLEO.entityId])
    const dora = mesh.add(DORA, { reannounceMs: Number.POSITIVE_INFINITY })
    await mesh.link(ALICE, DORA)
    expect(pins?.get(DORA.nodeId)).toEqual(DORA.entityId)
    expect(dora.index.size).toBeGreaterThan(0)
  })

  test("AUTH-R11: reserved metadata goes from the local copy only", async () => {
    const { mesh, alice, bob, cleo } = await trio()
    const seen: Bytes[] = []
    mesh.tap = (from, to, payload, type) => {
      if (type === FRAME_ANNOUNCE && from === ALICE.nodeId && to === CLEO.nodeId) seen.push(payload)
      return true
    }
    bob.announcer.update(
      {
        metadata: new Map([
          ["owner", "me"],
          ["note", "n"],
        ]),
      },
      mesh.now,
    )
    await mesh.advance(11_000)
    const keys = (node: Gossip) => [...(node.index.get(BOB.nodeId, mesh.now)?.metadata.keys() ?? [])]
    expect([keys(bob), keys(alice), keys(cleo)]).toEqual([["owner", "note"], ["note"], ["note"]])
    const forwarded = seen.map((payload) => decodeAnnouncement(payload)).filter((s) => s.announcement.nodeId === BOB.nodeId)
    expect(forwarded.at(-1)?.announcement.metadata.get("owner")).toBe("me")
  })

  test("AUTH-R17, R18: an old permissive version is refused after the strict one expired, and a replay gets no new lease", async () => {
    const { mesh, alice } = await trio()
    const version = BigInt(mesh.now)
    const open = await payloadOf(DORA, { version, ttlSeconds: 86_400 }, 1)
    const strict = await payloadOf(DORA, { version: version + 1n, ttlSeconds: 60, allowedNodes: [DORA.nodeId] }, 1)
    const send = (payload: Bytes) => mesh.deliver(BOB.nodeId, ALICE.nodeId, FRAME_ANNOUNCE, payload)
    expect([await send(open), await send(strict)]).toEqual(["accepted", "accepted"])
    const end = alice.index.get(DORA.nodeId, mesh.now)?.expiresAt
    mesh.now += 50_000
    expect(await send(strict)).toBe("duplicate")
    expect(alice.index.get(DORA.nodeId, mesh.now)?.expiresAt).toBe(end)
    mesh.now += 2_000_000
    expect(alice.index.get(DORA.nodeId, mesh.now)).toBeUndefined()
    expect([await send(strict), await send(open)]).toEqual(["Expired", "StaleVersion"])
  })

  test("AUTH-R21, R22: the first body of a version stays; a forged copy does not keep the genuine one out", async () => {
    const { mesh, alice } = await trio()
    const send = (payload: Bytes) => mesh.deliver(BOB.nodeId, ALICE.nodeId, FRAME_ANNOUNCE, payload)
    const genuine = await payloadOf(DORA, { version: 5n, tags: ["a"] }, 1)
    const forged = genuine.slice()
    forged[10] = (forged[10] ?? 0) ^ 1
    expect([await send(forged), await send(genuine)]).toEqual(["BadSignature", "accepted"])
    expect(await send(await payloadOf(DORA, { version: 5n, tags: ["b"] }, 1))).toBe("Equivocation")
    expect(alice.index.get(DORA.nodeId, mesh.now)?.hasTag("a")).toBe(true)
    expect(alice.counters.rejected.get("Equivocation")).toBe(1)
  })

  test("AUTH-R1: two subnets collapse to none at every receiver, once counted", async () => {
    const { mesh, alice, bob, cleo } = await trio()
    bob.announcer.update({ tags: [`subnet:${"01".repeat(16)}`, `subnet:${"02".repeat(16)}`] }, mesh.now)
    await mesh.advance(11_000)
    for (const node of [alice, cleo]) {
      expect(node.index.get(BOB.nodeId, mesh.now)?.declared.subnet).toBeUndefined()
      expect(node.counters.subnetCollapsed).toBe(1)
    }
  })

  test("floods are charged to the neighbour that brings them, and to their origin", async () => {
    const { mesh } = await trio()
    const send = (payload: Bytes, from = BOB.nodeId) => mesh.deliver(from, ALICE.nodeId, FRAME_ANNOUNCE, payload)
    const outcomes: (string | undefined)[] = []
    for (let version = 1n; version <= 6n; version++) outcomes.push(await send(await payloadOf(DORA, { version }, 1)))
    expect(outcomes).toEqual(["accepted", "accepted", "accepted", "accepted", "OriginRateLimited", "OriginRateLimited"])
    const good = await payloadOf(DORA, { version: 100n }, 1)
    const bad = good.slice()
    bad[10] = (bad[10] ?? 0) ^ 1
    let last: string | undefined
    for (let i = 0; i < 220; i++) last = await send(bad)
    expect(last).toBe("NeighbourRateLimited")
    // Cleo's allowance is her own.
    expect(await send(good, CLEO.nodeId)).toBe("OriginRateLimited")
    mesh.now += 5_000
    expect(await send(await payloadOf(DORA, { version: 101n }, 1), CLEO.nodeId)).toBe("accepted")
  })
})

describe("spreading (2.8)", () => {
  test("AUTH-R25: a newcomer finds a service three hops away at once", async () => {
    const mesh = new TestMesh()
    const nodes = [ALICE, BOB, CLEO, DORA]
    for (const signer of nodes) mesh.add(signer)
    mesh.nodes.get(ALICE.nodeId)?.announcer.serve("echo", mesh.now)
    await mesh.link(ALICE, BOB)
    await mesh.link(BOB, CLEO)
    await mesh.advance(20_000)
    await mesh.link(CLEO, DORA)
    const dora = mesh.nodes.get(DORA.nodeId) as Gossip
    expect(dora.index.findServiceNodes("echo", mesh.now)).toEqual([ALICE.nodeId])
    expect(dora.routes.nextHop(ALICE.nodeId, mesh.now)).toMatchObject({ via: CLEO.nodeId, metric: 4 })
  })

  test("in a ring everybody hears everything and nothing goes round for ever", async () => {
    const mesh = new TestMesh()
    const signers = await Promise.all(Array.from({ length: 8 }, (_, i) => testSigner(20 + i)))
    for (const signer of signers) mesh.add(signer, { reannounceMs: Number.POSITIVE_INFINITY })
    for (const [i, signer] of signers.entries()) await mesh.link(signer, signers[(i + 1) % 8] as S)
    let frames = 0
    mesh.tap = () => {
      frames++
      return true
    }
    mesh.now += 20_000
    mesh.nodes.get((signers[0] as S).nodeId)?.announcer.update({ tags: ["new"] }, mesh.now)
    await mesh.settle()
    for (const node of mesh.nodes.values()) expect(node.index.nodesWithTag("new", mesh.now)).toEqual([(signers[0] as S).nodeId])
    // Two copies run around the ring and meet; shorter ways may send one on again.
    expect(frames).toBeLessThanOrEqual(16)
  })

  test("a copy that came fifteen hops is used and not passed on", async () => {
    const { mesh, alice, cleo } = await trio()
    const far = await payloadOf(DORA, { version: 5n }, 15)
    expect(await mesh.deliver(BOB.nodeId, ALICE.nodeId, FRAME_ANNOUNCE, far)).toBe("accepted")
    await mesh.settle()
    expect([alice.index.has(DORA.nodeId), cleo.index.has(DORA.nodeId)]).toEqual([true, false])
  })

  test("AUTH-R24: what this node stored comes back checked, a changed entry does not", async () => {
    const { mesh, alice } = await trio()
    await mesh.advance(11_000)
    const stored = alice.snapshot(mesh.now)
    expect(stored.length).toBe(2)
    const again = mesh.add(DORA)
    const damaged = stored.map((payload, i) => (i === 0 ? payload.with(payload.length - 1, (payload.at(-1) ?? 0) ^ 1) : payload))
    expect(await again.restore(damaged, mesh.now)).toBe(1)
    expect(await again.restore(stored, mesh.now + 10_000_000)).toBe(0)
  })
})

describe("floors travel (1.8, D06)", () => {
  test("a new generation reaches the whole mesh, by record and by announcement; newcomers are told", async () => {
    const { mesh, alice, bob, cleo } = await trio()
    await bob.announcer.bumpGeneration(mesh.now)
    await mesh.settle()
    expect([alice, bob, cleo].map((node) => node.floors.get(BOB.entityId))).toEqual([1, 1, 1])
    expect(
      mesh.events
        .filter(({ action }) => action.kind === "floor-rose")
        .map(({ node }) => node)
        .sort(),
    ).toEqual([ALICE.nodeId, BOB.nodeId, CLEO.nodeId].sort())
    const dora = mesh.add(DORA)
    await mesh.link(CLEO, DORA)
    expect(dora.floors.get(BOB.entityId)).toBe(1)
    await mesh.advance(11_000)
    expect(alice.index.get(BOB.nodeId, mesh.now)?.announcement.generation).toBe(1)
  })

  test("AUTH-R8b: a floor that its entity did not sign is refused and counted", async () => {
    const { mesh, alice } = await trio()
    const forged = await signFloorRecord({ entityId: BOB.entityId, signEd25519: DORA.signEd25519 }, 7, START)
    expect(await mesh.deliver(CLEO.nodeId, ALICE.nodeId, FRAME_FLOOR, encodeFloorPayload(1, forged))).toBe("BadSignature")
    const genuine = await signFloorRecord(BOB, 7, START)
    const send = (hop: number) => mesh.deliver(CLEO.nodeId, ALICE.nodeId, FRAME_FLOOR, encodeFloorPayload(hop, genuine))
    expect([await send(16), await send(1), await send(1)]).toEqual(["HopLimit", "accepted", "duplicate"])
    const older = encodeFloorPayload(1, await signFloorRecord(BOB, 6, START))
    expect(await mesh.deliver(CLEO.nodeId, ALICE.nodeId, FRAME_FLOOR, older)).toBe("StaleVersion")
    expect([alice.floors.get(BOB.entityId), alice.counters.rejected.toJSON()]).toEqual([7, { BadSignature: 1, HopLimit: 1 }])
  })
})
