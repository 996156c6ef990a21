import fc from "fast-check"
import { describe, expect, it } from "vitest"
import { ed25519PublicKey } from "../crypto/index.ts"
import { toHex } from "../wire/bytes.ts"
import { FRAME_GOAWAY, FRAME_HELLO, FRAME_HELLO_AUTH, FRAME_JSON, FRAME_PING } from "../wire/frame.ts"
import { encodeGoaway } from "../wire/goaway.ts"
import { decodeHello, encodeHello } from "../wire/hello.ts"
import type { Bytes } from "../wire/types.ts"
import { PinTable } from "./pins.ts"
import { SESSION_PROOF_TIMEOUT_MS, SessionProof, type SessionProofAction, type SessionProofOptions } from "./session-proof.ts"
import { type IdentitySigner, signerFromSeeds } from "./signer.ts"

const [ALICE, BOB, EVE] = (await Promise.all([1, 2, 3].map((fill) => signerFromSeeds(new Uint8Array(32).fill(fill))))) as [
  IdentitySigner,
  IdentitySigner,
  IdentitySigner,
]
const FP_A = new Uint8Array(32).fill(0xa)
const FP_B = new Uint8Array(32).fill(0xb)

type Overrides = Partial<SessionProofOptions>

function machine(signer: IdentitySigner, local: Bytes, remote: Bytes, over: Overrides = {}): SessionProof {
  return new SessionProof({
    signer,
    localFingerprint: local,
    remoteFingerprint: remote,
    wallMs: 1_750_000_000_000,
    now: 0,
    ...over,
  })
}

function sent(actions: SessionProofAction[]): { type: number; payload: Bytes } {
  const [action] = actions
  if (action?.kind !== "send") throw new Error(`no frame: ${action?.kind}`)
  return action
}

/** Runs both machines to the end; returns what each said last. */
async function run(a: SessionProof, b: SessionProof) {
  const [helloA, helloB] = [sent(a.start()), sent(b.start())]
  const [fromA, fromB] = [await a.receive(helloB.type, helloB.payload), await b.receive(helloA.type, helloA.payload)]
  if (fromA[0]?.kind !== "send" || fromB[0]?.kind !== "send") return { a: fromA, b: fromB }
  const [authA, authB] = [sent(fromA), sent(fromB)]
  return { a: await a.receive(authB.type, authB.payload), b: await b.receive(authA.type, authA.payload) }
}

const closed = (code: string, goaway?: string) => [
  { kind: "close", error: expect.objectContaining({ code }), ...(goaway === undefined ? {} : { goaway }) },
]

describe("session proof", () => {
  it("shows each end who the other is", async () => {
    const pins = new PinTable()
    const [a, b] = [machine(ALICE, FP_A, FP_B, { pins, expectedEntity: BOB.entityId }), machine(BOB, FP_B, FP_A)]
    const result = await run(a, b)
    expect(result.a).toEqual([
      {
        kind: "ready",
        peer: { entityId: BOB.entityId, nodeId: BOB.nodeId, keyId: BOB.keyId, pqHash: BOB.pqHash, wallMs: 1_750_000_000_000n },
      },
    ])
    expect(result.b).toMatchObject([{ kind: "ready", peer: { nodeId: ALICE.nodeId } }])
    expect([a.state, b.state]).toEqual(["ready", "ready"])
    expect(toHex(pins.get(BOB.nodeId) ?? new Uint8Array(0))).toBe(toHex(BOB.entityId))
    expect(a.tick(60_000)).toEqual([])
    expect(await a.receive(FRAME_JSON, new Uint8Array(2))).toEqual([])
  })

  it("ID-R3: fails when somebody sits in the middle: fingerprints differ", async () => {
    const result = await run(machine(ALICE, FP_A, new Uint8Array(32)), machine(BOB, FP_B, FP_A))
    expect(result.a).toEqual(closed("SessionProofFailed", "identity"))
    expect(result.b).toEqual(closed("SessionProofFailed", "identity"))
  })

  it("ID-R3: refuses our own entity, whether by a second tab or by reflection", async () => {
    const result = await run(machine(ALICE, FP_A, FP_B), machine(ALICE, FP_B, FP_A))
    expect(result.a).toEqual(closed("SessionSelf", "self"))
    const a = machine(ALICE, FP_A, FP_B)
    expect(await a.receive(FRAME_HELLO, sent(a.start()).payload)).toEqual(closed("SessionSelf", "self"))
  })

  it("ID-R3: refuses a repeated nonce, a second HELLO and a key that is none", async () => {
    const a = machine(ALICE, FP_A, FP_B)
    const mine = decodeHello(sent(a.start()).payload)
    const hello = (over: object) => encodeHello({ ...mine, entityId: BOB.entityId, nonce: new Uint8Array(32), ...over })
    expect(await a.receive(FRAME_HELLO, hello({ nonce: mine.nonce }))).toEqual(closed("SessionProofFailed", "protocol"))
    const again = machine(ALICE, FP_A, FP_B)
    await again.receive(FRAME_HELLO, hello({}))
    expect(await again.receive(FRAME_HELLO, hello({}))).toEqual(closed("SessionProofFailed", "protocol"))
    expect(await again.receive(FRAME_HELLO_AUTH, new Uint8Array(64))).toEqual([])
    const bad = machine(ALICE, FP_A, FP_B)
    expect(await bad.receive(FRAME_HELLO, hello({ entityId: new Uint8Array(32) }))).toEqual(
      closed("SessionProofFailed", "identity"),
    )
  })

  it("ID-R3: refuses a reflected, foreign or early HELLO_AUTH", async () => {
    const a = machine(ALICE, FP_A, FP_B)
    const hello = sent(machine(BOB, FP_B, FP_A).start())
    const mine = sent(await a.receive(FRAME_HELLO, hello.payload))
    expect(await a.receive(FRAME_HELLO_AUTH, mine.payload)).toEqual(closed("SessionProofFailed", "identity"))
    const early = machine(ALICE, FP_A, FP_B)
    expect(await early.receive(FRAME_HELLO_AUTH, mine.payload)).toEqual(closed("SessionProofFailed", "protocol"))
    const foreign = machine(ALICE, FP_A, FP_B, { expectedEntity: EVE.entityId })
    expect(await foreign.receive(FRAME_HELLO, hello.payload)).toEqual(closed("SessionProofFailed", "identity"))
  })

  it("pq_hash is part of what is signed", async () => {
    const a = machine(ALICE, FP_A, FP_B)
    const b = machine({ ...BOB, pqHash: new Uint8Array(32).fill(1) }, FP_B, FP_A)
    const hello = decodeHello(sent(b.start()).payload)
    await a.receive(FRAME_HELLO, encodeHello({ ...hello, pqHash: new Uint8Array(32).fill(2) }))
    const auth = sent(await b.receive(FRAME_HELLO, sent(a.start()).payload))
    expect(await a.receive(FRAME_HELLO_AUTH, auth.payload)).toEqual(closed("SessionProofFailed", "identity"))
  })

  it("ID-R3: closes on silence, on other frames and on GOAWAY", async () => {
    const a = machine(ALICE, FP_A, FP_B)
    expect(a.tick(SESSION_PROOF_TIMEOUT_MS - 1)).toEqual([])
    expect(a.tick(SESSION_PROOF_TIMEOUT_MS)).toEqual(closed("SessionTimeout"))
    expect(a.tick(SESSION_PROOF_TIMEOUT_MS + 1)).toEqual([])
    expect(await machine(ALICE, FP_A, FP_B).receive(FRAME_PING, new Uint8Array(8))).toEqual(
      closed("SessionProofFailed", "protocol"),
    )
    const goaway = encodeGoaway({ reason: "limit", text: "" })
    expect(await machine(ALICE, FP_A, FP_B).receive(FRAME_GOAWAY, goaway)).toEqual(closed("SessionClosed"))
  })

  it("ID-R5: a namespace key must be on both sides and the same", async () => {
    const [k1, k2] = [new Uint8Array(32).fill(1), new Uint8Array(32).fill(2)]
    const ends = (a?: Bytes, b?: Bytes) =>
      run(
        machine(ALICE, FP_A, FP_B, a === undefined ? {} : { namespaceKey: a }),
        machine(BOB, FP_B, FP_A, b === undefined ? {} : { namespaceKey: b }),
      )
    expect((await ends(k1, k1)).a).toMatchObject([{ kind: "ready" }])
    for (const [a, b] of [
      [k1, k2],
      [k1, undefined],
      [undefined, k1],
    ] as const) {
      const result = await ends(a, b)
      expect(result.a).toEqual(closed("SessionProofFailed", "psk"))
      expect(result.b).toEqual(closed("SessionProofFailed", "psk"))
    }
  })

  it("a pinned node id keeps its entity", async () => {
    const pins = new PinTable()
    pins.pin(BOB.nodeId, EVE.entityId)
    const result = await run(machine(ALICE, FP_A, FP_B, { pins }), machine(BOB, FP_B, FP_A))
    expect(result.a).toEqual(closed("EntityRebind", "identity"))
  })

  it("a signer that fails closes the session, with its cause", async () => {
    const broken = { ...ALICE, signEd25519: () => Promise.reject(new Error("worker gone")) }
    const hello = sent(machine(BOB, FP_B, FP_A).start())
    const a = machine(broken, FP_A, FP_B)
    expect(await a.receive(FRAME_HELLO, hello.payload)).toEqual(closed("SignerError"))
    expect(await a.receive(FRAME_HELLO_AUTH, new Uint8Array(64))).toEqual([])
  })

  it("frames that arrive while a signature is made wait their turn", async () => {
    const [a, b] = [machine(ALICE, FP_A, FP_B), machine(BOB, FP_B, FP_A)]
    const authB = sent(await b.receive(FRAME_HELLO, sent(a.start()).payload))
    const results = await Promise.all([a.receive(FRAME_HELLO, sent(b.start()).payload), a.receive(authB.type, authB.payload)])
    expect(results.map((actions) => actions[0]?.kind)).toEqual(["send", "ready"])
  })

  it("takes any bytes without throwing", async () => {
    const types = fc.constantFrom(FRAME_HELLO, FRAME_HELLO_AUTH, FRAME_GOAWAY, 0xee)
    await fc.assert(
      fc.asyncProperty(types, fc.uint8Array({ maxLength: 120, size: "max" }), async (type, payload) => {
        const a = machine(ALICE, FP_A, FP_B)
        if (type === FRAME_HELLO && payload.length >= 4) payload.set([1, 0, 0, 0])
        const [action] = await a.receive(type, payload)
        // Random bytes may well be a legal HELLO; they never are a proof.
        expect(action?.kind).not.toBe("ready")
        expect(a.state).not.toBe("ready")
      }),
      { numRuns: 10_000 },
    )
  })
})

describe("pins", () => {
  const node = (i: number) => i.toString(16).padStart(16, "0")
  const entity = (fill: number) => ed25519PublicKey(new Uint8Array(32).fill(fill))

  it("first write wins", () => {
    const pins = new PinTable()
    pins.pin(node(1), entity(1))
    pins.pin(node(1), entity(1))
    expect(() => pins.pin(node(1), entity(2))).toThrow(expect.objectContaining({ code: "EntityRebind" }))
    expect([
      pins.contradicts(node(1), entity(1)),
      pins.contradicts(node(1), entity(2)),
      pins.contradicts(node(2), entity(2)),
    ]).toEqual([false, true, false])
  })

  it("forgets the least recently confirmed, never the permanent ones", () => {
    const pins = new PinTable(2)
    pins.pinForever(node(9), entity(9))
    for (const i of [1, 2, 1, 3]) pins.pin(node(i), entity(i))
    expect([pins.get(node(1)), pins.get(node(2)), pins.get(node(3))].map((pin) => pin !== undefined)).toEqual([true, false, true])
    expect(pins.size).toBe(3)
    expect(() => pins.pin(node(9), entity(1))).toThrow(expect.objectContaining({ code: "EntityRebind" }))
    pins.pin(node(9), entity(9))
    expect(pins.size).toBe(3)
  })
})
