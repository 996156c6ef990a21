import { beforeAll, describe, expect, test } from "vitest"
import { initFountainFromPackage } from "../../fountain/node.ts"
import type { MeshToPublish } from "../../media/types.ts"
import { BLINKING_DOT, UNCAPPED } from "../../wire/layers.ts"
import type { Bytes } from "../../wire/types.ts"
import { TestNet, type TestNode } from "./test-net.ts"
import type { MeshLinkStats, MeshStream } from "./types.ts"

beforeAll(initFountainFromPackage)

interface Scene {
  net: TestNet
  alice: TestNode
  bob: TestNode
  stream: MeshStream
}

async function scene(quality: Parameters<TestNet["connect"]>[2], make = (net: TestNet) => net.video(), seed = 1): Promise<Scene> {
  const net = new TestNet(seed)
  net.startRate = undefined
  const [alice, bob] = [net.node("alice"), net.node("bob")]
  net.connect(alice, bob, quality)
  net.epoch(1n)
  const stream = make(net)
  alice.core.publishStream(stream)
  await net.subscribe(alice, bob, stream)
  return { net, alice, bob, stream }
}

function target(node: TestNode): number {
  const told = node.toPublisher.filter((m): m is Extract<MeshToPublish, { type: "bitrate" }> => m.type === "bitrate")
  return told.at(-1)?.bps ?? 300_000
}

/** An encoder that obeys: 30 frames a second of the size it was told, at most `most` bit/s, L1T2, a keyframe three times as large. */
async function encode(s: Scene, from: number, frames: number, most = 1_200_000): Promise<void> {
  for (let id = from; id < from + frames; id++) {
    const bytes = Math.max(40, Math.min(target(s.alice), most) / 8 / 30)
    const keyframe = id === 0
    s.alice.send(s.stream, id, Math.round(bytes * (keyframe ? 3 : id % 2 === 0 ? 1.2 : 0.8)), { keyframe, temporalId: id % 2 })
    await s.net.advance(33)
  }
}

function link(node: TestNode): MeshLinkStats {
  return node.core.stats().links[0]!
}

/** Delay from sending to completeness of the frames with these numbers, sorted; a frame that never came counts as endless. */
function delays(s: Scene, from: number, to: number, startedAt: number): number[] {
  const came = new Map(s.bob.frames(s.stream).map((f) => [f.frameId, f.arrivalUs / 1_000 - 1_700_000_000_000]))
  const all: number[] = []
  for (let id = from; id < to; id++) all.push((came.get(id) ?? Number.POSITIVE_INFINITY) - (startedAt + 33 * (id - from)))
  return all.sort((a, b) => a - b)
}

const within = (all: number[], ms: number) => all.filter((delay) => delay <= ms).length / all.length

describe("rate", () => {
  test("fills a bottleneck, keeps its queue short, and halves with it", async () => {
    const s = await scene({ delayMs: 25, videoLanes: 3, bottleneck: { rate: 2_000_000 / 8_000, buffer: 50_000 } })
    await encode(s, 0, 150, 5_000_000)
    const before = link(s.alice)
    expect(before.rate).toBeGreaterThan(1_500_000)
    expect(before.rate).toBeLessThan(2_300_000)
    expect(before.delivered).toBeGreaterThan(0.75 * 2_000_000)
    expect(before.queueMs).toBeLessThan(40)
    s.net.narrow("alice", "bob")!.rate = 1_000_000 / 8_000
    await encode(s, 150, 15, 5_000_000)
    expect(link(s.alice).rate).toBeLessThan(1_200_000)
    const startedAt = s.net.now + 33 * 45
    await encode(s, 165, 105, 5_000_000)
    expect(within(delays(s, 210, 265, startedAt), 150)).toBeGreaterThan(0.9)
    expect(link(s.alice).queueMs).toBeLessThan(50)
  })

  test("an encoder that needs little is left alone, and told what it may use", async () => {
    const s = await scene({ delayMs: 25 })
    const startedAt = s.net.now
    await encode(s, 0, 120, 400_000)
    expect(target(s.alice)).toBeGreaterThan(350_000)
    expect(link(s.alice).rate).toBeLessThan(1_500_000)
    expect(link(s.alice).shed).toBe(0)
    expect(within(delays(s, 0, 115, startedAt), 150)).toBeGreaterThan(0.98)
    expect(within(delays(s, 30, 115, startedAt + 30 * 33), 80)).toBeGreaterThan(0.98)
    expect(s.bob.core.stats().receive[0]).toMatchObject({ lostFrames: 0 })
  })

  test("a bad moment of a quiet source does not cost the rate for good", async () => {
    const s = await scene({ delayMs: 25 })
    await encode(s, 0, 60, 50_000)
    // Everything comes late at the receiver for a moment, as on a busy machine.
    s.net.tap = (bytes, { to, laneId }) => {
      if (to !== "bob" || laneId === 1) return [bytes]
      s.net.at(90, () => s.net.lane("bob", "alice", laneId).inject(bytes))
      return []
    }
    await encode(s, 60, 24, 50_000)
    s.net.tap = (bytes) => [bytes]
    expect(link(s.alice).rate).toBeGreaterThanOrEqual(150_000)
    expect(link(s.alice).rate).toBeLessThan(600_000)
    const low = link(s.alice).rate
    await encode(s, 84, 480, 50_000)
    expect(link(s.alice).rate).toBeGreaterThan(Math.max(350_000, 1.5 * low))
    expect(target(s.alice)).toBeGreaterThan(180_000)
  })

  test("another path starts over, once for all lanes", async () => {
    const s = await scene({ delayMs: 25 })
    await encode(s, 0, 90)
    const before = link(s.alice)
    for (let lane = 0; lane < 3; lane++) s.alice.core.pathChanged("bob")
    expect(link(s.alice)).toMatchObject({ mode: "startup", rate: before.rate / 2 })
    s.alice.core.pathChanged("nobody")
    await encode(s, 90, 60)
    expect(link(s.alice).rate).toBeGreaterThan(0.8 * before.rate)
  })

  test("a peer that comes back is served near its last rate at once", async () => {
    const s = await scene({ delayMs: 25 })
    await encode(s, 0, 120, 2_000_000)
    const before = link(s.alice).rate
    s.alice.core.removeLink("bob")
    s.net.connect(s.alice, s.bob, { delayMs: 25 })
    expect(link(s.alice).rate / before).toBeCloseTo(0.7)
  })

  test("more layers are switched on when a probe shows room for them, not while the path is full", async () => {
    const s = await scene({ delayMs: 25, videoLanes: 3, bottleneck: { rate: 400_000 / 8_000, buffer: 12_000 } })
    s.alice.core.setSubscriberPolicy(s.stream.streamId, "bob", BLINKING_DOT)
    await encode(s, 0, 240, 250_000)
    s.net.narrow("alice", "bob")!.rate = 4_000_000 / 8_000
    s.alice.core.setSubscriberPolicy(s.stream.streamId, "bob", UNCAPPED)
    await encode(s, 240, 45, 250_000)
    const upper = s.bob.frames(s.stream).filter((f) => f.frame.temporalId === 1 && f.frameId > 275)
    expect(upper.length).toBeGreaterThan(2)
  })

  test("no reports: less and less, and afterwards more again", async () => {
    const s = await scene({ delayMs: 25 })
    await encode(s, 0, 90)
    const before = link(s.alice).rate
    s.net.tap = (bytes, { from }) => (from === "bob" ? [] : [bytes])
    await encode(s, 90, 45)
    expect(link(s.alice).rate).toBeLessThan(0.5 * before)
    s.net.tap = (bytes) => [bytes]
    await encode(s, 135, 120)
    expect(link(s.alice).rate).toBeGreaterThan(0.8 * before)
  })

  test("a subscriber of 0.5 Mbit/s beside one of 3 gets a smooth base layer, and the other every frame", async () => {
    const s = await scene({ delayMs: 25, videoLanes: 3, bottleneck: { rate: 3_000_000 / 8_000, buffer: 75_000 } })
    const carol = s.net.node("carol")
    s.net.connect(s.alice, carol, { delayMs: 25, videoLanes: 3, bottleneck: { rate: 500_000 / 8_000, buffer: 12_500 } })
    s.net.epoch(2n)
    await s.net.subscribe(s.alice, carol, s.stream)
    await encode(s, 0, 240, 2_000_000)
    const startedAt = s.net.now
    await encode(s, 240, 240, 2_000_000)
    await s.net.advance(300)
    const slow = carol.frames(s.stream).filter((f) => f.frameId >= 240)
    const fast = s.bob.frames(s.stream).filter((f) => f.frameId >= 240)
    // More than the slow one takes, less than what its base layer needs.
    expect(target(s.alice)).toBeGreaterThan(360_000)
    expect(target(s.alice)).toBeLessThan(900_000)
    expect(within(delays(s, 240, 475, startedAt), 150)).toBeGreaterThan(0.99)
    expect(fast.filter((f) => f.frame.temporalId === 1).length).toBeGreaterThan(115)
    expect(slow.filter((f) => f.frame.temporalId === 0).length).toBeGreaterThan(116)
    expect(slow.filter((f) => f.frame.temporalId === 1).length).toBe(0)
    expect(s.alice.core.stats().send[0]!.short).toEqual([{ peer: "carol", fits: "base" }])
    const keyframes = s.alice.toPublisher.filter((m) => m.type === "keyframe").length
    expect(keyframes).toBeLessThan(6)
  }, 20_000)

  test("upper layers come back when the slow link grows", async () => {
    const s = await scene({ delayMs: 25, videoLanes: 3, bottleneck: { rate: 3_000_000 / 8_000, buffer: 75_000 } })
    const carol = s.net.node("carol")
    s.net.connect(s.alice, carol, { delayMs: 25, videoLanes: 3, bottleneck: { rate: 500_000 / 8_000, buffer: 12_500 } })
    s.net.epoch(2n)
    await s.net.subscribe(s.alice, carol, s.stream)
    await encode(s, 0, 150, 1_200_000)
    s.net.narrow("alice", "carol")!.rate = 4_000_000 / 8_000
    await encode(s, 150, 450, 1_200_000)
    expect(s.alice.core.stats().send[0]!.short).toEqual([])
    const upper = carol.frames(s.stream).filter((f) => f.frameId >= 570 && f.frame.temporalId === 1)
    expect(upper.length).toBeGreaterThan(12)
  }, 20_000)

  test("the encoder follows a link that is too slow for anything down to a floor, not further", async () => {
    const s = await scene({ delayMs: 25, videoLanes: 3 })
    const carol = s.net.node("carol")
    s.net.connect(s.alice, carol, { delayMs: 25, videoLanes: 3, bottleneck: { rate: 90_000 / 8_000, buffer: 3_000 } })
    s.net.epoch(2n)
    await s.net.subscribe(s.alice, carol, s.stream)
    const asked = () => s.alice.toPublisher.filter((m) => m.type === "keyframe").length
    let made = 0
    // An encoder that answers every request with a keyframe.
    const obey = async (from: number, frames: number) => {
      for (let id = from; id < from + frames; id++) {
        const keyframe = id % 2 === 0 && asked() > made
        if (keyframe) made = asked()
        s.alice.send(s.stream, id, Math.round((target(s.alice) / 8 / 30) * (keyframe ? 3 : 1)), { keyframe, temporalId: id % 2 })
        await s.net.advance(33)
      }
    }
    await obey(0, 240)
    const before = asked()
    const startedAt = s.net.now
    await obey(240, 480)
    await s.net.advance(300)
    expect(target(s.alice)).toBeGreaterThanOrEqual(200_000)
    expect(target(s.alice)).toBeLessThan(260_000)
    expect(s.alice.core.stats().send[0]!.short).toEqual([{ peer: "carol", fits: "less" }])
    expect(within(delays(s, 240, 715, startedAt), 150)).toBeGreaterThan(0.99)
    // Sixteen seconds: keyframes for its sake come ever more seldom.
    expect(asked() - before).toBeGreaterThan(0)
    expect(asked() - before).toBeLessThan(6)
  }, 20_000)

  test("a slow subscriber slows the one encoder where there is one layer; a link that has just begun does not", async () => {
    const s = await scene({ delayMs: 25 })
    await encode(s, 0, 60)
    const alone = target(s.alice)
    const carol = s.net.node("carol")
    s.net.connect(s.alice, carol, { delayMs: 25, videoLanes: 3, bottleneck: { rate: 500_000 / 8_000, buffer: 15_000 } })
    s.net.epoch(2n)
    await s.net.subscribe(s.alice, carol, s.stream)
    await encode(s, 60, 3)
    expect(target(s.alice)).toBeGreaterThan(0.9 * alone)
    for (let id = 63; id < 213; id++) {
      s.alice.send(s.stream, id, Math.round(target(s.alice) / 8 / 30), { keyframe: id === 63 })
      await s.net.advance(33)
    }
    expect(target(s.alice)).toBeLessThan(500_000)
  })
})

describe("loss", () => {
  test.each([
    [0.02, 0.995],
    [0.05, 0.985],
    [0.1, 0.96],
  ])("%d: nearly every frame is complete in time", async (loss, share) => {
    const s = await scene({ delayMs: 25, loss, videoLanes: 4 })
    await encode(s, 0, 60)
    const startedAt = s.net.now
    await encode(s, 60, 330)
    await s.net.advance(300)
    expect(within(delays(s, 60, 385, startedAt), 150)).toBeGreaterThanOrEqual(share)
    const sent = link(s.alice)
    expect(sent.rtxSent).toBeGreaterThan(5)
    expect(sent.lossPct / 100).toBeGreaterThan(loss / 3)
    expect(link(s.bob).nackSent).toBeGreaterThan(10)
    // Repair follows the loss: a clean link gets little, a bad one more, and never most of what is sent.
    expect(sent.repairPct).toBeGreaterThan(loss >= 0.05 ? 10 : 1)
    expect(sent.repairPct).toBeLessThan(70)
  })

  test("in runs of four: still nearly every frame, for few messages sent again (L12)", async () => {
    const s = await scene({ delayMs: 25, loss: 0.05, burst: 4, videoLanes: 4 })
    await encode(s, 0, 60)
    const startedAt = s.net.now
    await encode(s, 60, 600)
    await s.net.advance(300)
    expect(within(delays(s, 60, 655, startedAt), 150)).toBeGreaterThanOrEqual(0.97)
    const sent = link(s.alice)
    expect(sent.rtxSent / sent.sent).toBeLessThan(0.08)
    expect(sent.lossRun).toBeGreaterThan(2)
    const received = link(s.bob)
    expect(received.rtxUseful).toBeGreaterThan(0)
    expect(received.rtxUseful).toBeLessThanOrEqual(sent.rtxSent)
  })

  test("lanes that are 200 ms apart break nothing (L11)", async () => {
    const s = await scene({ delayMs: 10, jitterMs: 200, videoLanes: 4 })
    await encode(s, 0, 150)
    await s.net.advance(400)
    expect(s.bob.drops("outer", "LinkReplay")).toBe(0)
    expect(s.bob.drops("outer", "StaleBelowWindow")).toBe(0)
    // What is asked for again on a path this uneven was mostly on its way, and takes room.
    expect(s.bob.frames(s.stream).length).toBeGreaterThan(130)
  })

  test("without loss nothing is repaired after the first seconds, and nothing is sent twice", async () => {
    const s = await scene({ delayMs: 25 })
    await encode(s, 0, 300, 400_000)
    const before = s.alice.core.stats()
    await encode(s, 300, 60, 400_000)
    const after = s.alice.core.stats()
    const perFrame = (after.links[0]!.sent - before.links[0]!.sent) / 60
    expect(perFrame).toBeLessThan(3)
    expect(after.links[0]!.rtxSent).toBe(0)
  })

  test("each child gets the repair its own link needs", async () => {
    const s = await scene({ delayMs: 25 })
    const carol = s.net.node("carol")
    s.net.connect(s.alice, carol, { delayMs: 25, loss: 0.1, videoLanes: 4 })
    s.net.epoch(2n)
    await s.net.subscribe(s.alice, carol, s.stream)
    await encode(s, 0, 300, 800_000)
    const [bobs, carols] = s.alice.core.stats().links
    expect(carols!.repairPct).toBeGreaterThan(2 * bobs!.repairPct)
  })

  test("audio is sent twice from one percent on", async () => {
    const s = await scene({ delayMs: 25, loss: 0.05 }, (net) => net.audio())
    const count = 500
    for (let id = 0; id < count; id++) {
      s.alice.send(s.stream, id, 80)
      await s.net.advance(20)
    }
    await s.net.advance(200)
    expect(s.bob.frames(s.stream).length / count).toBeGreaterThan(0.985)
    expect(s.bob.core.stats().receive[0]!.duplicates).toBeGreaterThan(300)
  })
})

describe("lanes", () => {
  test("a lane that carries nothing is left, its messages go again elsewhere, and it is replaced", async () => {
    const s = await scene({ delayMs: 25, videoLanes: 3 })
    await encode(s, 0, 60)
    const startedAt = s.net.now
    s.net.tap = (bytes, { from, laneId }) => (from === "alice" && laneId === 3 ? [] : [bytes])
    await encode(s, 60, 60)
    expect(link(s.alice).lanes.find((lane) => lane.id === 3)!.use).toBe("suspect")
    await encode(s, 120, 90)
    await s.net.advance(200)
    expect(s.alice.events).toContainEqual({ type: "lanes-wanted", link: "bob", action: "replace", laneId: 3 })
    expect(link(s.alice).laneDeaths).toBe(1)
    // It takes 700 ms to be sure; from then on nothing is missing.
    expect(within(delays(s, 84, 205, startedAt + 24 * 33), 150)).toBeGreaterThan(0.98)
  })

  test("a lane that is stopped for a moment comes back", async () => {
    const s = await scene({ delayMs: 25, videoLanes: 3 })
    await encode(s, 0, 60)
    const held: Bytes[] = []
    s.net.tap = (bytes, { from, laneId }) => {
      if (from !== "alice" || laneId !== 3) return [bytes]
      held.push(bytes)
      return []
    }
    await encode(s, 60, 27)
    expect(link(s.alice).lanes.find((lane) => lane.id === 3)!.use).toBe("suspect")
    s.net.tap = (bytes) => [bytes]
    // What went out before its trouble arrives at last, and says that the lane lives.
    for (const bytes of held) s.net.lane("bob", "alice", 3).inject(bytes)
    await encode(s, 87, 30)
    expect(link(s.alice).lanes.find((lane) => lane.id === 3)!.use).toBe("ok")
  })

  test("all video lanes in trouble beside a living audio lane: told once, sound goes on, base layer first afterwards", async () => {
    const s = await scene({ delayMs: 25, videoLanes: 3 })
    const sound = s.net.audio()
    s.alice.core.publishStream(sound)
    await s.net.subscribe(s.alice, s.bob, sound)
    let packet = 0
    const both = async (from: number, frames: number) => {
      for (let id = from; id < from + frames; id++) {
        s.alice.send(sound, packet++, 80)
        await encode(s, id, 1)
      }
    }
    const told = () => s.alice.events.filter((event) => event.type === "lanes-suspect")
    await both(0, 60)
    expect(told()).toEqual([])
    s.net.tap = (bytes, { from, laneId }) => (from === "alice" && laneId > 1 ? [] : [bytes])
    const before = packet
    await both(60, 45)
    expect(told()).toEqual([{ type: "lanes-suspect", link: "bob" }])
    expect(s.alice.events.some((event) => event.type === "path-silent")).toBe(false)
    expect(s.bob.frames(sound).filter((f) => f.frameId >= before).length).toBeGreaterThan(40)
    // The restart helped: every lane is tried again, and until one has shown itself only base frames go out.
    s.net.tap = (bytes) => [bytes]
    s.alice.core.pathChanged("bob")
    const shedBefore = link(s.alice).shed
    s.alice.send(s.stream, 106, 6_000, { keyframe: true })
    await both(107, 4)
    expect(link(s.alice).shed).toBeGreaterThan(shedBefore)
    await both(111, 60)
    expect(link(s.alice).lanes.map((lane) => lane.use)).toEqual(["ok", "ok", "ok", "ok"])
    const late = s.bob.frames(s.stream).filter((f) => f.frameId >= 130)
    expect(new Set(late.map((f) => f.frame.temporalId))).toEqual(new Set([0, 1]))
    expect(late.length).toBeGreaterThan(36)
    expect(told()).toHaveLength(1)
  })

  test("nothing gets through at all: the path is silent after a second and a half, and told again every two", async () => {
    const s = await scene({ delayMs: 25, videoLanes: 3 })
    await encode(s, 0, 60)
    s.net.tap = () => []
    await encode(s, 60, 44)
    expect(s.alice.events.some((event) => event.type === "path-silent")).toBe(false)
    await encode(s, 104, 65)
    const told = s.alice.events.filter((event) => event.type === "path-silent")
    expect(told.map(({ link: id, silentMs }) => [id, Math.round(silentMs / 100)])).toEqual([
      ["bob", 15],
      ["bob", 35],
    ])
  })

  test("more lanes are asked for where loss limits them, one at a time", async () => {
    const s = await scene({ delayMs: 25, loss: 0.08, videoLanes: 2 })
    await encode(s, 0, 200)
    const wishes = s.alice.events.filter((event) => event.type === "lanes-wanted")
    expect(wishes.length).toBeGreaterThan(0)
    expect(wishes.every((wish) => wish.action === "add")).toBe(true)
    expect(wishes.length).toBeLessThan(3)
    expect(link(s.alice).lanesWanted).toBeGreaterThan(2)
    expect(s.bob.events.some((event) => event.type === "lanes-wanted")).toBe(true)
  })

  test("lanes that nobody needs are given back after half a minute", async () => {
    const s = await scene({ delayMs: 25, videoLanes: 4 })
    await encode(s, 0, 1_050, 200_000)
    const wishes = s.alice.events.filter((event) => event.type === "lanes-wanted")
    expect(wishes).toHaveLength(1)
    expect(wishes[0]).toMatchObject({ action: "remove" })
  }, 20_000)
})
