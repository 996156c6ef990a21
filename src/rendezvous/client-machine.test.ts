import fc from "fast-check"
import { beforeEach, describe, expect, test } from "vitest"
import { signerFromSeeds } from "../identity/signer.ts"
import { utf8Encode } from "../wire/bytes.ts"
import { FRAME_GOAWAY, FRAME_JSON, FRAME_RENDEZVOUS, FRAME_ROUTED } from "../wire/control-frame.ts"
import { AvError } from "../wire/errors.ts"
import { encodeGoaway, type GoawayReason } from "../wire/goaway.ts"
import { decodeRendezvousMessage, encodeRendezvousMessage, type RendezvousMessage } from "../wire/rendezvous-message.ts"
import { type ClientAction, ClientMachine } from "./client-machine.ts"
import { attestAddress } from "./evidence.ts"

const seed = (byte: number) => new Uint8Array(32).fill(byte)
const server = await signerFromSeeds(seed(1))
const me = await signerFromSeeds(seed(2))
const attestation = (await attestAddress(server, me.entityId, "127.0.0.1", 0, 300_000)) ?? new Uint8Array()
const foreign = (await attestAddress(me, me.entityId, "127.0.0.1", 0, 300_000)) ?? new Uint8Array()
const peer = { ...server, wallMs: 0n }
/** The middle of the jitter, so that pauses are exactly 1, 2, 4 … s. */
const middle = (length: number) => new Uint8Array(length).fill(0).fill(128, 0, 1)

describe("ClientMachine", () => {
  let machine: ClientMachine
  beforeEach(() => {
    const self = { entityId: me.entityId, nodeId: me.nodeId }
    machine = new ClientMachine({ namespace: "tea", self, expectedEntity: undefined, loopback: true, random: middle })
  })
  const hear = (message: RendezvousMessage, now = 0) => machine.message(FRAME_RENDEZVOUS, encodeRendezvousMessage(message), now)
  const goaway = (reason: GoawayReason, now = 0) => machine.message(FRAME_GOAWAY, encodeGoaway({ reason, text: "" }), now)
  const roster: RendezvousMessage = { kind: "roster", namespace: "tea", nodes: ["00000000000000aa"], registered: 2 }
  const register = (now = 0): ClientAction[] => {
    machine.opened(now)
    machine.proven(peer, now)
    return [...hear({ kind: "attest", attestation }, now), ...hear(roster, now)]
  }
  const said = (actions: ClientAction[]) =>
    actions.flatMap((a) => (a.type === "send" ? [decodeRendezvousMessage(a.payload)] : []))

  test("tells how far the server's clock is from ours", () => {
    machine.start(1_000_000)
    machine.opened(1_000_000)
    machine.proven({ ...peer, wallMs: 1_095_000n }, 1_000_000)
    expect(machine.server?.clockSkewMs).toBe(95_000)
  })

  test("opens, registers and reports", () => {
    expect(machine.start(0).map(({ type }) => type)).toEqual(["emit", "open"])
    machine.opened(0)
    expect(said(machine.proven(peer, 0))).toEqual([{ kind: "register", namespace: "tea" }])
    expect(machine.state).toBe("registering")
    expect(machine.server).toEqual({ entityId: server.entityId, nodeId: server.nodeId, loopback: true, clockSkewMs: 0 })
    expect(hear({ kind: "attest", attestation })).toEqual([])
    const registered = { name: "registered", value: { attestation, roster: ["00000000000000aa"], registered: 2 } }
    expect(hear(roster).at(-1)).toEqual({ type: "emit", event: registered })
    expect(machine.state).toBe("registered")
  })

  test("pauses double up to thirty seconds and start anew after a registration", () => {
    machine.start(0)
    const pauses: number[] = []
    let now = 0
    for (let i = 0; i < 7; i++) {
      machine.lost(new AvError("ServerUnreachable"), now)
      const from = now
      for (; machine.state === "waiting"; now += 50) machine.tick(now + 50)
      pauses.push(now - from)
    }
    expect(pauses).toEqual([1, 2, 4, 8, 16, 30, 30].map((s) => s * 1000))
    register(now)
    machine.lost(new AvError("ServerUnreachable"), now)
    expect(machine.tick(now + 999)).toEqual([])
    expect(machine.tick(now + 1_000).at(-1)).toEqual({ type: "open" })
  })

  test("no ROSTER within five seconds closes the socket and tries again", () => {
    machine.start(0)
    machine.opened(100)
    machine.proven(peer, 200)
    expect(machine.tick(5_199)).toEqual([])
    const actions = machine.tick(5_200)
    expect(actions[0]).toMatchObject({ type: "close" })
    expect(actions[1]).toMatchObject({
      event: { name: "state", value: { state: "waiting", error: { code: "ServerUnreachable" } } },
    })
  })

  test("takes no attestation of another observer", () => {
    machine.start(0)
    machine.opened(0)
    machine.proven(peer, 0)
    hear({ kind: "attest", attestation: foreign })
    hear(roster)
    expect([machine.state, machine.attestation, machine.drops]).toEqual(["registering", undefined, { attestation: 1, roster: 1 }])
  })

  test("asks for a fresh attestation at half life and after a change of network", () => {
    machine.start(0)
    register(1_000)
    expect(machine.tick(150_999)).toEqual([])
    expect(said(machine.tick(151_000))).toEqual([{ kind: "register", namespace: "tea" }])
    expect(hear({ kind: "attest", attestation }, 151_010)).toMatchObject([{ event: { name: "attestation" } }])
    expect(hear(roster, 151_020)).toEqual([])
    expect(said(machine.retryNow(160_000))).toEqual([{ kind: "register", namespace: "tea" }])
  })

  test("a socket that does not answer after a change of network is given up; any answer saves it", () => {
    machine.start(0)
    register(1_000)
    machine.retryNow(10_000)
    expect(machine.retryNow(10_500)).toEqual([])
    hear({ kind: "attest", attestation }, 11_000)
    expect(machine.tick(20_000)).toEqual([])
    machine.retryNow(30_000)
    hear({ kind: "reject", targetNode: null, attemptId: 0n, reason: "rate-limited", retryAfterMs: 100 }, 30_100)
    expect(machine.tick(40_000)).toEqual([])
    machine.retryNow(50_000)
    expect(machine.tick(53_999)).toEqual([])
    expect(machine.tick(54_000)[0]).toMatchObject({ type: "close" })
    expect(machine.state).toBe("waiting")
  })

  test("GOAWAY decides how long to stay away", () => {
    const pauseAfter = (reason: GoawayReason) => {
      machine.start(0)
      register(0)
      goaway(reason, 0)
      let now = 0
      for (; machine.state === "waiting"; now += 500) machine.tick(now + 500)
      return now
    }
    expect(pauseAfter("draining")).toBe(5_000)
    expect(pauseAfter("identity")).toBe(30_000)
    expect(pauseAfter("limit")).toBe(1_000)
  })

  test("a full room is asked again later, a bad name never", () => {
    const reject = (reason: "room-full" | "bad-namespace") => {
      return hear({ kind: "reject", targetNode: null, attemptId: 0n, reason, retryAfterMs: 9_000 })
    }
    machine.start(0)
    machine.opened(0)
    machine.proven(peer, 0)
    expect(reject("room-full")[0]).toMatchObject({ event: { name: "reject", value: { target: undefined, reason: "room-full" } } })
    expect(machine.tick(8_999)).toEqual([])
    machine.tick(9_000)
    expect(machine.state).toBe("connecting")
    machine.opened(9_000)
    machine.proven(peer, 9_000)
    reject("bad-namespace")
    expect(machine.state).toBe("closed")
    expect(machine.tick(100_000)).toEqual([])
  })

  test("closing says so to the server, once", () => {
    machine.start(0)
    register()
    const actions = machine.close()
    expect(said(actions)).toEqual([{ kind: "unregister", namespace: "tea" }])
    expect(actions).toContainEqual({ type: "close", reason: "leaving", text: "" })
    expect(machine.close()).toEqual([])
    expect(machine.lost(new AvError("SessionClosed"), 0)).toEqual([])
  })

  test("everything the server hands on becomes an event", () => {
    machine.start(0)
    register()
    const description = Uint8Array.of(1)
    const events = [
      hear({ kind: "introduce", fromNode: "00000000000000bb", description, lanes: Uint8Array.of(2), ttlMs: 60_000 }),
      hear({ kind: "answer", toNode: me.nodeId, description }),
      hear({ kind: "candidates", toNode: me.nodeId, description }),
      hear({ kind: "roster-delta", namespace: "tea", joined: ["00000000000000bb", me.nodeId], left: [] }),
      hear({ kind: "ice", servers: [{ url: "stun:a" }], relayAddresses: [], ttlS: 60 }),
      machine.message(FRAME_ROUTED, description, 0),
    ].map((actions) => actions[0]?.type === "emit" && [actions[0].event.name, actions[0].event.value])
    expect(events).toEqual([
      ["introduce", { description, key8: Uint8Array.of(2), from: "00000000000000bb", ttlMs: 10_000 }],
      ["answer", { description }],
      ["candidates", { description }],
      ["rosterDelta", { joined: ["00000000000000bb"], left: [] }],
      ["ice", { servers: [{ urls: "stun:a" }], relayAllow: [], ttlMs: 60_000 }],
      ["routed", { payload: description }],
    ])
  })

  test("nothing that a server says makes it throw", () => {
    const types = fc.oneof(fc.constantFrom(FRAME_RENDEZVOUS, FRAME_JSON, FRAME_GOAWAY), fc.nat(255))
    const bytes = fc.oneof(fc.uint8Array({ maxLength: 200 }), fc.constantFrom(utf8Encode('{"t":"av.kp","error":"x"}')))
    let now = 0
    machine.start(0)
    fc.assert(
      fc.property(types, bytes, (type, payload) => {
        now += 500
        if (machine.state === "connecting") register(now)
        machine.message(type, payload, now)
        machine.tick(now)
      }),
      { numRuns: 10_000 },
    )
  })
})
