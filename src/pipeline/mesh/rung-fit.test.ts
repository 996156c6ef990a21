import { beforeAll, describe, expect, test } from "vitest"
import { initFountainFromPackage } from "../../fountain/node.ts"
import type { MeshToPublish } from "../../media/types.ts"
import { TestNet } from "./test-net.ts"

beforeAll(initFountainFromPackage)

/** A publisher whose stream is worth having above `floor`, an encoder that obeys, and a path of so many bit/s; in seconds. */
async function call(pathBps: number, seconds: number, floor: number | undefined) {
  const net = new TestNet(3)
  net.startRate = undefined
  const [alice, bob] = [net.node("alice"), net.node("bob")]
  net.connect(alice, bob, { delayMs: 25, bottleneck: { rate: pathBps / 8_000, buffer: 20_000 } })
  net.epoch(1n)
  const stream = { ...net.video(), ...(floor === undefined ? {} : { floor }) }
  alice.core.publishStream(stream)
  await net.subscribe(alice, bob, stream)
  const target = () =>
    alice.toPublisher.filter((m): m is Extract<MeshToPublish, { type: "bitrate" }> => m.type === "bitrate").at(-1)?.bps ?? 300_000
  for (let id = 0; id < seconds * 30; id++) {
    const bytes = Math.round(Math.max(40, Math.min(target(), 700_000) / 8 / 30) * (id === 0 ? 3 : id % 2 === 0 ? 1.2 : 0.8))
    alice.send(stream, id, bytes, { keyframe: id === 0, temporalId: id % 2 })
    await net.advance(33)
  }
  return alice.events.filter((event) => event.type === "rung-too-large")
}

describe("rungs and the path", () => {
  test("a subscriber whose path has too little for a rung is told of, now and then", async () => {
    const told = await call(250_000, 16, 300_000)
    expect(told.length).toBeGreaterThanOrEqual(1)
    expect(told.length).toBeLessThanOrEqual(3)
    expect(told[0]).toMatchObject({ peer: "bob", streamId: expect.any(Uint8Array), subNonce: expect.any(Uint8Array) })
  })

  test("one whose path has enough is left alone, and so is the smallest rung", async () => {
    expect(await call(2_000_000, 12, 300_000)).toEqual([])
    expect(await call(250_000, 12, undefined)).toEqual([])
  })
})
