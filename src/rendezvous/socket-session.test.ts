import { describe, expect, test } from "vitest"
import { signerFromSeeds } from "../identity/signer.ts"
import { encodeFrame, FRAME_HELLO, FRAME_JSON, FRAME_PING, FRAME_PONG, FRAME_RENDEZVOUS } from "../wire/control-frame.ts"
import type { AvError } from "../wire/errors.ts"
import { SocketSession } from "./socket-session.ts"

const signers = await Promise.all([1, 2].map((byte) => signerFromSeeds(new Uint8Array(32).fill(byte))))
const random = (length: number) => crypto.getRandomValues(new Uint8Array(length))

interface End {
  session: SocketSession
  heard: [number, Uint8Array][]
  sent: number[]
  proven: string[]
  lost: AvError[]
  /** Frames wait here until they are carried. */
  outbox: Uint8Array[]
}

function end(which: 0 | 1, idleMs = 15_000): End {
  const signer = signers[which] as NonNullable<(typeof signers)[0]>
  const mine: Omit<End, "session"> = { heard: [], sent: [], proven: [], lost: [], outbox: [] }
  const session = new SocketSession(
    { signer, random, idleMs, now: 0 },
    {
      send: (bytes) => {
        mine.outbox.push(bytes)
        mine.sent.push(bytes[1] ?? 0)
      },
      proven: ({ nodeId }) => mine.proven.push(nodeId),
      message: (type, payload) => mine.heard.push([type, payload]),
      lost: (error) => mine.lost.push(error),
    },
  )
  return { session, ...mine }
}

/** Carries frames to and fro until nothing moves any more. */
async function carry(a: End, b: End, now = 0): Promise<void> {
  for (let quiet = 0; quiet < 5; ) {
    const moving = a.outbox.length + b.outbox.length > 0
    for (const bytes of a.outbox.splice(0)) b.session.receive(bytes, now)
    for (const bytes of b.outbox.splice(0)) a.session.receive(bytes, now)
    quiet = moving ? 0 : quiet + 1
    await new Promise((resolve) => setTimeout(resolve, 2))
  }
}

async function pair(): Promise<[End, End]> {
  const [a, b] = [end(0), end(1)]
  a.session.start(0)
  b.session.start(0)
  await carry(a, b)
  return [a, b]
}

describe("SocketSession", () => {
  test("both ends learn who the other is", async () => {
    const [a, b] = await pair()
    expect([a.proven, b.proven]).toEqual([[signers[1]?.nodeId], [signers[0]?.nodeId]])
    expect([a.session.ready, b.session.ready]).toEqual([true, true])
  })

  test("long messages are cut and joined", async () => {
    const [a, b] = await pair()
    const long = random(50_000)
    a.session.send(FRAME_JSON, long, 0)
    a.session.send(FRAME_RENDEZVOUS, Uint8Array.of(1), 0)
    await carry(a, b)
    expect(b.heard).toEqual([
      [FRAME_JSON, long],
      [FRAME_RENDEZVOUS, Uint8Array.of(1)],
    ])
  })

  test("messages that come while the proof is checked wait for it, in order", async () => {
    const [a, b] = [end(0), end(1)]
    a.session.start(0)
    b.session.start(0)
    for (const bytes of a.outbox.splice(0)) b.session.receive(bytes, 0)
    for (const bytes of b.outbox.splice(0)) a.session.receive(bytes, 0)
    await expect.poll(() => a.outbox.length + b.outbox.length).toBe(2)
    const auth = a.outbox.splice(0)
    for (const bytes of auth) b.session.receive(bytes, 0)
    for (const n of [1, 2, 3]) b.session.receive(encodeFrame(FRAME_RENDEZVOUS, Uint8Array.of(n)), 0)
    expect(b.heard).toEqual([])
    await expect.poll(() => b.heard.map(([, payload]) => payload[0])).toEqual([1, 2, 3])
  })

  test("PING after two quiet seconds, PONG at once, the end after fifteen silent ones", async () => {
    const [a, b] = await pair()
    a.session.tick(1_999)
    expect(a.outbox).toEqual([])
    a.session.tick(2_000)
    expect(a.sent.at(-1)).toBe(FRAME_PING)
    await carry(a, b, 2_000)
    expect(b.sent.at(-1)).toBe(FRAME_PONG)
    expect([a.heard, b.heard]).toEqual([[], []])
    a.session.tick(16_999)
    expect(a.lost).toEqual([])
    a.session.tick(17_000)
    expect(a.lost.map(({ code }) => code)).toEqual(["SessionTimeout"])
    a.session.send(FRAME_JSON, random(1), 17_000)
    a.session.socketClosed()
    expect(a.lost.length).toBe(1)
  })

  test("a second HELLO ends a proven session", async () => {
    const [a, b] = await pair()
    b.session.send(FRAME_HELLO, random(108), 0)
    await carry(a, b)
    expect(a.lost.map(({ code }) => code)).toEqual(["SessionProofFailed"])
  })

  test("bad frames end the session, whoever sends them", async () => {
    const [a] = await pair()
    a.session.receive(Uint8Array.of(9, 9, 9, 9), 0)
    expect(a.lost.map(({ code }) => code)).toEqual(["FrameInvalid"])
  })

  test("no proof in five seconds is the end", () => {
    const a = end(0)
    a.session.start(0)
    a.session.tick(4_999)
    expect(a.lost).toEqual([])
    a.session.tick(5_000)
    expect(a.lost.map(({ code }) => code)).toEqual(["SessionTimeout"])
  })
})
