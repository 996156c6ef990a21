import { afterEach, beforeEach, describe, expect, it, vi } from "vitest"
import type { MeshSubscribe } from "../pipeline/index.ts"
import type { KnownControlMessage } from "../wire/control-json.ts"
import { BLINKING_DOT, UNCAPPED } from "../wire/layers.ts"
import { testStream } from "./test-stream.ts"
import { Upstreams } from "./upstreams.ts"

const cam = testStream(7)

describe("where streams come from", () => {
  let asked: MeshSubscribe[]
  let sent: { to: string; message: KnownControlMessage }[]
  let deliver: boolean[]
  let ended: string[]
  let unreachable: Set<string>
  let upstreams: Upstreams
  let nonce = 0

  beforeEach(() => {
    vi.useFakeTimers()
    asked = []
    sent = []
    deliver = []
    ended = []
    unreachable = new Set()
    const send = (to: string, message: KnownControlMessage) => sent.push({ to, message }) > 0
    upstreams = new Upstreams({
      random: (length) => new Uint8Array(length).fill(++nonce),
      send,
      linkTo: (keyId) => (unreachable.has(keyId) ? undefined : { id: `link-${keyId}`, send: (message) => send(keyId, message) }),
      meshSubscribe: async (request) => {
        asked.push(request)
        return { ok: true }
      },
      meshUnsubscribe: (_, from) => ended.push(from),
      meshDeliver: (_, on) => deliver.push(on),
    })
    upstreams.offered("pub", [cam])
  })
  afterEach(() => vi.useRealTimers())

  const settle = () => vi.advanceTimersByTimeAsync(0)
  const said = (t: KnownControlMessage["t"]) => sent.flatMap(({ to, message }) => (message.t === t ? [to] : []))
  const show = () => {
    const upstream = upstreams.claim(cam, "pub")
    upstream.start(() => UNCAPPED)
    return upstream
  }
  const accept = (from: string) => {
    const { subNonce } = asked.findLast((request) => request.from === from)!
    upstreams.get(cam.streamKey)!.answered(from, subNonce, undefined)
    upstreams.get(cam.streamKey)!.started(from)
  }

  it("is the publisher unless somebody says otherwise", async () => {
    show()
    await settle()
    expect(asked).toMatchObject([{ from: "pub", link: "link-pub", deliver: true }])
    expect(sent[0]!.message).not.toHaveProperty("via")
  })

  it("changes without a gap: the new parent is asked before the old one is left", async () => {
    const upstream = show()
    await settle()
    accept("pub")
    upstream.setParents([{ peer: "rob" }])
    await settle()
    expect(said("av.subscribe")).toEqual(["pub", "rob"])
    expect(sent.at(-1)!.message).toMatchObject({ via: ["pub"] })
    expect(said("av.unsubscribe")).toEqual([])
    accept("rob")
    expect(said("av.unsubscribe")).toEqual(["pub"])
    expect(ended).toEqual(["pub"])
  })

  it("leaves the old parent a while after the new one accepted, and not when that one refuses or says nothing", async () => {
    const upstream = show()
    await settle()
    accept("pub")
    upstream.setParents([{ peer: "rob" }])
    await settle()
    upstream.answered("rob", asked.at(-1)!.subNonce, "CapacityExceeded")
    await vi.advanceTimersByTimeAsync(6_000)
    // Nobody had to be asked again: the old one served all the time.
    expect(said("av.subscribe")).toEqual(["pub", "rob"])
    expect(said("av.unsubscribe")).toEqual([])
    expect(upstream.parents).toEqual([{ peer: "pub" }])
    upstream.setParents([{ peer: "sue" }])
    await vi.advanceTimersByTimeAsync(5_100)
    expect(said("av.unsubscribe")).not.toContain("pub")
    upstream.answered("sue", asked.findLast(({ from }) => from === "sue")!.subNonce, undefined)
    await vi.advanceTimersByTimeAsync(5_100)
    // Requests that were never answered are taken back by the way.
    expect(said("av.unsubscribe").filter((to) => to !== "sue")).toEqual(["pub"])
  })

  it("asks two parents for a part each, and again where a part changes", async () => {
    const upstream = show()
    upstream.setParents([
      { peer: "rob", symbolRange: [0, 4] },
      { peer: "sue", symbolRange: [4, 65_536] },
    ])
    await settle()
    const ranges = () => sent.flatMap(({ to, message }) => (message.t === "av.subscribe" ? [[to, message.symbolRange]] : []))
    expect(ranges().slice(-2)).toEqual([
      ["rob", [0, 4]],
      ["sue", [4, 65_536]],
    ])
    accept("rob")
    accept("sue")
    upstream.setParents([{ peer: "sue" }])
    await settle()
    expect(ranges().at(-1)).toEqual(["sue", undefined])
    accept("sue")
    expect(said("av.unsubscribe").at(-1)).toBe("rob")
  })

  it("falls back to the publisher when a parent leaves, is lost, falls silent or has nothing", async () => {
    for (const end of ["leaving", "lost", "silent", "refuses"]) {
      const upstream = show()
      upstream.setParents([{ peer: "rob" }])
      await settle()
      accept("rob")
      const { subNonce } = asked.findLast(({ from }) => from === "rob")!
      if (end === "leaving") upstreams.parentLeaving("rob")
      else if (end === "lost") upstreams.linkLost("rob")
      else if (end === "silent") upstream.silent("rob", 1_600)
      else upstream.answered("rob", subNonce, "StreamNotFound")
      await settle()
      expect(upstream.parents).toEqual([{ peer: "pub" }])
      expect(asked.at(-1)!.from).toBe("pub")
      upstreams.release(cam.streamKey, true)
    }
  })

  it("takes a stream only to hand it on, with what is wanted of it, and shows it when the page wants that too", async () => {
    upstreams.demand(cam.streamKey, BLINKING_DOT)
    await settle()
    expect(asked).toMatchObject([{ from: "pub", deliver: false }])
    expect(sent[0]!.message).toMatchObject({ policy: BLINKING_DOT })
    show()
    expect(deliver).toEqual([true])
    expect(sent.at(-1)!.message).toMatchObject({ t: "av.policy", policy: UNCAPPED })
    upstreams.release(cam.streamKey, true)
    expect(deliver).toEqual([true, false])
    expect(sent.at(-1)!.message).toMatchObject({ t: "av.policy", policy: BLINKING_DOT })
    expect(said("av.unsubscribe")).toEqual([])
    upstreams.demand(cam.streamKey, undefined)
    expect(said("av.unsubscribe")).toEqual(["pub"])
    expect(upstreams.get(cam.streamKey)).toBeUndefined()
  })

  it("waits for a publisher it has not heard of, and for one that comes back", async () => {
    upstreams.offered("pub", [])
    upstreams.demand(cam.streamKey, UNCAPPED)
    await settle()
    expect(asked).toEqual([])
    upstreams.offered("pub", [cam])
    await settle()
    expect(asked).toHaveLength(1)
    upstreams.offered("pub", [])
    expect(upstreams.get(cam.streamKey)).toBeUndefined()
    upstreams.offered("pub", [cam])
    await settle()
    expect(asked).toHaveLength(2)
  })

  it("keeps a hidden track's stream for when it is shown again", async () => {
    const upstream = show()
    upstreams.demand(cam.streamKey, UNCAPPED)
    upstream.stop(true)
    upstreams.demand(cam.streamKey, undefined)
    await settle()
    expect(upstreams.get(cam.streamKey)).toBe(upstream)
    upstream.start(() => UNCAPPED)
    await settle()
    expect(asked.at(-1)).toMatchObject({ from: "pub", deliver: true })
  })
})
