import { describe, expect, it } from "vitest"
import { UNCAPPED } from "../wire/layers.ts"
import { CapacityAdvertiser, type CapacityPromise } from "./advertiser.ts"
import { bucketOf, CapacityEstimator, type LinkSample } from "./estimator.ts"
import { START } from "./test-parents.ts"

/** Samples of one second each; returns the promise after each. */
function life(estimator: CapacityEstimator, from: number, seconds: number, links: (second: number) => LinkSample[]): number[] {
  return Array.from({ length: seconds }, (_, second) => {
    estimator.sample(links(second), from + second * 1_000)
    return estimator.uplinkMbps
  })
}
const calm = (deliveredMbps: number): LinkSample => ({ deliveredMbps, congested: false })
const full = (deliveredMbps: number): LinkSample => ({ deliveredMbps, congested: true })

describe("the estimator", () => {
  it("promises a start, in whole layers, before anything was delivered", () => {
    expect(new CapacityEstimator({ layerMbps: 0.75, startMbps: 2 }).uplinkMbps).toBe(1.5)
    expect(new CapacityEstimator({ layerMbps: 1, startMbps: 9, limitMbps: 4, committedMbps: 1 }).uplinkMbps).toBe(3)
    expect(new CapacityEstimator({ layerMbps: 1, startMbps: 0.9 }).uplinkMbps).toBe(0)
  })

  it("rises slowly, and only to half more than was sustained", () => {
    const estimator = new CapacityEstimator({ layerMbps: 1, startMbps: 2 })
    const promises = life(estimator, START, 120, () => [calm(2), calm(2)])
    expect(promises[25]).toBe(2)
    expect(promises[119]).toBe(6)
    for (let i = 1; i < promises.length; i++) expect(promises[i]! - promises[i - 1]!).toBeGreaterThanOrEqual(0)
  })

  it("does not take a burst for a sustained rate", () => {
    const estimator = new CapacityEstimator({ layerMbps: 1, startMbps: 2 })
    life(estimator, START, 120, (second) => [calm(second % 30 < 15 ? 1 : 50)])
    expect(estimator.uplinkMbps).toBe(2)
  })

  it("falls at once when the uplink is full, to three quarters of what went through", () => {
    const estimator = new CapacityEstimator({ layerMbps: 1, startMbps: 8 })
    life(estimator, START, 60, () => [calm(4), calm(4)])
    const promises = life(estimator, START + 60_000, 3, () => [full(2), full(2)])
    expect(promises[2]).toBe(3)
  })

  it("does not blame the uplink for one slow child", () => {
    const estimator = new CapacityEstimator({ layerMbps: 1, startMbps: 4 })
    life(estimator, START, 100, () => [calm(2), calm(2), full(0.3)])
    expect(estimator.uplinkMbps).toBe(6)
  })

  it("lets the ceiling rise after a minute of calm, without a leap", () => {
    const estimator = new CapacityEstimator({ layerMbps: 1, startMbps: 8 })
    life(estimator, START, 5, () => [full(4)])
    expect(estimator.uplinkMbps).toBe(3)
    const promises = life(estimator, START + 5_000, 400, () => [calm(3)])
    expect(promises[50]).toBe(3)
    expect(promises[399]).toBe(8)
    for (let i = 1; i < promises.length; i++) expect(promises[i]! - promises[i - 1]!).toBeLessThanOrEqual(2)
  })

  it("does not flutter with a noisy load", () => {
    const estimator = new CapacityEstimator({ layerMbps: 1, startMbps: 2 })
    life(estimator, START, 120, () => [calm(10)])
    const promises = life(estimator, START + 120_000, 300, (second) => [calm(10 + Math.sin(second) * 0.8)])
    const changes = promises.filter((promise, i) => i > 0 && promise !== promises[i - 1])
    expect(changes.length).toBeLessThanOrEqual(1)
  })

  it("obeys a new limit at once", () => {
    const estimator = new CapacityEstimator({ layerMbps: 1, startMbps: 8 })
    estimator.configure({ limitMbps: 2.5 }, START)
    expect(estimator.uplinkMbps).toBe(2)
    estimator.configure({ limitMbps: 100 }, START)
    expect(estimator.uplinkMbps).toBe(2)
  })

  it("counts large numbers of layers coarsely", () => {
    expect([0, 1.9, 7, 8, 9, 15, 16, 19, 33, 1_000].map(bucketOf)).toEqual([0, 1, 7, 8, 8, 14, 16, 16, 32, 896])
  })
})

const promise: CapacityPromise = {
  uplinkMbps: 3,
  maxStreams: 4,
  maxSubscribersPerStream: 3,
  maxLayerSupported: UNCAPPED,
  subStreamCommitments: [],
}

describe("the advertiser", () => {
  /** Seconds at which it signs, asked ten times a second. */
  function signings(advertiser: CapacityAdvertiser, seconds: number, each: (ms: number) => void = () => {}): number[] {
    const times: number[] = []
    for (let ms = 0; ms < seconds * 1_000; ms += 100) {
      each(ms)
      if (advertiser.due(START + ms) !== undefined) times.push(ms / 1_000)
    }
    return times
  }

  it("signs every 20 s while nothing changes", () => {
    const advertiser = new CapacityAdvertiser(() => 0)
    advertiser.setPromise(promise)
    advertiser.enterEpoch(1n, START)
    expect(signings(advertiser, 61)).toEqual([0, 20, 40, 60])
  })

  it("signs for other values and for a new epoch, at most once a second", () => {
    const advertiser = new CapacityAdvertiser(() => 0.8)
    advertiser.setPromise(promise)
    advertiser.enterEpoch(1n, START)
    const times = signings(advertiser, 15, (ms) => {
      if (ms === 5_000) advertiser.setPromise({ ...promise, uplinkMbps: 2 })
      if (ms === 5_200) advertiser.setPromise({ ...promise, uplinkMbps: 1 })
      // Three epochs within a second: one signature.
      if (ms === 10_000) advertiser.enterEpoch(2n, START + ms)
      if (ms === 10_300) advertiser.enterEpoch(3n, START + ms)
      if (ms === 10_600) advertiser.enterEpoch(4n, START + ms)
    })
    expect(times).toEqual([0, 5, 6, 11])
  })

  it("says once that there is no room any more, and nothing without any", () => {
    const advertiser = new CapacityAdvertiser(() => 0)
    advertiser.enterEpoch(1n, START)
    expect(advertiser.due(START)).toBeUndefined()
    advertiser.setPromise(promise)
    expect(advertiser.due(START)?.capacity.uplinkMbps).toBe(3)
    advertiser.setPromise(undefined)
    expect(advertiser.due(START + 999)).toBeUndefined()
    expect(advertiser.due(START + 1_000)?.capacity).toMatchObject({ uplinkMbps: 0, maxSubscribersPerStream: 0 })
    expect(signings(advertiser, 60)).toEqual([])
  })

  it("never repeats a measuring time, even when the clock is set back", () => {
    const advertiser = new CapacityAdvertiser(() => 0)
    advertiser.setPromise(promise)
    advertiser.enterEpoch(1n, START)
    const first = advertiser.due(START)?.capacity.measuredAtUnixMs
    advertiser.enterEpoch(2n, START - 3_000)
    expect(advertiser.due(START - 3_000)?.capacity.measuredAtUnixMs).toBe((first ?? 0n) + 1n)
    // Further ahead nobody admitted it: the clock counts.
    advertiser.enterEpoch(3n, START - 60_000)
    expect(advertiser.due(START - 60_000)?.capacity.measuredAtUnixMs).toBe(BigInt(START - 60_000))
  })
})
