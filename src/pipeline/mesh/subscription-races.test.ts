/** Requests that are taken back, replaced or late while a key is being derived, and requests that come too often. */
import { beforeAll, describe, expect, test } from "vitest"
import { initFountainFromPackage } from "../../fountain/node.ts"
import { BLINKING_DOT, UNCAPPED } from "../../wire/layers.ts"
import { SUBSCRIBE_BURST } from "./subscribe-budget.ts"
import { TestNet } from "./test-net.ts"

beforeAll(initFountainFromPackage)

function pair() {
  const net = new TestNet()
  const [alice, bob] = [net.node("alice"), net.node("bob")]
  net.connect(alice, bob)
  net.epoch(1n)
  const stream = net.video()
  alice.core.publishStream(stream)
  const { streamId } = stream
  const ask = (subNonce = net.bytes(16)) => ({ streamId, peer: "bob", subNonce, policy: UNCAPPED })
  const subscribers = () => alice.core.stats().send[0]!.subscribers
  return { net, alice, bob, stream, streamId, ask, subscribers }
}

const gone = { ok: false, error: "SubscriberNotFound" }

describe("while the key of a subscription is being derived", () => {
  test("the receiver takes it back: nothing is left behind", async () => {
    const { net, bob, stream, streamId } = pair()
    const asked = bob.core.subscribeStream({ ...stream, from: "alice", subNonce: net.bytes(16) })
    bob.core.unsubscribeStream(streamId)
    expect(await asked).toEqual(gone)
    expect(bob.core.stats().receive).toEqual([])
  })

  test("the subscriber takes it back: nothing is sent", async () => {
    const { alice, streamId, ask, subscribers } = pair()
    const request = ask()
    const given = alice.core.addSubscriber(request)
    expect(alice.core.removeSubscriber(streamId, "bob", request.subNonce)).toEqual({ ok: true })
    expect(await given).toEqual(gone)
    expect(subscribers()).toEqual([])
  })

  test("a newer request of the same peer counts, and taking back the older one does not touch it", async () => {
    const { alice, streamId, ask, subscribers } = pair()
    const [older, newer] = [ask(), ask()]
    const answers = [alice.core.addSubscriber(older), alice.core.addSubscriber(newer)]
    expect(alice.core.removeSubscriber(streamId, "bob", older.subNonce)).toEqual(gone)
    expect(await Promise.all(answers)).toEqual([gone, { ok: true }])
    expect(subscribers()).toEqual(["bob"])
  })

  test("its policy may change already", async () => {
    const { net, alice, bob, stream, streamId, ask } = pair()
    const request = ask()
    await bob.core.subscribeStream({ ...stream, from: "alice", subNonce: request.subNonce })
    const given = alice.core.addSubscriber(request)
    expect(alice.core.setSubscriberPolicy(streamId, "bob", BLINKING_DOT, request.subNonce)).toEqual({ ok: true })
    expect(await given).toEqual({ ok: true })
    for (let id = 0; id < 6; id++) alice.send(stream, id, 500, { temporalId: id % 2 })
    await net.advance(100)
    expect(bob.frames(stream).map(({ frameId }) => frameId)).toEqual([0, 2, 4])
  })
})

test("what names an older subscription is ignored", async () => {
  const { alice, streamId, ask, subscribers } = pair()
  const [older, newer] = [ask(), ask()]
  for (const request of [older, newer]) expect(await alice.core.addSubscriber(request)).toEqual({ ok: true })
  expect(alice.core.removeSubscriber(streamId, "bob", older.subNonce)).toEqual(gone)
  expect(alice.core.setSubscriberPolicy(streamId, "bob", BLINKING_DOT, older.subNonce)).toEqual(gone)
  expect(subscribers()).toEqual(["bob"])
  expect(alice.core.setSubscriberPolicy(streamId, "bob", BLINKING_DOT, newer.subNonce)).toEqual({ ok: true })
  expect(alice.core.removeSubscriber(streamId, "bob", newer.subNonce)).toEqual({ ok: true })
  expect(subscribers()).toEqual([])
})

test("a member that asks all the time is refused after a while, others are not, and it may come again later", async () => {
  const { net, alice, ask, streamId } = pair()
  const carol = net.node("carol")
  net.connect(alice, carol)
  const answers = []
  for (let i = 0; i < SUBSCRIBE_BURST + 20; i++) answers.push(await alice.core.addSubscriber(ask()))
  expect(answers.filter(({ ok }) => ok)).toHaveLength(SUBSCRIBE_BURST)
  expect(answers.at(-1)).toEqual({ ok: false, error: "CapacityExceeded" })
  const other = { streamId, peer: "carol", subNonce: net.bytes(16), policy: UNCAPPED }
  expect(await alice.core.addSubscriber(other)).toEqual({ ok: true })
  net.now += 5_000
  expect(await alice.core.addSubscriber(ask())).toEqual({ ok: true })
})
