import { beforeAll, describe, expect, test } from "vitest"
import { type ParentAction, type ParentCandidate, ParentManager } from "../../alm/index.ts"
import { initFountainFromPackage } from "../../fountain/node.ts"
import { LAYER_BASE, UNCAPPED } from "../../wire/layers.ts"
import { TestNet, type TestNode } from "../mesh/test-net.ts"

beforeAll(initFountainFromPackage)

const UNIX_BEGIN = 1_700_000_000_000
const FRAME_MS = 33
/** Frames until everything has settled: a second. */
const WARM = 30

/**
 * alice's stream goes over the relays liar, ann and bob to rob, which chooses two of them by the product's own rules and hands on to bea. The
 * liar promises a hundred times what the others do, and is nearest; what it lets through to rob is up to the test.
 */
async function scene() {
  const net = new TestNet(5)
  const alice = net.node("alice")
  const [liar, ann, bob, rob] = ["liar", "ann", "bob", "rob"].map((name) => net.node(name, { enabled: true })) as TestNode[]
  const bea = net.node("bea")
  for (const relay of [liar, ann, bob]) {
    net.connect(alice, relay!)
    net.connect(relay!, rob!)
  }
  net.connect(rob!, bea)
  net.epoch(1n)
  const stream = net.video()
  alice.core.publishStream(stream)
  for (const relay of [liar, ann, bob]) await net.subscribe(alice, relay!, stream, UNCAPPED, { deliver: false })
  await net.subscribe(rob!, bea, stream)

  const unixMs = () => UNIX_BEGIN + net.now
  const relays = { liar: 1, ann: 20, bob: 30 }
  const candidates = (): ParentCandidate[] =>
    Object.entries(relays).map(([advertiserKeyId, rttMsEstimate]) => {
      const uplinkMbps = advertiserKeyId === "liar" ? 1_000 : 10
      const limits = { uplinkMbps, maxStreams: 8, maxSubscribersPerStream: 8, measuredAtUnixMs: BigInt(unixMs()) }
      const capacity = { ...limits, maxLayerSupported: UNCAPPED, subStreamCommitments: [] }
      return { signedCapacity: { advertiserKeyId, capacity }, reachabilityRatio: 1, rttMsEstimate }
    })
  const options = { me: "rob", streamId: stream.streamId, publisher: "alice", policy: UNCAPPED, streamMaxLayer: LAYER_BASE }
  const manager = new ParentManager({ ...options, bitrateMbps: 0.6, random: () => net.random() }, unixMs())
  const asked: string[] = []
  const perform = async (actions: readonly ParentAction[]): Promise<void> => {
    for (const action of actions) {
      if (action.kind === "subscribe") {
        asked.push(action.parent)
        const parent = net.nodes.get(action.parent)!
        await net.subscribe(parent, rob!, stream)
        await perform(manager.subscribed(action.parent, unixMs()))
      } else if (action.kind === "unsubscribe") {
        rob!.core.unsubscribeStream(stream.streamId, action.parent)
        net.nodes.get(action.parent)!.core.removeSubscriber(stream.streamId, "rob")
      }
    }
  }
  await perform(manager.setCandidates(candidates(), unixMs()))

  const counted = new Map<string, number>()
  const look = async () => {
    const feeds = rob!.core.feeds().in
    for (const { from, started, silentMs } of feeds) {
      if (started && silentMs < 250) await perform(manager.heard(from, unixMs() - silentMs))
    }
    if (net.now % 1_000 < 250) {
      const grown = feeds.map(({ from, base }) => ({ from, base: base - (counted.get(from) ?? 0) }))
      const most = Math.max(...grown.map(({ base }) => base))
      for (const { from, base } of grown) manager.measured(from, { share: base / Math.max(1, most), lateMs: 0 }, unixMs())
      for (const { from, base } of feeds) counted.set(from, base)
    }
    await perform(manager.tick(unixMs()))
  }
  let frame = 0
  /** alice sends; rob looks at its parents four times a second. */
  const play = async (frames: number) => {
    for (const end = frame + frames; frame < end; frame++) {
      alice.send(stream, frame, 1_500)
      await net.advance(FRAME_MS)
      if (frame % 8 === 0) await look()
    }
  }
  const parents = () =>
    manager.parents.flatMap(({ keyId, role }) => (role === "primary" || role === "backup" ? [keyId] : [])).sort()
  return { net, bea, stream, play, parents, asked }
}

/** Of messages from the liar to rob only those come through that `lets` names. */
function strangle(net: TestNet, lets: () => boolean): void {
  net.tap = (bytes, { from, to, laneId }) => (from === "liar" && to === "rob" && laneId !== 1 && !lets() ? [] : [bytes])
}

describe("a relay whose parent promised more than it has goes on serving its child", () => {
  test("the parent delivers two fifths: it is replaced, and no frame is missing", async () => {
    const { net, bea, stream, play, parents, asked } = await scene()
    await play(WARM)
    expect(parents()).toEqual(["ann", "liar"])
    strangle(net, () => net.random() < 0.4)
    await play(330)
    await net.advance(200)
    expect(bea.frames(stream)).toHaveLength(WARM + 330)
    expect(parents()).toEqual(["ann", "bob"])
    expect(asked.filter((keyId) => keyId === "liar")).toHaveLength(1)
  })

  test("the parent accepts and delivers nothing: given up, and no frame is missing", async () => {
    const { net, bea, stream, play, parents } = await scene()
    strangle(net, () => false)
    await play(WARM + 90)
    await net.advance(200)
    expect(bea.frames(stream)).toHaveLength(WARM + 90)
    expect(parents()).toEqual(["ann", "bob"])
  })
})
