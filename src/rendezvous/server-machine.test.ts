import fc from "fast-check"
import { describe, expect, test } from "vitest"
import { utf8Encode } from "../wire/bytes.ts"
import { FRAME_JSON, FRAME_RENDEZVOUS, FRAME_ROUTED, FRAME_ROUTED_HELLO } from "../wire/control-frame.ts"
import { decodeRendezvousMessage, encodeRendezvousMessage, type RendezvousMessage } from "../wire/rendezvous-message.ts"
import type { NodeId } from "../wire/types.ts"
import { SERVER_LIMITS } from "./limits.ts"
import { type ServerAction, ServerMachine } from "./server-machine.ts"

const node = (n: number): NodeId => n.toString(16).padStart(16, "0")

function machineWith(count: number, namespace?: string): ServerMachine {
  const machine = new ServerMachine({ limits: SERVER_LIMITS })
  for (let i = 1; i <= count; i++) {
    machine.admit(i, `visitor ${i}`)
    machine.proven(i, { entityId: new Uint8Array(32).fill(i), nodeId: node(i), keyId: `mk1${i}` })
    if (namespace !== undefined) say(machine, i, { kind: "register", namespace }, 0)
  }
  return machine
}

function say(machine: ServerMachine, session: number, message: RendezvousMessage, now: number): ServerAction[] {
  return machine.message(session, FRAME_RENDEZVOUS, encodeRendezvousMessage(message), now)
}

function told(actions: ServerAction[]): { session: number; message: RendezvousMessage }[] {
  return actions.flatMap((action) => {
    if (action.type !== "send" || action.frameType !== FRAME_RENDEZVOUS) return []
    return [{ session: action.session, message: decodeRendezvousMessage(action.payload) }]
  })
}

describe("ServerMachine", () => {
  test("a registration asks for an attestation and then tells both", () => {
    const machine = machineWith(2, "tea")
    expect(say(machine, 1, { kind: "register", namespace: "tea" }, 0)).toMatchObject([{ type: "attest", session: 1 }])
    const answers = told(machine.attested(1, "tea", Uint8Array.of(1), 0)).map(({ message }) => message)
    expect(answers).toEqual([
      { kind: "attest", attestation: Uint8Array.of(1) },
      { kind: "roster", namespace: "tea", nodes: [node(2)], registered: 2 },
    ])
  })

  test("without an attestation there is no registration", () => {
    const machine = machineWith(1, "tea")
    expect(told(machine.attested(1, "tea", undefined, 0))).toMatchObject([{ message: { kind: "reject", reason: "unspecified" } }])
    expect(machine.stats().rooms).toBe(0)
  })

  test("everybody in the room is told who joined, together; nobody hears only of itself", () => {
    const machine = machineWith(3, "tea")
    const deltas = told(machine.tick(250)).map(({ session, message }) => [session, message])
    const joined = [1, 2, 3].map(node)
    expect(deltas).toEqual([1, 2, 3].map((n) => [n, { kind: "roster-delta", namespace: "tea", joined, left: [] }]))
    expect(machineWith(1, "tea").tick(250)).toEqual([])
  })

  test("large changes are told in pages", () => {
    const machine = machineWith(600, "tea")
    const pages = told(machine.tick(250)).filter(({ session }) => session === 1)
    const sizes = pages.map(({ message }) => (message.kind === "roster-delta" ? message.joined.length : 0))
    expect(sizes).toEqual([256, 256, 88])
  })

  test("ICE servers come after the roster and again at half their life", () => {
    const servers = [{ urls: "turn:example.org", username: "1:ann", credential: "x" }]
    const machine = new ServerMachine({ limits: SERVER_LIMITS, iceFor: () => ({ servers, relayAllow: [], ttlMs: 60_000 }) })
    machine.admit(1, "v")
    machine.proven(1, { entityId: new Uint8Array(32), nodeId: node(1), keyId: "mk1" })
    say(machine, 1, { kind: "register", namespace: "tea" }, 0)
    const kinds = (actions: ServerAction[]) => told(actions).map(({ message }) => message.kind)
    expect(kinds(machine.attested(1, "tea", Uint8Array.of(1), 0))).toEqual(["attest", "roster", "ice"])
    expect(kinds(machine.tick(29_999))).toEqual([])
    expect(kinds(machine.tick(30_000))).toEqual(["ice"])
    machine.closed(1, 30_000)
    expect(kinds(machine.tick(60_000))).toEqual([])
  })

  test("GOAWAY leaving takes the registration away at once", () => {
    const machine = machineWith(2, "tea")
    machine.tick(250)
    expect(machine.message(2, 0x0f, Uint8Array.of(1, 0, 0), 300)).toMatchObject([{ type: "close", session: 2 }])
    machine.closed(2, 300)
    expect(told(machine.tick(550))).toMatchObject([{ session: 1, message: { joined: [], left: [node(2)] } }])
  })

  test("UNREGISTER on a socket that was replaced does nothing", () => {
    const machine = machineWith(1, "tea")
    machine.admit(9, "v")
    machine.proven(9, { entityId: new Uint8Array(32).fill(1), nodeId: node(1), keyId: "mk11" })
    expect(say(machine, 9, { kind: "register", namespace: "tea" }, 1)).toMatchObject([
      { type: "close", session: 1 },
      { type: "attest" },
    ])
    say(machine, 1, { kind: "unregister", namespace: "tea" }, 2)
    machine.closed(1, 3)
    machine.tick(60_000)
    expect(machine.stats()).toMatchObject({ registered: 1, rooms: 1 })
  })

  test("a reflex query is answered with nothing: no STUN responder, no second address", () => {
    const machine = machineWith(1, "tea")
    const query: RendezvousMessage = { kind: "reflex-query", addresses: [], queryId: 5n }
    expect(told(say(machine, 1, query, 0))).toMatchObject([{ message: { kind: "reflex-reply", queryId: 5n, entries: [] } }])
  })

  test("a session has 16 MiB of routed bytes in its life", () => {
    const limits = { ...SERVER_LIMITS, routedPerSession: 100 }
    const machine = new ServerMachine({ limits })
    for (const n of [1, 2]) {
      machine.admit(n, "v")
      machine.proven(n, { entityId: new Uint8Array(32).fill(n), nodeId: node(n), keyId: `mk1${n}` })
      say(machine, n, { kind: "register", namespace: "tea" }, 0)
    }
    const frame = new Uint8Array(60)
    frame[0] = 16
    frame[4] = 1
    frame[12] = 2
    expect(machine.message(1, FRAME_ROUTED, frame, 0)).toMatchObject([{ type: "send", session: 2, frameType: FRAME_ROUTED }])
    const refused = told(machine.message(1, FRAME_ROUTED, frame, 0))
    expect(refused).toMatchObject([{ session: 1, message: { kind: "reject", reason: "limit", targetNode: node(2) } }])
    expect(machine.message(1, FRAME_ROUTED, frame, 10)).toEqual([])
  })

  test("nothing that a session says makes the machine throw", () => {
    const type = fc.oneof(fc.constantFrom(FRAME_RENDEZVOUS, FRAME_ROUTED, FRAME_ROUTED_HELLO, FRAME_JSON, 0x0f), fc.nat(255))
    const bytes = fc.uint8Array({ maxLength: 400 })
    const nodes = fc.constantFrom(node(1), node(2), node(3), node(9))
    const small = fc.uint8Array({ maxLength: 80 })
    const introduction = fc.record({ description: small, attestation: small, lanes: small }, { requiredKeys: ["description"] })
    const message: fc.Arbitrary<RendezvousMessage> = fc.oneof(
      fc.record({
        kind: fc.constantFrom("register" as const, "unregister" as const),
        namespace: fc.constantFrom("tea", "b", "C"),
      }),
      fc.tuple(nodes, introduction).map(([targetNode, rest]) => ({ kind: "connect" as const, targetNode, ...rest })),
      fc.tuple(nodes, introduction).map(([toNode, rest]) => ({ kind: "answer" as const, toNode, ...rest })),
      fc.record({ kind: fc.constant("candidates" as const), toNode: nodes, description: small }),
      fc.record({
        kind: fc.constant("reject" as const),
        targetNode: fc.oneof(nodes, fc.constant(null)),
        attemptId: fc.bigInt(0n, 3n),
        reason: fc.constantFrom("policy" as const, "target-busy" as const),
        retryAfterMs: fc.nat(100_000),
      }),
    )
    const json = fc.constantFrom('{"t":"av.kp.get","key_id":"a"}', '{"t":"av.kp.put","records":["AAAA"]}', '{"t":"av.kp"}', "[]")
    const frame = fc.oneof(
      fc.tuple(type, bytes),
      message.map((m) => [FRAME_RENDEZVOUS, encodeRendezvousMessage(m)] as const),
      json.map((text) => [FRAME_JSON, utf8Encode(text)] as const),
    )
    const machine = machineWith(3, "tea")
    let now = 0
    fc.assert(
      fc.property(fc.integer({ min: 1, max: 3 }), frame, (session, [frameType, payload]) => {
        now += 40
        for (const action of machine.message(session, frameType, payload, now)) {
          if (action.type === "attest") machine.attested(action.session, action.namespace, Uint8Array.of(1), now)
        }
        machine.tick(now)
      }),
      { numRuns: 10_000 },
    )
    expect(machine.stats().sessions).toBe(3)
  })
})
