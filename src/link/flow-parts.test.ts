import { describe, expect, test } from "vitest"
import { EncodedShare, EncoderTarget } from "./encoder-target.ts"
import { LaneAssigner } from "./lane-assigner.ts"
import { LaneWatch } from "./lane-watch.ts"
import { LastRates } from "./last-rates.ts"
import { LossMeter, LossRuns } from "./loss-meter.ts"
import { NackSender } from "./nack.ts"
import { ReportDigester } from "./rate-digest.ts"

describe("loss", () => {
  test("is measured over messages, forgets, and forgives late ones", () => {
    const meter = new LossMeter()
    expect(meter.loss).toBe(0)
    expect(meter.prudentLoss).toBeCloseTo(0.02)
    for (let now = 0; now < 10_000; now += 50) meter.feed(9, 1, now)
    expect(meter.loss).toBeCloseTo(0.1, 2)
    expect(meter.prudentLoss).toBeCloseTo(0.1, 1)
    meter.feed(3, -3, 10_000)
    for (let now = 10_000; now < 40_000; now += 50) meter.feed(10, 0, now)
    expect(meter.loss).toBeLessThan(0.001)
    meter.feed(0, -5, 40_000)
    expect(meter.loss).toBe(0)
  })

  test("runs are counted in the order of sending, over all lanes", () => {
    const runs = new LossRuns()
    expect([runs.run, runs.losses]).toEqual([1, 0])
    for (let i = 0; i < 20; i++) runs.sent(2 + (i % 2), Math.floor(i / 2))
    // Messages 4, 5, 6 and 12: lanes 2 and 3 in turn.
    for (const i of [6, 4, 12, 5, 5]) runs.missing(2 + (i % 2), Math.floor(i / 2))
    runs.missing(2, 999)
    expect([runs.run, runs.losses]).toEqual([2, 4])
  })

  test("neither grows without bound", () => {
    const runs = new LossRuns()
    for (let i = 0; i < 20_000; i++) {
      runs.sent(2, i)
      if (i % 3 === 0) runs.missing(2, i)
    }
    expect(runs.losses).toBeLessThanOrEqual(200)
    runs.missing(2, 1)
    expect(runs.losses).toBeLessThanOrEqual(200)
  })
})

describe("lane watch", () => {
  const step = (watch: LaneWatch, from: number, to: number, buffered = 0) => {
    for (let now = from; now <= to; now += 5) watch.tick(now, true, buffered)
  }

  test("silence of a lane counts only beside a lane that works, and only when something was sent", () => {
    const watch = new LaneWatch()
    step(watch, 0, 1_000)
    watch.reported(0, true, 1_000)
    expect(watch.use).toBe("ok")
    watch.sent(1_000)
    watch.reported(0, false, 1_100)
    step(watch, 1_005, 1_900)
    expect(watch.use).toBe("ok")
    watch.reported(0, true, 1_900)
    step(watch, 1_905, 1_905)
    expect(watch.use).toBe("suspect")
    expect(watch.takes).toBe(false)
  })

  test("progress brings it back carefully: one message per report, then all", () => {
    const watch = new LaneWatch()
    watch.sent(0)
    watch.reported(0, true, 100)
    step(watch, 0, 800)
    expect(watch.use).toBe("suspect")
    watch.reported(1, true, 800)
    expect([watch.use, watch.takes]).toEqual(["careful", true])
    watch.sent(810)
    expect(watch.takes).toBe(false)
    watch.reported(2, true, 850)
    expect(watch.takes).toBe(true)
    step(watch, 805, 1_005)
    expect(watch.use).toBe("ok")
  })

  test("bytes that do not get fewer make it suspect, three seconds of it dead", () => {
    const watch = new LaneWatch()
    step(watch, 0, 695, 5_000)
    expect(watch.use).toBe("ok")
    step(watch, 700, 705, 5_000)
    expect(watch.use).toBe("suspect")
    step(watch, 710, 3_800, 5_000)
    expect(watch.use).toBe("dead")
  })

  test("no lane dies of a path on which nothing comes at all", () => {
    const watch = new LaneWatch()
    for (let now = 0; now <= 10_000; now += 5) watch.tick(now, true, 5_000, true)
    expect(watch.use).toBe("suspect")
    step(watch, 10_005, 12_900, 5_000)
    expect(watch.use).toBe("suspect")
    step(watch, 12_905, 13_100, 5_000)
    expect(watch.use).toBe("dead")
  })

  test("a closed channel is dead at once; a sleep of ours is not held against the lane", () => {
    const watch = new LaneWatch()
    watch.sent(0)
    watch.reported(0, true, 10)
    watch.tick(20, true, 100)
    watch.tick(60_000, true, 100)
    expect(watch.use).toBe("ok")
    watch.tick(60_005, false, 0)
    expect(watch.use).toBe("dead")
  })
})

describe("encoder target", () => {
  test("less at once, more after a quarter of a second, next to nothing never", () => {
    const target = new EncoderTarget()
    expect(target.offer(500_000, 0)).toBe(500_000)
    expect(target.offer(600_000, 100)).toBeUndefined()
    expect(target.offer(400_000, 110)).toBe(400_000)
    expect(target.offer(600_000, 300)).toBeUndefined()
    expect(target.offer(600_000, 360)).toBe(600_000)
    expect(target.offer(605_000, 2_000)).toBeUndefined()
    expect(target.told).toBe(600_000)
  })

  test("the share is that of the frames that went out, and fades with the rate", () => {
    const encoded = new EncodedShare()
    for (let i = 0; i < 300; i++) encoded.frame(2_000, 3_200, i * 33)
    expect(encoded.share).toBeCloseTo(2_000 / 3_200, 2)
    expect(encoded.pathRate(300 * 33) / (3_200 * 8 * 30)).toBeCloseTo(1, 1)
    expect(encoded.pathRate(300 * 33 + 10_000)).toBeLessThan(1_000)
    encoded.frame(0, 0, 0)
    expect(encoded.share).toBeGreaterThan(0)
  })
})

test("a peer is met again near its last rate, for ten minutes", () => {
  const last = new LastRates()
  last.remember("a", { target: 2_000_000, measured: true }, 0)
  last.remember("b", { target: 2_000_000, measured: false }, 0)
  expect(last.recall("a", 600_000)).toBeCloseTo(1_400_000)
  expect(last.recall("a", 600_001)).toBeUndefined()
  expect(last.recall("b", 0)).toBeUndefined()
  for (let i = 0; i < 300; i++) last.remember(`peer ${i}`, { target: 1, measured: true }, 0)
  expect(last.recall("a", 0)).toBeUndefined()
})

test("what was sent on a lane lately can be listed, and forgotten with its subscription", () => {
  const nacks = new NackSender<string>(new LaneAssigner())
  for (const [laneSeq, item] of [
    [0, "x"],
    [1, "y"],
    [2, "x"],
  ] as const) {
    nacks.sent({ laneId: 2, laneSeq, frameAt: 0, length: 100, item }, 100 * laneSeq)
  }
  expect(nacks.recent(2, 210, 130)).toEqual([1, 2])
  expect(nacks.recent(3, 210, 130)).toEqual([])
  nacks.forget((item) => item === "x")
  expect(nacks.recent(2, 210, 1_000)).toEqual([1])
})

test("reports of any content give finite digests", () => {
  const digester = new ReportDigester()
  let now = 0
  for (let reportSeq = 0; reportSeq < 2_000; reportSeq++) {
    now += 50
    const any = (limit: number) => Math.floor((Math.sin(reportSeq * 12.9898 + limit) * 43_758.5453) % limit) >>> 0
    const entries = [2, 200].map((laneId) => ({
      laneId,
      highest: any(2 ** 24) & 0xffffff,
      received: any(2 ** 32),
      bytes: any(2 ** 31),
      minDelayUs: any(2 ** 30),
      count: any(3),
      spread: 0,
    }))
    const result = digester.take({ reportSeq: reportSeq & 0xffff, nowUs: any(2 ** 29), entries }, now)
    if (!("digest" in result)) continue
    for (const value of Object.values(result.digest)) expect(Number.isFinite(value)).toBe(true)
    expect(result.digest.q).toBeGreaterThanOrEqual(0)
    expect(result.digest.rtt).toBeGreaterThanOrEqual(0)
  }
})
