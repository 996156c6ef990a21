import { describe, expect, it } from "vitest"
import { areIndependent } from "../../alm/diversity.ts"
import { candidate } from "../../alm/test-parents.ts"
import { RoomPicture } from "./room-picture.ts"

const PLAN: Record<string, string> = { a: "publisher", b: "publisher", c: "a", d: "b", e: "c" }
const START = 1_700_000_000_000

function seen(picture: RoomPicture, keyIds: string[]) {
  const candidates = keyIds.map((keyId) => candidate(keyId, 1))
  const all = picture.seen(
    candidates,
    () => true,
    (keyId) => PLAN[keyId],
    "publisher",
  )
  return new Map(all.map((each) => [each.signedCapacity.advertiserKeyId, each]))
}

describe("relays as a page sees them", () => {
  it("go together when one member below the publisher feeds both, and not because of the publisher", () => {
    const relays = seen(new RoomPicture("me"), ["a", "b", "c", "d", "e"])
    const together = (one: string, other: string) => !areIndependent(relays.get(one)!, relays.get(other)!)
    expect(together("a", "b")).toBe(false)
    expect(together("a", "c")).toBe(true)
    expect(together("a", "e")).toBe(true)
    expect(together("c", "e")).toBe(true)
    expect(together("e", "d")).toBe(false)
    expect(together("b", "e")).toBe(false)
  })

  it("are worth leaving for one that is a step nearer to the source, when both are near", () => {
    for (const me of ["me", "you", "somebody"]) {
      const picture = new RoomPicture(me)
      picture.measured(new Map(["a", "b", "c", "d", "e"].map((keyId) => [keyId, 3])), START)
      const relays = seen(picture, ["a", "b", "c", "d", "e"])
      const rtt = (keyId: string) => relays.get(keyId)?.rttMsEstimate ?? Number.NaN
      for (const [near, far] of ["ac", "ad", "bc", "bd", "ae"]) expect(rtt(near!)).toBeLessThanOrEqual(0.8 * rtt(far!))
      expect(rtt("a")).toBeGreaterThan(0.8 * rtt("b"))
    }
  })

  it("are as far as the best of the last half minute, and all near ones equally near but for a lot", () => {
    const picture = new RoomPicture("me")
    const rtts = (a: number, b: number) => {
      return new Map([
        ["a", a],
        ["b", b],
      ])
    }
    const rtt = (keyId: string) => seen(picture, ["a", "b"]).get(keyId)?.rttMsEstimate ?? Number.NaN
    picture.measured(rtts(2, 90), START)
    picture.measured(rtts(250, 300), START + 1_000)
    expect(rtt("a")).toBeGreaterThanOrEqual(20)
    expect(rtt("a")).toBeLessThan(24)
    expect(Math.floor(rtt("b") / 90)).toBe(1)
    const other = new RoomPicture("you")
    other.measured(rtts(2, 90), START)
    expect(seen(other, ["a"]).get("a")?.rttMsEstimate).not.toBe(rtt("a"))
    for (let second = 2; second < 40; second++) picture.measured(rtts(250, 300), START + 1_000 * second)
    expect(rtt("a")).toBeGreaterThanOrEqual(250)
  })
})
