import fc from "fast-check"
import { describe, expect, it } from "vitest"
import { AUDIO_GATE, audioGateOpen, LaneAssigner, VIDEO_GATE } from "./lane-assigner.ts"
import {
  audioCopies,
  burstRepair,
  laneCapacity,
  publisherRepair,
  relayForwards,
  repairFor,
  repairSymbols,
} from "./lane-capacity.ts"
import { laneHealth } from "./lane-health.ts"
import { LanePolicy, laneCount, laneLimit } from "./lane-policy.ts"
import { clockMicros, LaneSequence, laneSeqDelta } from "./lane-sequence.ts"
import { NackReceiver, NackSender } from "./nack.ts"
import { MESSAGE_OVERHEAD, Pacer, type SendClass } from "./pacer.ts"
import { ReportBuilder } from "./report-builder.ts"
import { type QueuedChunk, shed } from "./shed.ts"

describe("lane assignment (LL-9, LL-10)", () => {
  it("spreads over equal lanes and prefers empty ones", () => {
    const assigner = new LaneAssigner()
    const equal = [2, 3, 5].map((laneId) => ({ laneId, buffered: 0 }))
    expect([1, 2, 3, 4].map(() => assigner.choose(equal)?.laneId)).toEqual([2, 3, 5, 2])
    expect(
      assigner.choose([
        { laneId: 2, buffered: 10 },
        { laneId: 3, buffered: 9 },
      ])?.laneId,
    ).toBe(3)
    expect(assigner.choose(equal, 2)?.laneId).not.toBe(2)
    expect(assigner.choose([])).toBeUndefined()
  })

  it("never takes a lane above the gate, and the least buffered one otherwise", () => {
    const lanes = fc.array(fc.record({ laneId: fc.integer({ min: 2, max: 255 }), buffered: fc.nat(20_000) }), { maxLength: 8 })
    fc.assert(
      fc.property(fc.array(lanes, { maxLength: 20 }), (steps) => {
        const assigner = new LaneAssigner()
        for (const step of steps) {
          const usable = step.filter((lane) => lane.buffered <= VIDEO_GATE)
          const chosen = assigner.choose(step)
          expect(chosen?.buffered).toBe(usable.length === 0 ? undefined : Math.min(...usable.map((lane) => lane.buffered)))
        }
      }),
    )
    expect([audioGateOpen(AUDIO_GATE), audioGateOpen(AUDIO_GATE + 1)]).toEqual([true, false])
  })

  it("numbers messages in a circle of 24 bits", () => {
    const sequence = new LaneSequence()
    expect([sequence.take(), sequence.take()]).toEqual([0, 1])
    expect(laneSeqDelta(1, 0xffffff)).toBe(2)
    expect(laneSeqDelta(0xffffff, 1)).toBe(-2)
    expect(laneSeqDelta(0x800000, 0)).toBe(-0x800000)
    expect(clockMicros(4_294_967.3)).toBe(4)
  })
})

describe("reports (LL-21)", () => {
  it("count each message once, whatever the order", () => {
    const builder = new ReportBuilder()
    expect([5, 3, 5, 4, 3].map((seq) => builder.receive(2, seq, 0, 100, 50))).toEqual([true, true, false, true, false])
    expect(builder.build(1_000)?.entries).toEqual([
      { laneId: 2, highest: 5, received: 3, bytes: 150, minDelayUs: 100, count: 3, spread: 0 },
    ])
    // 0, 1 and 2 are missing.
    expect(builder.lost(2)).toBe(3)
    expect(builder.build(2_000)?.entries[0]).toMatchObject({ received: 3, count: 0, minDelayUs: 0 })
  })

  it("measure delays across the wrap of both clocks", () => {
    const builder = new ReportBuilder()
    builder.receive(1, 0, 0xfffffff0, 0x10, 9)
    builder.receive(1, 1, 0x10, 0x10 + 64 * 10, 9)
    expect(builder.build(0)?.entries[0]).toMatchObject({ minDelayUs: 0x20, spread: Math.floor((640 - 32) / 128) })
  })

  it("are due every 50 ms while something comes, and once more after the end", () => {
    const builder = new ReportBuilder()
    expect([builder.due(0), builder.build(0)]).toEqual([false, undefined])
    builder.receive(1, 0, 0, 0, 9)
    expect(builder.due(0)).toBe(true)
    builder.build(0, 0)
    expect([builder.due(50), builder.due(100)]).toEqual([false, true])
    builder.receive(1, 1, 0, 0, 9)
    expect([builder.due(49), builder.due(50)]).toEqual([false, true])
    builder.build(0, 50)
    builder.build(0, 150)
    expect(builder.due(9_999)).toBe(false)
  })

  it("agree with plain counting for any order of any numbers", () => {
    const numbers = fc.array(fc.integer({ min: 0, max: 900 }), { maxLength: 200 })
    fc.assert(
      fc.property(numbers, fc.nat(8_000_000), (offsets, base) => {
        const builder = new ReportBuilder()
        builder.receive(2, base, 0, 0, 1)
        const seen = new Set([base])
        for (const offset of offsets) {
          const seq = (base + offset) & 0xffffff
          expect(builder.receive(2, seq, 0, 0, 1)).toBe(!seen.has(seq))
          seen.add(seq)
        }
        expect(builder.build(0)?.entries[0]?.received).toBe(seen.size)
      }),
    )
  })

  it("cannot be made to track more lanes than a link has", () => {
    const builder = new ReportBuilder()
    for (let laneId = 1; laneId <= 200; laneId++) builder.receive(laneId, 0, 0, 0, 9)
    expect(builder.build(0)?.entries).toHaveLength(9)
    builder.closeLane(3)
    expect(builder.receive(77, 0, 0, 0, 9)).toBe(true)
  })
})

describe("lanes and repair in numbers", () => {
  it("carry what section 1 says", () => {
    const mbit = [0.02, 0.05, 0.1].map((loss) => Math.round(laneCapacity(50, loss) / 1e5) / 10)
    expect(mbit).toEqual([1.6, 1, 0.7])
  })

  it("need the repair of the table in section 8", () => {
    const losses = [0.005, 0.01, 0.02, 0.05, 0.1, 0.15]
    const table: [number, number[]][] = [
      [1, [0, 0, 0, 1, 1, 1]],
      [2, [0, 0, 1, 1, 1, 2]],
      [3, [0, 0, 1, 1, 2, 2]],
      [5, [0, 1, 1, 2, 2, 3]],
      [8, [1, 1, 1, 2, 3, 4]],
      [10, [1, 1, 1, 2, 4, 5]],
      [16, [1, 1, 2, 3, 5, 7]],
      [24, [1, 1, 2, 4, 6, 9]],
      [40, [1, 2, 3, 5, 9, 13]],
    ]
    for (const [k, row] of table) expect(losses.map((loss) => repairFor(k, loss, 0.03))).toEqual(row)
  })

  it("follow runs of loss only where asking again is too slow", () => {
    const input = { k: 10, loss: 0.01, rttMs: 91, run: 3.5, losses: 20, keyframe: false }
    expect(repairSymbols(input)).toBe(5)
    expect(repairSymbols({ ...input, losses: 19 })).toBe(repairSymbols({ ...input, run: 1 }))
    expect(repairSymbols({ ...input, rttMs: 90 })).toBe(1)
    expect(repairSymbols({ ...input, k: 1, loss: 0.9 })).toBe(2)
  })

  it("have a symbol more where short runs of losses are many", () => {
    const path = { loss: 0.1, rttMs: 50, run: 3.7, losses: 40 }
    expect(burstRepair(path)).toBe(1)
    expect(burstRepair({ ...path, run: 1.4 })).toBe(0)
    expect(burstRepair({ ...path, run: 5 })).toBe(0)
    expect(burstRepair({ ...path, loss: 0.029 })).toBe(0)
    expect(burstRepair({ ...path, losses: 19 })).toBe(0)
  })

  it("take the worst child up to five per cent", () => {
    const child = (loss: number) => ({ loss, rttMs: 20, run: 1, losses: 0 })
    expect(publisherRepair(10, false, [])).toBe(0)
    expect(publisherRepair(10, false, [child(0), child(0.02), child(0.3)])).toBe(2)
    expect([relayForwards(0, 0), relayForwards(2, 1), relayForwards(2, 2)]).toEqual([true, false, true])
    expect([audioCopies(0.0099).copies, audioCopies(0.01).secondAfterMs]).toEqual([1, 20])
  })

  it("ask for lanes, and limit the sender where more would not help", () => {
    const demand = { rate: 1_840_000, loss: 0.02, rttMs: 50, cap: 6, open: 2, laneLimited: false }
    expect(laneCount(demand)).toEqual({ need: 3, want: 3, limit: undefined })
    expect(laneCount({ ...demand, loss: 0.1, cap: 4 })).toMatchObject({ need: 6, want: 4, limit: expect.closeTo(1_861_949, -1) })
    expect(laneCount({ ...demand, loss: 0, laneLimited: true, open: 8 }).want).toBe(8)
    expect([4, 3].map((cap) => laneCount({ ...demand, loss: 0, cap, least: 4 }).want)).toEqual([4, 3])
    expect([laneLimit(4), laneLimit(5)]).toEqual([6, 4])
  })

  it("close one lane per thirty quiet seconds", () => {
    const policy = new LanePolicy()
    const quiet = { rate: 100_000, loss: 0, rttMs: 50, cap: 6, open: 4, laneLimited: false }
    const actions = Array.from({ length: 32 }, (_, step) => policy.evaluate(step * 2_000, quiet).action)
    expect(actions.flatMap((action, step) => (action === undefined ? [] : [[step * 2, action]]))).toEqual([
      [30, "remove"],
      [60, "remove"],
    ])
  })

  it("call a lane suspect, then dead", () => {
    const fine = {
      connection: "connected" as const,
      channelOpen: true,
      noRiseMs: 0,
      othersRose: true,
      bufferedStuckMs: 0,
      suspectMs: 0,
    }
    expect(laneHealth(fine)).toBe("ok")
    expect(laneHealth({ ...fine, noRiseMs: 700 })).toBe("suspect")
    expect(laneHealth({ ...fine, noRiseMs: 700, othersRose: false })).toBe("ok")
    expect(laneHealth({ ...fine, bufferedStuckMs: 700, suspectMs: 3_000 })).toBe("dead")
    expect(laneHealth({ ...fine, connection: "disconnected" })).toBe("suspect")
    expect(laneHealth({ ...fine, channelOpen: false })).toBe("dead")
  })
})

describe("queues", () => {
  it("release no more than the rate, and never a lower class first", () => {
    const message = fc.record({ sendClass: fc.integer({ min: 0, max: 4 }), length: fc.integer({ min: 60, max: 1_156 }) })
    fc.assert(
      fc.property(
        fc.array(message, { minLength: 1, maxLength: 60 }),
        fc.integer({ min: 100_000, max: 3_000_000 }),
        (messages, rate) => {
          const pacer = new Pacer<{ sendClass: number; length: number }>()
          for (const each of messages) pacer.put(each, each.sendClass as SendClass, each.length)
          let sent = 0
          const order: number[] = []
          for (let now = 0; now <= 100; now += 5) {
            for (const each of pacer.step(now, rate)) {
              sent += each.length + MESSAGE_OVERHEAD
              order.push(each.sendClass)
            }
            expect(sent).toBeLessThanOrEqual((1.2 * rate * now) / 8_000 + 1e-6)
          }
          expect(order).toEqual(order.toSorted((a, b) => a - b))
          expect(pacer.waiting).toBe(messages.length - order.length)
        },
      ),
    )
  })

  it("put a retransmission in front", () => {
    const pacer = new Pacer<string>()
    pacer.put("later", 0, 100)
    pacer.putFirst("first", 100)
    pacer.step(0, 1e6)
    expect(pacer.step(10, 1e6)).toEqual(["first", "later"])
  })

  it("shed what cannot be decoded without a stale chunk (LL-24)", () => {
    const chunk = (frame: number, spatial: number, at: number, quality = 0): QueuedChunk => ({
      stream: "a",
      frame,
      spatial,
      temporal: 0,
      quality,
      at,
    })
    const queue = [chunk(1, 0, 0), chunk(1, 0, 160, 1), chunk(2, 1, 160), chunk(3, 0, 160), chunk(3, 1, 160)]
    expect(shed("publisher", queue, 160, 150)).toEqual([0, 1, 2])
    // A relay sees no frames: by layer only, repair of the same layer included.
    expect(shed("relay", queue, 160, 150)).toEqual([0, 1, 2, 4])
    expect(shed("relay", [{ ...queue[0]!, stream: "b" }, ...queue.slice(1)], 160, 150)).toEqual([0])
  })
})

describe("NACK (LL-14, LL-26)", () => {
  it("asks for each missing number at most twice", () => {
    fc.assert(
      fc.property(
        fc.array(fc.tuple(fc.integer({ min: 0, max: 6 }), fc.integer({ min: -2, max: 5 })), { maxLength: 120 }),
        (moves) => {
          const receiver = new NackReceiver()
          const asked = new Map<number, number>()
          let now = 0
          let seq = 0
          for (const [wait, move] of moves) {
            now += wait
            seq = (seq + move) & 0xffffff
            receiver.receive(2, seq)
            for (const { laneSeqs } of receiver.due(now, 40)) {
              expect(laneSeqs.length).toBeLessThanOrEqual(64)
              for (const each of laneSeqs) asked.set(each, (asked.get(each) ?? 0) + 1)
            }
          }
          for (const times of asked.values()) expect(times).toBeLessThanOrEqual(2)
        },
      ),
    )
  })

  it("never asks for audio or after an outage", () => {
    const receiver = new NackReceiver()
    receiver.receive(1, 9)
    receiver.receive(2, 0)
    receiver.receive(2, 66)
    expect(receiver.due(0, 40)).toEqual([])
    receiver.receive(2, 68)
    expect(receiver.due(9, 40)).toEqual([{ laneId: 2, laneSeqs: [67] }])
    receiver.closeLane(2)
    expect(receiver.due(99, 40)).toEqual([])
  })

  it("sends again what it holds, on another lane, once", () => {
    const sender = new NackSender<string>(new LaneAssigner())
    sender.sent({ laneId: 2, laneSeq: 7, frameAt: 0, length: 1_000, item: "chunk" }, 0)
    sender.sent({ laneId: 2, laneSeq: 8, frameAt: 0, length: 1_000, item: undefined }, 0)
    const lanes = [2, 3].map((laneId) => ({ laneId, buffered: laneId }))
    const ask = (now: number, laneSeqs: number[], rate = 1e6) => sender.answer({ laneId: 2, laneSeqs }, { now, rate, lanes })
    expect(ask(10, [8, 9]).map((outcome) => outcome.kind)).toEqual(["padding", "unknown"])
    expect(ask(10, [7], 1_000)).toEqual([{ kind: "budget" }])
    expect(ask(130, [7])).toEqual([{ kind: "too-old" }])
    expect(ask(20, [7])).toMatchObject([{ kind: "resend", laneId: 3, message: { item: "chunk" } }])
    expect(ask(20, [7])).toEqual([{ kind: "unknown" }])
  })
})
