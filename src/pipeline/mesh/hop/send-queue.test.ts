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

describe("what is sent again, and other people's chunks", () => {
  test("retransmissions go first, in their order; a late one takes nothing with it", () => {
    const queue = new SendQueue<Item>()
    queue.push(item(0, 5, 0, 100))
    queue.pushFirst([item(1, 4, 0, 0), item(2, 4, 0, 90)])
    expect(drain(queue, 100)).toEqual([1, 2, 0])
    queue.push(item(0, 5, 0, 100))
    queue.pushFirst([item(1, 5, 0, 0), item(2, 5, 0, 90)])
    expect(drain(queue, 200)).toEqual([2, 0])
    expect([queue.shed, queue.pushed]).toEqual([0, 2])
  })

  test("a keyframe may wait longer, and what stands behind it too", () => {
    const queue = new SendQueue<Item>()
    queue.push({ ...item(0, 0, 0, 0), patienceMs: 350 })
    queue.push(item(1, 1, 0, 0, "b"))
    expect(queue.peek(400)?.name).toBe(0)
    queue.shift()
    expect(drain(queue, 401)).toEqual([])
    queue.push({ ...item(0, 0, 0, 0), patienceMs: 350 })
    expect(drain(queue, 501)).toEqual([])
  })

  test("base frames of our own may wait longer when they are told to; upper layers and a relay's chunks may not", () => {
    const queue = new SendQueue<Item>()
    queue.push(item(0, 0, 0, 0))
    queue.push(item(1, 1, 1, 0))
    const { frame: _, ...relayed } = item(2, 0, 0, 0, "b")
    queue.push(relayed)
    expect(queue.peek(STALE_MS + 300, STALE_MS, 300)?.name).toBe(0)
    expect([queue.length, queue.shed]).toEqual([1, 2])
    expect(queue.sum(({ name }) => name + 7)).toBe(7)
    expect(queue.peek(STALE_MS + 301, STALE_MS, 300)).toBeUndefined()
  })

  test("after a deep cut old enhancement goes, the base layer stays", () => {
    const queue = new SendQueue<Item>()
    for (const [name, temporal, madeAt] of [
      [0, 0, 0],
      [1, 1, 10],
      [2, 0, 40],
      [3, 1, 60],
    ] as const) {
      queue.push(item(name, name, temporal, madeAt))
    }
    queue.dropEnhancement(100, 60)
    expect(queue.shed).toBe(1)
    expect(drain(queue, 100)).toEqual([0, 2, 3])
  })

  test("a relay, which sees no frames, sheds by layer", () => {
    const chunks: QueuedChunk[] = [
      { stream: "a", spatial: 0, temporal: 0, quality: 0, at: 0 },
      { stream: "a", spatial: 0, temporal: 0, quality: 1, at: 0 },
      { stream: "a", spatial: 0, temporal: 0, quality: 0, at: 90 },
      { stream: "a", spatial: 0, temporal: 0, quality: 1, at: 90 },
      { stream: "a", spatial: 0, temporal: 1, quality: 0, at: 95 },
      { stream: "b", spatial: 0, temporal: 0, quality: 1, at: 95 },
    ]
    const queue = new SendQueue<Item>()
    for (const [name, { stream, temporal, quality, at }] of chunks.entries()) {
      queue.push({ name, streamKey: stream, layer: { spatial: 0, temporal, quality }, madeAt: at })
    }
    const dropped = shed("relay", chunks, 200, STALE_MS)
    expect(dropped).toEqual([0, 1, 3, 4])
    expect(drain(queue, 200)).toEqual([2, 5])
  })
})
