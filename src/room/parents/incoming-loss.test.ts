import { expect, it } from "vitest"
import type { MeshLaneStats } from "../../pipeline/mesh/types.ts"
import { IncomingLoss } from "./incoming-loss.ts"

const lane = (role: "audio" | "video", receivedMessages: number, lostMessages: number) =>
  ({ role, receivedMessages, lostMessages }) as MeshLaneStats

it("a path is lossy from two in a hundred on, until it is below one", () => {
  const loss = new IncomingLoss()
  let [received, lost, now] = [0, 0, 1_000]
  const pass = (seconds: number, share: number) => {
    for (let second = 0; second < seconds; second++) {
      now += 1_000
      received += 100 * (1 - share)
      lost += 100 * share
      loss.sample([{ link: "a", peer: "rob", lanes: [lane("video", received / 2, lost), lane("video", received / 2, 0)] }], now)
    }
    return loss.isLossy("rob")
  }
  expect(pass(20, 0.01)).toBe(false)
  expect(pass(20, 0.03)).toBe(true)
  expect(pass(20, 0.015)).toBe(true)
  expect(pass(20, 0.005)).toBe(false)
  expect(loss.isLossy("sue")).toBe(false)
})

it("sound, few messages, and counters that begin anew say nothing", () => {
  const loss = new IncomingLoss()
  for (let second = 0; second < 10; second++) {
    const now = 1_000 * second
    const few = { link: "b", peer: "sue", lanes: [lane("video", 2 * second, 2 * second)] }
    loss.sample([{ link: "a", peer: "rob", lanes: [lane("audio", 100 * second, 50 * second)] }, few], now)
  }
  expect([loss.isLossy("rob"), loss.isLossy("sue")]).toEqual([false, false])
  loss.sample([{ link: "c", peer: "tom", lanes: [lane("video", 1_000, 0)] }], 20_000)
  loss.sample([{ link: "c", peer: "tom", lanes: [lane("video", 100, 60)] }], 21_000)
  expect(loss.isLossy("tom")).toBe(false)
  loss.sample([{ link: "c", peer: "tom", lanes: [lane("video", 200, 90)] }], 22_000)
  expect(loss.isLossy("tom")).toBe(true)
  loss.sample([], 23_000)
  expect(loss.isLossy("tom")).toBe(false)
})
