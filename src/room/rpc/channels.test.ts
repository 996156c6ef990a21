/** `room.channel` and `room.tokens` over real sessions: who gets what, by which token, and for how long. */
import { afterEach, beforeEach, describe, expect, test, vi } from "vitest"
import { decodeChain, encodeChannelData, encodeMembership, type SignedToken } from "../../token/index.ts"
import { FRAME_CHANNEL_DATA, FRAME_MEMBERSHIP } from "../../wire/frame.ts"
import { failure, TestMesh, type TestPeer, text, words } from "./test-mesh.ts"
import type { ChannelOptions, RoomChannel } from "./types.ts"

let mesh: TestMesh
let alice: TestPeer
let bob: TestPeer
let cleo: TestPeer

beforeEach(async () => {
  mesh = new TestMesh()
  ;[alice, bob, cleo] = [await mesh.peer(), await mesh.peer(), await mesh.peer()]
  await mesh.link(alice, bob)
  await mesh.link(alice, cleo)
  await mesh.link(bob, cleo)
})
afterEach(() => mesh.close())

const channel = (peer: TestPeer, options?: ChannelOptions): RoomChannel => peer.plane.channels.channel("Captions", options)
const until = (check: () => void) => vi.waitFor(check, { timeout: 20_000, interval: 10 })
const ids = (people: readonly { id: string }[]) => people.map(({ id }) => id).sort()

/** Subscribes and keeps what comes. */
function listen(of: RoomChannel): string[] {
  const heard: string[] = []
  const reader = of.subscribe()
  void (async () => {
    for await (const { data, from } of reader) heard.push(`${words(data)} ${from.id === alice.id ? "alice" : "other"}`)
  })()
  return heard
}

describe("channels", () => {
  test("without roots: every member, in the order of sending, long and short messages", async () => {
    const heard = listen(channel(bob))
    const out = channel(alice)
    expect([out.name, channel(alice)]).toEqual(["captions", out])
    await out.open()
    await until(() => expect(ids(out.subscribers)).toEqual([bob.id]))
    const long = "x".repeat(60_000)
    for (const message of ["1", long, "2"]) await out.publish(text(message))
    await until(() => expect(heard).toEqual(["1 alice", `${long} alice`, "2 alice"]))
    expect(await failure(out.publish(new Uint8Array(65_537)))).toBe("MessageTooLarge")
    out.close()
    expect(await failure(out.publish(text("3")))).toBe("UsageError")
    // Whoever opens it again is found again.
    const again = channel(alice)
    await again.open()
    await until(() => expect(ids(again.subscribers)).toEqual([bob.id]))
  })

  test("with roots: tokens at both ends; who has none gets and gives nothing", async () => {
    const options = { roots: [alice.signer.entityId] }
    const [a, b, c] = [channel(alice, options), channel(bob, options), channel(cleo, options)]
    const heard = { bob: listen(b), cleo: listen(c) }
    bob.plane.channels.tokens.add(
      await alice.plane.channels.tokens.issue({ to: bob.id, channel: "captions", rights: ["subscribe"], ttlSeconds: 3_600 }),
    )
    await a.open()
    await until(() => expect(ids(a.subscribers)).toEqual([bob.id]))
    await until(() => expect([...c.refusals]).toEqual([[alice.id, "unauthorized"]]))
    await a.publish(text("hello"))
    await until(() => expect(heard.bob).toEqual(["hello alice"]))
    expect(heard.cleo).toEqual([])
    // Bob may listen, not speak.
    expect(await failure(b.open())).toBe("NotAuthorized")
    // A later token is tried at once.
    const request = { channel: "captions", rights: ["subscribe", "publish"], ttlSeconds: 60 } as const
    cleo.plane.channels.tokens.add(await alice.plane.channels.tokens.issue({ to: cleo.id, ...request }))
    await until(() => expect(ids(a.subscribers)).toEqual([bob.id, cleo.id].sort()))
    await c.open()
    await until(() => expect(ids(c.subscribers)).toEqual([bob.id]))
    await c.publish(text("and I"))
    await until(() => expect(heard.bob).toEqual(["hello alice", "and I other"]))
  })

  test("delegated rights narrow; another subject's chain and a widened one are refused", async () => {
    const { tokens } = alice.plane.channels
    const all = await tokens.issue({
      to: bob.id,
      channel: "*",
      rights: ["subscribe", "publish"],
      ttlSeconds: 3_600,
      delegations: 1,
    })
    const given = await bob.plane.channels.tokens.delegate(all, {
      to: cleo.id,
      channel: "captions",
      rights: ["subscribe"],
      ttlSeconds: 600,
    })
    expect(() => alice.plane.channels.tokens.add(given)).toThrow(expect.objectContaining({ code: "NotAuthorized" }))
    cleo.plane.channels.tokens.add(given)
    const options = { roots: [alice.id] }
    const [a, c] = [channel(alice, options), channel(cleo, options)]
    listen(c)
    await a.open()
    await until(() => expect(ids(a.subscribers)).toEqual([cleo.id]))
    expect(await failure(c.open())).toBe("NotAuthorized")
    const further = { to: alice.id, channel: "captions", rights: ["subscribe"], ttlSeconds: 600 } as const
    expect(await failure(cleo.plane.channels.tokens.delegate(given, further))).toBe("DelegationExhausted")
    const other = { to: cleo.id, channel: "other", rights: ["subscribe"], ttlSeconds: 600 } as const
    const narrow = await tokens.issue({ ...other, to: bob.id, channel: "captions", delegations: 1 })
    expect(await failure(bob.plane.channels.tokens.delegate(narrow, other))).toBe("NotAuthorized")
  })

  test.each([
    ["slow", -600_000],
    ["fast", 600_000],
  ])("a root whose clock is ten minutes %s writes and shows rights that hold for the others", async (_, wrong) => {
    const root = await mesh.peer({ now: () => Date.now() + wrong, offsetMs: () => -wrong })
    await mesh.link(root, bob)
    const options = { roots: [root.signer.entityId] }
    const [out, b] = [channel(root, options), channel(bob, options)]
    const { tokens } = root.plane.channels
    const token = await tokens.issue({ to: bob.id, channel: "captions", rights: ["publish"], ttlSeconds: 120 })
    bob.plane.channels.tokens.add(token)
    const heard = listen(b)
    // The right it wrote for itself, and the one it gave to Bob.
    await out.open()
    await b.open()
    // What Bob may hear is judged by the root's own clock (D42), so this page's list shows only whom it believes.
    expect(heard).toEqual([])
    const [mine, given] = [await tokens.chainFor(1, "captions", options.roots), token].map(
      (chain) => decodeChain(chain)[0]?.token,
    )
    for (const { notBefore, notAfter } of [mine, given] as SignedToken["token"][]) {
      const now = Math.floor(Date.now() / 1_000)
      expect(Math.abs(Number(notBefore) - now)).toBeLessThan(30)
      expect(Number(notAfter)).toBeGreaterThan(now)
    }
  })

  test("a channel that is closed and opened again finds its subscribers; who may no longer publish reaches nobody", async () => {
    // Two alone: copies that others pass on would use up what receivers take of one origin in a second.
    const two = new TestMesh()
    const [ada, ben] = [await two.peer(), await two.peer()]
    await two.link(ada, ben)
    const options = { roots: [ada.id] }
    const rights = { channel: "captions", rights: ["subscribe"], ttlSeconds: 3_600 } as const
    ben.plane.channels.tokens.add(await ada.plane.channels.tokens.issue({ to: ben.id, ...rights }))
    const heard = listen(channel(ben, options))
    const first = channel(ada, options)
    await first.open()
    await until(() => expect(ids(channel(ben).publishers)).toEqual([ada.id]))
    first.close()
    await until(() => expect(ids(channel(ben).publishers)).toEqual([]))
    const second = channel(ada, options)
    await second.open()
    await until(() => expect(ids(second.subscribers)).toEqual([ben.id]))
    await second.publish(text("again"))
    await until(() => expect(heard).toEqual(["again other"]))
    // Ben takes another root for the only one: what Ada says counts no more at his end.
    channel(ben, { roots: [cleo.signer.entityId] })
    await second.publish(text("unheard"))
    await until(() => expect(ben.plane.stats().dropped.unboundData).toBe(1))
    expect(heard).toEqual(["again other"])
    two.close()
  })

  test("a new generation kills the tokens of its issuer in the whole room", async () => {
    // Bob is the root; Alice and Cleo live on his tokens, at each other's end.
    const options = { roots: [bob.id] }
    const rights = { channel: "captions", rights: ["subscribe", "publish"], ttlSeconds: 3_600 } as const
    for (const peer of [alice, cleo]) {
      peer.plane.channels.tokens.add(await bob.plane.channels.tokens.issue({ to: peer.id, ...rights }))
    }
    const [a, c] = [channel(alice, options), channel(cleo, options)]
    const heard = listen(c)
    await a.open()
    await until(() => expect(ids(a.subscribers)).toEqual([cleo.id]))
    await a.publish(text("before"))
    await until(() => expect(heard).toEqual(["before alice"]))
    expect(await bob.plane.channels.tokens.revokeAll()).toBe(1)
    await until(() => expect(a.subscribers).toEqual([]))
    expect(await failure(a.publish(text("after")))).toBe("NotAuthorized")
    expect(heard).toEqual(["before alice"])
    expect(alice.plane.stats().tokensDroppedByGeneration).toBeGreaterThan(0)
  })

  test("hostile frames: data without an opening, of a third party's channel, too long, garbage; others go on", async () => {
    const heard = listen(channel(bob))
    const out = channel(alice)
    await out.open()
    await until(() => expect(ids(out.subscribers)).toEqual([bob.id]))
    const send = (type: number, payload: Uint8Array) => cleo.plane.send(bob.signer.nodeId, type, payload)
    send(FRAME_CHANNEL_DATA, encodeChannelData({ handle: 1, seq: 0, data: text("forged") }))
    // Bob never asked Cleo for it.
    const chain = new Uint8Array()
    send(FRAME_MEMBERSHIP, encodeMembership({ kind: "PUBLISH_OPEN", nonce: 1n, handle: 1, name: "captions", chain }))
    send(FRAME_CHANNEL_DATA, encodeChannelData({ handle: 1, seq: 0, data: text("forged") }))
    send(FRAME_CHANNEL_DATA, encodeChannelData({ handle: 1, seq: 1, data: new Uint8Array(70_000) }))
    for (let i = 0; i < 40; i++) send(FRAME_MEMBERSHIP, crypto.getRandomValues(new Uint8Array(i)))
    await out.publish(text("true"))
    await until(() => expect(heard).toEqual(["true alice"]))
    await until(() => expect(bob.plane.stats().dropped).toMatchObject({ unboundData: 2, oversized: 1 }))
    expect(bob.plane.stats().dropped.malformed).toBeGreaterThan(20)
  })

  test("a reader that stands still loses the oldest and nothing else; leaving tells the publisher", async () => {
    const stop = new AbortController()
    const reader = channel(bob).subscribe({ signal: stop.signal })
    const out = channel(alice)
    await out.open()
    await until(() => expect(out.subscribers.length).toBe(1))
    for (let i = 0; i < 1_100; i++) {
      await out.publish(text(`${i}`))
      // As on a network: not everything in one task.
      if (i % 100 === 0) await new Promise((resolve) => setTimeout(resolve))
    }
    await until(() => expect(bob.plane.stats().dropped.unread).toBe(76))
    expect(words((await reader.next()).value.data)).toBe("76")
    stop.abort()
    await until(() => expect(out.subscribers).toEqual([]))
    await reader.return?.()
    expect(await reader.next()).toEqual({ done: true, value: undefined })
  })
})
