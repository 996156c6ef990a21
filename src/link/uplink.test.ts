import { describe, expect, test } from "vitest"
import { MIN_RATE } from "./rate-controller.ts"
import { fairShares, NodeUplink, type UplinkUser } from "./uplink.ts"

const sum = (values: Iterable<number>) => [...values].reduce((all, value) => all + value, 0)

test("shares are fair: little is given in full, the rest in equal parts, and never more than there is", () => {
  expect(fairShares([1, 10, 10], 9)).toEqual([1, 4, 4])
  expect(fairShares([1, 2, 3], 12)).toEqual([3, 4, 5])
  expect(fairShares([5], Number.POSITIVE_INFINITY)).toEqual([Number.POSITIVE_INFINITY])
  expect(fairShares([], 10)).toEqual([])
  let state = 1
  const random = () => {
    state = (state * 48_271) % 2_147_483_647
    return state / 2_147_483_647
  }
  for (let round = 0; round < 1_000; round++) {
    const wants = Array.from({ length: 1 + Math.floor(8 * random()) }, () => 10 * random())
    const capacity = 40 * random()
    const shares = fairShares(wants, capacity)
    expect(sum(shares)).toBeCloseTo(capacity, 6)
    const least = Math.min(...shares)
    // Whoever gets less than it wants gets no less than anybody else.
    shares.forEach((share, index) => {
      if (share < wants[index]! - 1e-9) expect(share).toBeGreaterThan(Math.max(...shares) - 1e-6)
      expect(share).toBeGreaterThanOrEqual(Math.min(least, wants[index]!))
    })
  }
})

describe("the uplink of a node", () => {
  test("another limit holds from the next time on, and can be lifted", () => {
    const uplink = new NodeUplink()
    const user = (needs: number): UplinkUser => ({ rate: 4e6, delivered: 1e6, needs, queueMs: 0 })
    const links = new Map([
      [{}, user(4e6)],
      [{}, user(4e6)],
    ])
    const total = () => sum(uplink.share(links, 0).values())
    expect(total()).toBe(8e6)
    uplink.limitTo(1e6)
    expect(total()).toBe(1e6)
    uplink.limitTo(Number.POSITIVE_INFINITY)
    expect(total()).toBe(8e6)
  })

  const user = (rate: number, more: Partial<UplinkUser> = {}): UplinkUser => ({
    rate,
    delivered: rate,
    needs: Number.POSITIVE_INFINITY,
    queueMs: 0,
    ...more,
  })
  const [a, b, c] = [{}, {}, {}]

  test("a known one is never exceeded by the sum of all targets", () => {
    const uplink = new NodeUplink(5_000_000)
    const caps = uplink.share(
      new Map([
        [a, user(6_000_000)],
        [b, user(4_000_000)],
        [c, user(500_000)],
      ]),
      0,
    )
    expect(sum(caps.values())).toBeLessThanOrEqual(5_000_000)
    expect(caps.get(c)).toBe(500_000)
    expect(caps.get(a)).toBe(caps.get(b))
  })

  test("no link gets more than its streams need", () => {
    const caps = new NodeUplink().share(
      new Map([
        [a, user(6_000_000, { needs: 1_000_000 })],
        [b, user(4_000_000)],
      ]),
      0,
    )
    expect([caps.get(a), caps.get(b)]).toEqual([1_000_000, Number.POSITIVE_INFINITY])
  })

  test("links that fill up together show where it ends; one alone shows only its own path", () => {
    const uplink = new NodeUplink()
    uplink.share(
      new Map([
        [a, user(2_000_000, { queueMs: 40 })],
        [b, user(1_000_000)],
      ]),
      0,
    )
    expect(uplink.capacity).toBe(Number.POSITIVE_INFINITY)
    const caps = uplink.share(
      new Map([
        [a, user(2_000_000)],
        [b, user(1_000_000, { queueMs: 40 })],
      ]),
      200,
    )
    expect(uplink.capacity).toBe(3_000_000)
    expect([caps.get(a), caps.get(b)]).toEqual([2_000_000, 1_000_000])
    // Two slow receivers at the same moment are not the uplink while most goes elsewhere.
    const other = new NodeUplink()
    const full = { queueMs: 40 }
    other.share(
      new Map([
        [a, user(5_000_000)],
        [b, user(500_000, full)],
        [c, user(500_000, full)],
      ]),
      0,
    )
    expect(other.capacity).toBe(Number.POSITIVE_INFINITY)
  })

  test("links that wait while they carry little show a busy machine, and nobody is driven below the least rate", () => {
    const quiet = { delivered: 40_000, queueMs: 60 }
    const uplink = new NodeUplink()
    uplink.share(
      new Map([
        [a, user(600_000, quiet)],
        [b, user(600_000, quiet)],
      ]),
      0,
    )
    expect(uplink.capacity).toBe(Number.POSITIVE_INFINITY)
    // Their controllers have cut by themselves: now it is the path.
    uplink.share(
      new Map([
        [a, user(MIN_RATE, { delivered: 80_000, queueMs: 60 })],
        [b, user(MIN_RATE, { delivered: 80_000, queueMs: 60 })],
      ]),
      50,
    )
    expect(uplink.capacity).toBe(2 * MIN_RATE)
  })

  test("a link without anything to send takes nothing from the others, and may begin with all", () => {
    const caps = new NodeUplink(3_000_000).share(
      new Map([
        [a, user(2_000_000)],
        [b, user(600_000, { delivered: 0, idle: true })],
        [c, user(2_000_000)],
      ]),
      0,
    )
    expect([caps.get(a), caps.get(b), caps.get(c)]).toEqual([1_500_000, 3_000_000, 1_500_000])
  })

  test("what was measured grows, and is forgotten", () => {
    const uplink = new NodeUplink()
    const links = new Map([
      [a, user(2_000_000, { queueMs: 40 })],
      [b, user(2_000_000, { queueMs: 40 })],
    ])
    uplink.share(links, 0)
    const calm = new Map([
      [a, user(2_000_000)],
      [b, user(2_000_000)],
    ])
    for (let now = 1_000; now <= 10_000; now += 50) uplink.share(calm, now)
    expect(uplink.capacity).toBeGreaterThan(7_000_000)
    for (let now = 10_050; now <= 31_000; now += 50) uplink.share(calm, now)
    expect(uplink.capacity).toBe(Number.POSITIVE_INFINITY)
  })
})
