/** Frames of the memory: messages at once, symbols within the rate and in turns, nothing into a full session, nobody waits for ever. */
import { expect, test } from "vitest"
import { FRAME_BINARY } from "../../wire/frame.ts"
import type { Bytes } from "../../wire/types.ts"
import { Outgate, type OutgateSession } from "./outgate.ts"

class Session implements OutgateSession {
  closed = false
  full = 0
  sent: string[] = []
  buffered(type: number): number {
    return type === FRAME_BINARY ? this.full : 0
  }
  sendFrame(_type: number, payload: Bytes): void {
    if (this.closed) throw new Error("closed")
    this.sent.push(`json ${payload.length}`)
  }
  sendBinary(name: string, bytes: Bytes): void {
    this.sent.push(`${name} ${bytes.length}`)
  }
}

function setUp(bytesPerSecond: number) {
  const sessions = new Map([
    ["a", new Session()],
    ["b", new Session()],
  ])
  const gate = new Outgate(
    (peer) => sessions.get(peer),
    () => bytesPerSecond,
  )
  let done = 0
  const push = (peer: string, length: number, now: number, binary?: string) =>
    gate.push(
      {
        peer,
        payload: new Uint8Array(length),
        done: () => {
          done += 1
        },
        ...(binary === undefined ? {} : { binary }),
      },
      now,
    )
  return { sessions, gate, push, done: () => done }
}

test("symbols keep to the rate, messages do not wait for it, and peers take turns", () => {
  const { sessions, gate, push, done } = setUp(10_000)
  for (let i = 0; i < 4; i++) for (const peer of ["a", "b"]) push(peer, 2_500, 0, "s")
  push("a", 100, 0)
  const [a, b] = [sessions.get("a")!, sessions.get("b")!]
  expect(a.sent).toEqual(["s 2500", "json 100"])
  expect(b.sent).toEqual([])
  let now = 0
  let before = 0
  while (gate.waiting > 0) {
    now += gate.pump(now) ?? 1
    const total = a.sent.length + b.sent.length
    before = Math.max(before, Math.abs(a.sent.length - 1 - b.sent.length))
    expect(2_500 * (total - 2)).toBeLessThanOrEqual(10_000 * (now / 1_000) + 2_500)
    expect(now).toBeLessThan(10_000)
  }
  expect(now).toBeGreaterThan(1_500)
  expect(before).toBe(1)
  expect(done()).toBe(9)
})

test("a session whose queue is long gets no symbol until it drained", () => {
  const { sessions, gate, push, done } = setUp(1e6)
  const a = sessions.get("a")!
  a.full = 100_000
  push("a", 1_000, 0, "s")
  expect(gate.pump(1)).toBeUndefined()
  expect([a.sent.length, done()]).toEqual([0, 0])
  a.full = 0
  gate.pump(2)
  expect([a.sent.length, done()]).toEqual([1, 1])
})

test("whoever waits for a peer that went is told", () => {
  const { sessions, gate, push, done } = setUp(1e6)
  sessions.get("a")!.full = 100_000
  for (let i = 0; i < 3; i++) push("a", 10, 0, "s")
  push("nobody", 10, 0)
  expect(done()).toBe(1)
  gate.forget("a")
  expect([done(), gate.waiting]).toEqual([4, 0])
  sessions.get("b")!.closed = true
  push("b", 10, 0)
  expect(done()).toBe(5)
})
