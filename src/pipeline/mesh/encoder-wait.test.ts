/** A path that gets much narrower: the encoder leaves pictures out instead of making what can not be sent in time. */
import { beforeAll, expect, test } from "vitest"
import { initFountainFromPackage } from "../../fountain/node.ts"
import type { MeshToPublish } from "../../media/types.ts"
import { UNCAPPED } from "../../wire/layers.ts"
import { TestNet } from "./test-net.ts"

beforeAll(initFountainFromPackage)

const FRAME_MS = 33
/** An encoder comes down so long after it was told. */
const LAG_MS = 400

interface Outcome {
  /** Keyframes that were asked for after the path had become narrow. */
  keyframes: number
  waits: number
  /** Longest time without a frame at the receiver, ms. */
  gapMs: number
}

/** Two seconds at 2 Mbit/s, two at a quarter of that. */
async function narrowed(obeysWaits: boolean, seed: number): Promise<Outcome> {
  const net = new TestNet(seed)
  net.startRate = undefined
  const [alice, bob] = [net.node("alice"), net.node("bob")]
  net.connect(alice, bob, { delayMs: 25, videoLanes: 3, bottleneck: { rate: 2_000 / 8, buffer: 50_000 } })
  net.epoch(1n)
  const stream = net.video()
  alice.core.publishStream(stream)
  await net.subscribe(alice, bob, stream, UNCAPPED)
  const told: { at: number; message: MeshToPublish }[] = []
  let seen = 0
  let id = 0
  let waitUntil = 0
  let narrowAt = Number.POSITIVE_INFINITY
  for (let turn = 0; turn < 240; turn++) {
    if (turn === 120) {
      net.narrow("alice", "bob")!.rate = 500 / 8
      narrowAt = net.now
    }
    for (const message of alice.toPublisher.slice(seen)) told.push({ at: net.now, message })
    seen = alice.toPublisher.length
    for (const { at, message } of told) {
      if (message.type === "wait" && at === net.now) waitUntil = at + message.ms
    }
    const rates = told.flatMap(({ at, message }) => (message.type === "bitrate" && at <= net.now - LAG_MS ? [message.bps] : []))
    const wanted = told.some(({ at, message }) => message.type === "keyframe" && at === net.now)
    if (!obeysWaits || net.now >= waitUntil) {
      const bytes = Math.min(rates.at(-1) ?? 300_000, 1_500_000) / 8 / 30
      const keyframe = id === 0 || wanted
      alice.send(stream, id, Math.round(bytes * (keyframe ? 3 : 1)), { keyframe, temporalId: 0 })
      id += 1
    }
    await net.advance(FRAME_MS)
  }
  const after = told.filter(({ at }) => at > narrowAt)
  const times = bob.frames(stream).map(({ arrivalUs }) => arrivalUs / 1_000)
  return {
    keyframes: after.filter(({ message }) => message.type === "keyframe").length,
    waits: after.filter(({ message }) => message.type === "wait").length,
    gapMs: Math.max(...times.map((time, index) => time - (times[index - 1] ?? time))),
  }
}

test("no frame is lost for want of time, so no keyframe is needed", async () => {
  for (const seed of [1, 2, 3]) {
    const obedient = await narrowed(true, seed)
    const deaf = await narrowed(false, seed)
    expect(obedient.waits).toBeGreaterThan(0)
    expect(obedient.keyframes).toBe(0)
    expect(deaf.keyframes).toBeGreaterThan(0)
    expect(obedient.gapMs).toBeLessThan(deaf.gapMs)
  }
})
