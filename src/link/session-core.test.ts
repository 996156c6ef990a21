import { afterEach, describe, expect, it, vi } from "vitest"
import { createIdentity } from "../identity/index.ts"
import { SessionProof } from "../identity/session-proof.ts"
import type { IdentitySigner } from "../identity/signer.ts"
import { utf8Encode } from "../wire/bytes.ts"
import { encodeFrame, FRAME_JSON, FRAME_RENDEZVOUS } from "../wire/control-frame.ts"
import type { Bytes } from "../wire/types.ts"
import { SessionCore } from "./session-core.ts"
import type { ClosedInfo } from "./types.ts"

const random = (length: number) => crypto.getRandomValues(new Uint8Array(length))
const [alice, bob, carol] = await Promise.all([createIdentity(), createIdentity(), createIdentity()])
const aliceFp = new Uint8Array(32).fill(1)
const bobFp = new Uint8Array(32).fill(2)

/** One end of a fake channel: what it sends is delivered to `peer` in order, unless it is held back or changed. */
interface End {
  core: SessionCore
  key: Promise<Bytes>
  closed: Promise<ClosedInfo>
  renewed: Bytes[]
  lanes: Bytes[]
}
interface Wire {
  change?: (frame: Bytes) => Bytes | undefined
  stalled?: boolean
}

let running: SessionCore[] = []
/** Moves the clock of all sessions ahead, ms. */
let skipped = 0

function end(signer: IdentitySigner, deliver: (frame: Bytes) => void, wire: Wire = {}): End {
  let resolveKey: (key: Bytes) => void
  let resolveClosed: (info: ClosedInfo) => void
  const key = new Promise<Bytes>((resolve) => {
    resolveKey = resolve
  })
  const closed = new Promise<ClosedInfo>((resolve) => {
    resolveClosed = resolve
  })
  const renewed: Bytes[] = []
  const lanes: Bytes[] = []
  const core = new SessionCore({
    id: signer.nodeId,
    kind: "direct",
    signer,
    control: {
      get buffered() {
        return wire.stalled ? Number.POSITIVE_INFINITY : 0
      },
      send(frame) {
        const sent = wire.change === undefined ? frame : wire.change(frame)
        if (sent !== undefined) queueMicrotask(() => deliver(sent))
      },
    },
    random,
    clock: () => performance.now() + skipped,
    wallClock: () => Date.now(),
    onReady: (_, sessionKey) => resolveKey(sessionKey),
    onSessionKey: (sessionKey) => renewed.push(sessionKey),
    onLaneControl: (bytes) => lanes.push(bytes),
    onClosed: (info) => resolveClosed(info),
  })
  running.push(core)
  return { core, key, closed, renewed, lanes }
}

function connect(wireA: Wire = {}, wireB: Wire = {}, proofs: { fpSeenByAlice?: Bytes; signerB?: IdentitySigner } = {}) {
  const b: End = end(proofs.signerB ?? bob, (frame) => a.core.receive(frame), wireB)
  const a: End = end(alice, (frame) => b.core.receive(frame), wireA)
  const proof = (signer: IdentitySigner, localFingerprint: Bytes, remoteFingerprint: Bytes) =>
    new SessionProof({ signer, localFingerprint, remoteFingerprint, wallMs: Date.now(), now: performance.now() })
  const start = () => {
    a.core.prove(proof(alice, aliceFp, proofs.fpSeenByAlice ?? bobFp))
    b.core.prove(proof(proofs.signerB ?? bob, bobFp, aliceFp))
  }
  return { a, b, start }
}

afterEach(() => {
  for (const core of running) core.abandon("local")
  running = []
  skipped = 0
})

describe("a control session", () => {
  it("proves both sides and agrees on a key", async () => {
    const { a, b, start } = connect()
    start()
    const [keyA, keyB] = await Promise.all([a.key, b.key])
    expect(keyA).toEqual(keyB)
    expect(a.core.bind).toEqual(b.core.bind)
    expect(a.core.peer).toMatchObject({ nodeId: bob.nodeId, keyId: bob.keyId, mlDsaPublicKey: bob.mlDsaPublicKey })
    expect(b.core.peer).toMatchObject({ nodeId: alice.nodeId, keyId: alice.keyId, entityId: alice.entityId })
  })

  it("carries messages, long ones in pieces, and frames of other parts", async () => {
    const { a, b, start } = connect()
    start()
    await Promise.all([a.key, b.key])
    const messages: string[] = []
    const frames: number[] = []
    const binary: string[] = []
    b.core.on("message", (message) => messages.push(message.t === "av.mls" ? `mls ${message.bytes.length}` : message.t))
    b.core.on("frame", ({ type }) => frames.push(type))
    b.core.on("binary", ({ name }) => binary.push(name))
    const arrived = new Promise<void>((resolve) => {
      b.core.on("message", (message) => message.t === "av.mls" && resolve())
    })
    a.core.send({ t: "av.mls", roomId: new Uint8Array(32), kind: "commit", bytes: new Uint8Array(200_000) })
    a.core.send({ t: "av.leaving", inMs: 5 })
    a.core.sendFrame(FRAME_RENDEZVOUS, new Uint8Array(3))
    a.core.sendBinary("other", new Uint8Array(1))
    a.core.sendBinary("link.lane", Uint8Array.of(3, 9))
    await arrived
    expect(messages.toSorted()).toEqual(["av.leaving", "mls 200000"])
    expect(frames).toEqual([FRAME_RENDEZVOUS])
    expect(binary).toEqual(["other"])
    expect(b.lanes).toEqual([Uint8Array.of(3, 9)])
  })

  it("ends with a GOAWAY that names the reason", async () => {
    const { a, b, start } = connect()
    start()
    await Promise.all([a.key, b.key])
    const goaway = new Promise((resolve) => {
      b.core.on("goaway", resolve)
    })
    a.core.close(6, "no")
    expect(await a.closed).toMatchObject({ reason: "local" })
    expect(await goaway).toEqual({ code: 6, text: "no" })
    expect(await b.closed).toMatchObject({ reason: "goaway", code: 6 })
    expect(() => a.core.send({ t: "av.leaving", inMs: 1 })).toThrow(expect.objectContaining({ code: "SessionClosed" }))
    a.core.close()
  })

  it("drops garbage, counts it, and goes on", async () => {
    const { a, b, start } = connect()
    start()
    await Promise.all([a.key, b.key])
    const dropped: string[] = []
    b.core.on("dropped", ({ error }) => dropped.push(error.code))
    b.core.receive(new Uint8Array(0))
    b.core.receive(new Uint8Array(20_000))
    b.core.receive(encodeFrame(FRAME_JSON, utf8Encode('{"t":"av.policy"}')))
    b.core.receive(encodeFrame(FRAME_JSON, utf8Encode("not json")))
    b.core.receive(encodeFrame(0x03, new Uint8Array(7)))
    expect(dropped).toEqual(["FrameInvalid", "FrameInvalid", "ControlMalformed", "ControlMalformed", "FrameInvalid"])
    const message = new Promise((resolve) => {
      b.core.on("message", resolve)
    })
    a.core.send({ t: "av.leaving", inMs: 5 })
    expect(await message).toEqual({ t: "av.leaving", inMs: 5 })
  })

  it("ignores frames of a type it does not know, however many", async () => {
    const { a, b, start } = connect()
    start()
    await Promise.all([a.key, b.key])
    for (let sent = 0; sent < 300; sent++) b.core.receive(encodeFrame(0x7e, new Uint8Array(2)))
    expect(b.core.closed).toBe(false)
  })

  it("ends on a second HELLO", async () => {
    const { a, b, start } = connect()
    start()
    await Promise.all([a.key, b.key])
    b.core.receive(encodeFrame(0x01, new Uint8Array(108)))
    expect(await b.closed).toMatchObject({ error: { code: "SessionProofFailed" } })
    expect(await a.closed).toMatchObject({ reason: "goaway" })
  })

  it("ends a peer that sends nothing but garbage", async () => {
    const { a, b, start } = connect()
    start()
    await Promise.all([a.key, b.key])
    for (let sent = 0; sent < 300; sent++) b.core.receive(new Uint8Array(1))
    expect(await b.closed).toMatchObject({ reason: "protocol" })
  })

  it("ends when the peer does not read", async () => {
    const wire: Wire = {}
    const { a, b, start } = connect(wire)
    start()
    await Promise.all([a.key, b.key])
    wire.stalled = true
    const send = () => {
      for (let sent = 0; sent < 40; sent++) a.core.sendFrame(0x60, new Uint8Array(1_000_000))
    }
    expect(send).toThrow(expect.objectContaining({ code: "LimitExceeded" }))
    expect(await a.closed).toMatchObject({ reason: "overflow" })
  })
})

describe("a handshake that must fail", () => {
  it("fails when the fingerprints differ: somebody stands in between", async () => {
    const { a, b, start } = connect({}, {}, { fpSeenByAlice: new Uint8Array(32).fill(3) })
    start()
    // Whoever notices first tells the other; nobody gets a key.
    const ends = await Promise.all([a.closed, b.closed])
    expect(ends.some((info) => info.reason === "handshake-failed" && info.error?.code === "SessionProofFailed")).toBe(true)
  })

  it("fails for a frame before the proof", async () => {
    const { a, start } = connect()
    start()
    a.core.receive(encodeFrame(FRAME_JSON, utf8Encode("{}")))
    expect(await a.closed).toMatchObject({ reason: "handshake-failed", error: { code: "SessionProofFailed" } })
  })

  it("fails when the ML-DSA key is not the one of HELLO", async () => {
    const mixed = { ...bob, mlDsaPublicKey: carol.mlDsaPublicKey }
    const { a, start } = connect({}, {}, { signerB: mixed })
    start()
    expect(await a.closed).toMatchObject({ reason: "handshake-failed", code: 8, error: { code: "KexAuthFailed" } })
  })

  it("fails for a peer without an ML-DSA key", async () => {
    const classic = { ...bob, pqHash: new Uint8Array(32) }
    const { a, start } = connect({}, {}, { signerB: classic })
    start()
    expect(await a.closed).toMatchObject({ error: { code: "SignerLacksPqc" } })
  })

  it("fails when the key exchange is signed with other keys", async () => {
    const forger = { ...bob, signHybrid: carol.signHybrid }
    const { a, start } = connect({}, {}, { signerB: forger })
    start()
    expect(await a.closed).toMatchObject({ reason: "handshake-failed", error: { code: "KexAuthFailed" } })
  })

  it("times out without HELLO", async () => {
    const { a, start } = connect({}, { change: () => undefined })
    start()
    skipped = 5_000
    expect(await a.closed).toMatchObject({ reason: "handshake-timeout", error: { code: "SessionTimeout" } })
  })

  it("times out without av.keys", async () => {
    let withheld = 0
    const change = (frame: Bytes) => {
      if (frame[1] !== FRAME_JSON) return frame
      withheld++
      return undefined
    }
    const { a, b, start } = connect({ change }, { change })
    start()
    await vi.waitFor(() => expect(withheld).toBe(2), { timeout: 4_000 })
    skipped = 5_000
    // One side gives up first and tells the other.
    const codes = (await Promise.all([a.closed, b.closed])).map((info) => info.error?.code ?? info.reason)
    expect(codes).toContain("KexTimeout")
  })

  it("renews the key once an hour, although several ticks ask for it before its turn has come", async () => {
    vi.useFakeTimers({ toFake: ["setInterval", "clearInterval"] })
    try {
      const { a, b, start } = connect()
      const ended: unknown[] = []
      for (const { core } of [a, b]) core.on("closed", (info) => ended.push(info))
      start()
      await Promise.all([a.key, b.key])
      skipped = 3_600_500
      // Two ticks in one go: the first renewal is still making its keys when the second one is due.
      vi.advanceTimersByTime(1_000)
      await vi.waitFor(() => expect([a.renewed.length, b.renewed.length]).toEqual([1, 1]), { timeout: 5_000 })
      expect(ended).toEqual([])
    } finally {
      vi.useRealTimers()
    }
  })
})
