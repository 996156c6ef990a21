import fc from "fast-check"
import { describe, expect, test } from "vitest"
import { type QueuedChunk, STALE_MS, shed } from "../../../link/shed.ts"
import { MAX_QUEUED, type Queued, SendQueue } from "./send-queue.ts"

interface Item extends Queued {
  name: number
}

function item(name: number, frame: number, temporal: number, madeAt: number, streamKey = "a", quality = 0): Item {
  return { name, streamKey, frame, layer: { spatial: 0, temporal, quality }, madeAt }
}

function drain(queue: SendQueue<Item>, now: number): number[] {
  const out: number[] = []
  while (queue.peek(now) !== undefined) out.push(queue.shift()!.name)
  return out
}

describe("send queue", () => {
  test("sends the base layer first and keeps the order inside a class", () => {
    const queue = new SendQueue<Item>()
    for (const [name, temporal] of [1, 0, 1, 0].entries()) queue.push(item(name, name, temporal, 0))
    expect(drain(queue, 0)).toEqual([1, 3, 0, 2])
  })

  test("a stale message takes its frame and what builds on it, up to the next base frame", () => {
    const queue = new SendQueue<Item>()
    queue.push(item(0, 0, 0, 0))
    queue.push(item(1, 0, 0, 0, "a", 1))
    queue.push(item(2, 1, 1, 10))
    queue.push(item(3, 2, 0, 20))
    queue.push(item(4, 3, 1, 30))
    queue.push(item(5, 0, 0, 30, "b"))
    expect(drain(queue, STALE_MS + 5)).toEqual([3, 5, 4])
    expect(queue.shed).toBe(3)
  })

  test("refuses more than its bound", () => {
    const queue = new SendQueue<Item>()
    for (let i = 0; i < MAX_QUEUED; i++) expect(queue.push(item(i, i, 0, 0))).toBe(true)
    expect(queue.push(item(0, 0, 0, 0))).toBe(false)
    expect(queue.length).toBe(MAX_QUEUED)
    expect(queue.shed).toBe(1)
  })

  test("keeps what the reference form of the rule keeps", () => {
    const frames = fc.array(
      fc.record({
        stream: fc.constantFrom("a", "b"),
        temporal: fc.nat(2),
        chunks: fc.integer({ min: 1, max: 3 }),
        gap: fc.nat(60),
      }),
      { maxLength: 12 },
    )
    fc.assert(
      fc.property(frames, fc.nat(600), (list, now) => {
        const queue = new SendQueue<Item>()
        const chunks: QueuedChunk[] = []
        const serial = { a: 0, b: 0 }
        let at = 0
        for (const { stream, temporal, chunks: count, gap } of list) {
          at += gap
          const frame = serial[stream as "a" | "b"]++
          for (let i = 0; i < count; i++) {
            queue.push(item(chunks.length, frame, temporal, at, stream, i))
            chunks.push({ stream, frame, spatial: 0, temporal, quality: i, at })
          }
        }
        const dropped = new Set(shed("publisher", chunks, now, STALE_MS))
        const kept = chunks.map((_, index) => index).filter((index) => !dropped.has(index))
        expect(drain(queue, now).sort((x, y) => x - y)).toEqual(kept)
        expect(queue.shed).toBe(dropped.size)
      }),
      { numRuns: 2_000 },
    )
  })
})
