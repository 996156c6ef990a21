import { beforeEach, describe, expect, it } from "vitest"
import { CapacityDesk, type CapacityDeskOptions } from "./capacity-desk.ts"

const START = 1_700_000_000_000

describe("what a page promises", () => {
  let now: number
  let least: number | undefined

  beforeEach(() => {
    now = START
    least = undefined
  })

  const deskWith = (more: Partial<CapacityDeskOptions> = {}) =>
    new CapacityDesk({
      me: "me",
      signer: { signHybrid: () => Promise.reject(new Error("nothing is signed here")) },
      random: () => 0.5,
      keysOf: () => undefined,
      isStream: () => true,
      send: () => true,
      count: () => {},
      leastMbps: () => least,
      relays: true,
      ...more,
    })
  /** Seconds with one link. */
  const pass = (desk: CapacityDesk, seconds: number, deliveredMbps: number, targetMbps: number, congested: boolean) => {
    for (let second = 0; second < seconds; second++) {
      now += 1_000
      desk.sample([{ deliveredMbps, targetMbps, congested }], now)
      desk.tick(now, true)
    }
    return desk.promisedMbps
  }

  it("a busy moment with little traffic ends the promise, and 10 s of calm bring one step back", () => {
    const desk = deskWith()
    expect(pass(desk, 5, 0.1, 0.6, false)).toBe(4)
    expect(pass(desk, 4, 0.1, 0.15, true)).toBe(0)
    expect(pass(desk, 8, 0.1, 0.15, false)).toBe(0)
    expect(pass(desk, 2, 0.1, 0.15, false)).toBe(0.5)
    expect(pass(desk, 1, 0.1, 0.15, true)).toBe(0)
  })

  it("a link that looked congested while it could have had more is taken for what it could have had", () => {
    expect(pass(deskWith(), 10, 0.1, 2, true)).toBe(1.5)
    expect(pass(deskWith(), 10, 1, 1, true)).toBe(0.5)
  })

  it("where small pictures are offered the steps are as small, so that who can carry one is asked", () => {
    least = 0.2
    expect(pass(deskWith(), 10, 0.1, 0.6, true)).toBeCloseTo(0.4)
    least = 0.001
    expect(pass(deskWith(), 10, 0.05, 0.1, true)).toBeCloseTo(0.05)
  })

  it("calm promises nothing beyond the limit, nor for those that hand nothing on", () => {
    expect(pass(deskWith({ uplinkBitrate: 400_000 }), 30, 0.1, 0.6, false)).toBe(0)
    expect(pass(deskWith({ relays: false }), 30, 0.1, 0.6, false)).toBe(0)
    expect(pass(deskWith({ mayRelay: () => false }), 30, 0.1, 0.6, false)).toBe(0)
    const desk = deskWith()
    desk.limitUplink(100_000, now)
    expect(pass(desk, 30, 0.1, 0.6, false)).toBe(0)
  })
})
