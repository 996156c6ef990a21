import fc from "fast-check"
import { describe, expect, test } from "vitest"
import { FRAME_WINDOW, FrameJoiner, type FramePart, MAX_PARTS, MAX_REPORTED } from "./frame-joiner.ts"

function part(frameId: number, index = 0, count = 1, bytes = Uint8Array.of(index), more: Partial<FramePart> = {}): FramePart {
  const facts = { ptsUs: 0n, keyframe: false, discontinuity: false, aux: 0, temporalId: 0, repaired: false }
  return { ...facts, frameId: frameId >>> 0, index, count, bytes, ...more }
}

describe("frame joiner", () => {
  test("joins parts in any order, once", () => {
    const joiner = new FrameJoiner()
    expect(joiner.add(part(7, 2, 3)).verdict).toBe("waiting")
    expect(joiner.add(part(7, 0, 3, undefined, { repaired: true })).verdict).toBe("waiting")
    expect(joiner.add(part(7, 0, 3)).verdict).toBe("waiting")
    const { verdict, frame } = joiner.add(part(7, 1, 3))
    expect(verdict).toBe("joined")
    expect([...new Uint8Array(frame!.data)]).toEqual([0, 1, 2])
    expect(frame!.repaired).toBe(true)
    expect(joiner.add(part(7, 1, 3)).verdict).toBe("done-before")
    expect(joiner.wants(7)).toBe(false)
  })

  test("refuses parts that contradict each other or their own count", () => {
    const joiner = new FrameJoiner({ maxFrameBytes: 10 })
    joiner.add(part(1, 0, 3))
    expect(joiner.add(part(1, 1, 4)).verdict).toBe("mismatch")
    expect(joiner.add(part(1, 1, 3, undefined, { ptsUs: 5n })).verdict).toBe("mismatch")
    expect(joiner.add(part(1, 1, 3, undefined, { keyframe: true })).verdict).toBe("mismatch")
    expect(joiner.add(part(1, 1, 3, new Uint8Array(10))).verdict).toBe("mismatch")
    expect(joiner.add(part(2, 3, 3)).verdict).toBe("mismatch")
    expect(joiner.add(part(2, 0, 0)).verdict).toBe("mismatch")
    expect(joiner.add(part(2, 0, MAX_PARTS + 1)).verdict).toBe("mismatch")
  })

  test("gives up what falls out of the window, and counts gaps only in dense numbering", () => {
    const lost: number[] = []
    const dense = new FrameJoiner({ onLost: (id) => lost.push(id) })
    dense.add(part(0))
    dense.add(part(1, 0, 2))
    dense.add(part(3 + FRAME_WINDOW))
    expect(lost).toEqual([1, 2])
    expect(dense.add(part(2)).verdict).toBe("too-late")
    expect(dense.wants(2)).toBe(false)

    lost.length = 0
    const sparse = new FrameJoiner({ onLost: (id) => lost.push(id), sparse: true })
    sparse.add(part(0))
    sparse.add(part(1, 0, 2))
    sparse.add(part(3 + FRAME_WINDOW))
    expect(lost).toEqual([1])
  })

  test("a jump of the numbers is told by a bounded number of losses, and the rest only counted", () => {
    const lost: number[] = []
    let unreported = 0
    const joiner = new FrameJoiner({ onLost: (id) => lost.push(id), onUnreported: (count) => (unreported += count) })
    joiner.add(part(0))
    joiner.add(part(1, 0, 2))
    let told = 0
    for (let packet = 1; packet <= 20; packet++) {
      lost.length = 0
      expect(joiner.add(part(packet * 4_095)).verdict).toBe("joined")
      expect(lost.length).toBeLessThanOrEqual(MAX_REPORTED + 1)
      told += lost.length
    }
    // Told are the newest of a gap: what lies before them is seconds ago.
    const floor = 20 * 4_095 - FRAME_WINDOW
    expect(lost.at(-1)).toBe(floor - 1)
    // All below the window but frame 0 and the 19 earlier jumps.
    expect(told + unreported).toBe(floor - 20)
    expect(joiner.add(part(floor)).verdict).toBe("joined")

    const quiet = new FrameJoiner({ onLost: (id) => lost.push(id), onUnreported: (count) => (unreported += count), sparse: true })
    lost.length = 0
    unreported = 0
    quiet.add(part(0))
    quiet.add(part(1, 0, 2))
    quiet.add(part(4_000))
    expect([lost, unreported]).toEqual([[1], 0])
  })

  test("goes on across the wrap, and starts anew after a jump", () => {
    const joiner = new FrameJoiner()
    for (let id = -3; id < 4; id++) expect(joiner.add(part(id)).verdict).toBe("joined")
    expect(joiner.newest).toBe(3)
    expect(joiner.add(part(1_000_000)).verdict).toBe("joined")
    expect(joiner.add(part(4)).verdict).toBe("joined")
  })

  test("any order, loss and duplication gives each complete frame once and intact", () => {
    const plan = fc.array(fc.record({ parts: fc.integer({ min: 1, max: 5 }), lose: fc.boolean() }), {
      minLength: 1,
      maxLength: 20,
    })
    fc.assert(
      fc.property(plan, fc.infiniteStream(fc.nat(1_000_000)), (frames, order) => {
        const parts = frames.flatMap(({ parts: count, lose }, id) =>
          Array.from({ length: count }, (_, index) => ({ part: part(id, index, count, Uint8Array.of(id, index)), lose })),
        )
        const sent = parts.filter(({ part: p, lose }) => !(lose && p.index === 0))
        const twice = [...sent, ...sent]
        const key = new Map(twice.map((_, i) => [i, order.next().value as number]))
        const shuffled = twice.map((entry, i) => ({ entry, i })).sort((a, b) => key.get(a.i)! - key.get(b.i)!)
        const joiner = new FrameJoiner({ sparse: true })
        const got = new Map<number, number[]>()
        for (const { entry } of shuffled) {
          const { frame } = joiner.add(entry.part)
          if (frame === undefined) continue
          expect(got.has(frame.frameId)).toBe(false)
          got.set(frame.frameId, [...new Uint8Array(frame.data)])
        }
        for (const [id, { parts: count, lose }] of frames.entries()) {
          const whole = Array.from({ length: count }, (_, index) => [id, index]).flat()
          // A frame more than the window behind the first one seen may be refused.
          if (!lose && got.has(id)) expect(got.get(id)).toEqual(whole)
          if (!lose) expect(got.has(id)).toBe(true)
          if (lose) expect(got.has(id)).toBe(false)
        }
      }),
      { numRuns: 1_000 },
    )
  })
})
