import fc from "fast-check"
import { beforeEach, describe, expect, test } from "vitest"
import { type IdentitySigner, signerFromSeeds } from "../identity/signer.ts"
import { encodeUnsignedDescription, joinDescription } from "../wire/description.ts"
import type { Bytes, NodeId } from "../wire/types.ts"
import { type IntroducerAction, IntroducerMachine } from "./introducer.ts"

const people = await Promise.all([1, 2, 3].map((byte) => signerFromSeeds(new Uint8Array(32).fill(byte))))
const [ann, bob, cid] = people as [IdentitySigner, IdentitySigner, IdentitySigner]

function description(from: IdentitySigner, to: IdentitySigner, attemptId: bigint, answer = false, trickle = false): Bytes {
  const credentials = { ufrag: "abcd", pwd: "a".repeat(22), candidates: [], dtlsFingerprint: new Uint8Array(32) }
  const flags = { answer, trickle, iceRestart: false, endOfCandidates: false }
  const names = { fromEntity: from.entityId, toNode: to.nodeId, attemptId, issuedMs: 0n }
  return joinDescription(encodeUnsignedDescription({ ...flags, ...names, ...credentials }), new Uint8Array(64))
}

describe("IntroducerMachine", () => {
  /** Everybody has a session with Bob only. */
  let machines: Map<NodeId, IntroducerMachine>
  let heard: { at: NodeId; action: Exclude<IntroducerAction, { type: "send" }> }[]

  beforeEach(() => {
    heard = []
    machines = new Map(
      people.map(({ nodeId }) => [
        nodeId,
        new IntroducerMachine({ self: nodeId, hasSession: (node) => nodeId === bob.nodeId && node !== nodeId }),
      ]),
    )
  })

  function carry(from: NodeId, action: IntroducerAction): void {
    if (action.type !== "send") heard.push({ at: from, action })
    else for (const next of machines.get(action.to)?.receive(from, action.payload, 0) ?? []) carry(action.to, next)
  }
  const at = (who: IdentitySigner) => machines.get(who.nodeId) as IntroducerMachine

  test("a member brings two others together", () => {
    const offer = description(ann, cid, 5n)
    const key8 = new Uint8Array(90)
    carry(ann.nodeId, at(ann).connect(bob.nodeId, cid.nodeId, { description: offer, key8 }))
    const introduction = { description: offer, key8, from: ann.nodeId, ttlMs: 10_000 }
    expect(heard).toEqual([{ at: cid.nodeId, action: { type: "introduce", via: bob.nodeId, introduction } }])

    const answer = description(cid, ann, 5n, true)
    carry(cid.nodeId, at(cid).answer(bob.nodeId, ann.nodeId, { description: answer }))
    expect(heard[1]).toEqual({
      at: ann.nodeId,
      action: { type: "answer", via: bob.nodeId, introduction: { description: answer } },
    })

    const more = description(cid, ann, 5n, false, true)
    carry(cid.nodeId, at(cid).candidates(bob.nodeId, ann.nodeId, more))
    expect(heard[2]).toEqual({ at: ann.nodeId, action: { type: "candidates", via: bob.nodeId, description: more } })
  })

  test("a refusal goes back to whoever asked", () => {
    carry(ann.nodeId, at(ann).connect(bob.nodeId, cid.nodeId, { description: description(ann, cid, 5n) }))
    carry(cid.nodeId, at(cid).refuse(bob.nodeId, { attemptId: 5n, reason: "target-busy", retryAfterMs: 100 }))
    const rejection = { target: cid.nodeId, attemptId: 5n, reason: "target-busy", retryAfterMs: 100 }
    expect(heard[1]).toEqual({ at: ann.nodeId, action: { type: "reject", via: bob.nodeId, rejection } })
  })

  test("NAT-R14: a member without a session with the target says so", () => {
    carry(bob.nodeId, at(bob).connect(ann.nodeId, cid.nodeId, { description: description(bob, cid, 6n) }))
    expect(heard).toMatchObject([{ at: bob.nodeId, action: { rejection: { reason: "no-session-with-target", attemptId: 6n } } }])
  })

  test("nobody can ask in another name", () => {
    carry(ann.nodeId, at(ann).connect(bob.nodeId, cid.nodeId, { description: description(bob, cid, 7n) }))
    expect(heard).toMatchObject([{ at: ann.nodeId, action: { rejection: { reason: "malformed" } } }])
  })

  test("garbage is counted and nothing else", () => {
    const machine = at(bob)
    fc.assert(
      fc.property(fc.uint8Array({ maxLength: 200 }), (bytes) => {
        machine.receive(ann.nodeId, bytes, 0)
      }),
      { numRuns: 10_000 },
    )
    expect(machine.drops.malformed).toBeGreaterThan(9_000)
  })
})
