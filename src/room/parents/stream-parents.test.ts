import { beforeEach, describe, expect, it } from "vitest"
import type { ParentCandidate, TreeView } from "../../alm/index.ts"
import type { MeshSubscribe } from "../../pipeline/index.ts"
import type { KnownControlMessage } from "../../wire/control-json.ts"
import { UNCAPPED } from "../../wire/layers.ts"
import { testStream } from "../test-stream.ts"
import { Upstream } from "../upstream.ts"
import { StreamParents } from "./stream-parents.ts"

const START = 1_700_000_000_000
const cam = testStream(7, { mbps: 0.5 })

describe("two parents of a stream", () => {
  let now: number
  let asked: MeshSubscribe[]
  let sent: { to: string; message: KnownControlMessage }[]
  let ended: string[]
  let upstream: Upstream
  let parents: StreamParents
  let chunks: Map<string, number>
  let silent: Set<string>
  let nonce = 0

  const candidate = (keyId: string, rttMs: number): ParentCandidate => {
    const limits = { uplinkMbps: 20, maxStreams: 8, maxSubscribersPerStream: 8, measuredAtUnixMs: BigInt(now) }
    const capacity = { ...limits, maxLayerSupported: UNCAPPED, subStreamCommitments: [] }
    return { signedCapacity: { advertiserKeyId: keyId, capacity }, reachabilityRatio: 1, rttMsEstimate: rttMs, linked: true }
  }
  const knowledge = (tree?: TreeView) => ({
    candidates: [candidate("pub", 10), candidate("rob", 20), candidate("sue", 30), candidate("tom", 40)],
    neighbours: [],
    tree,
    children: [],
  })
  const said = (t: KnownControlMessage["t"]) => sent.flatMap(({ to, message }) => (message.t === t ? [to] : []))
  const settle = () => new Promise<void>((resolve) => setTimeout(resolve))
  const answer = (from: string, refused?: string) => {
    const { subNonce } = asked.findLast((request) => request.from === from)!
    return upstream.answered(from, subNonce, refused)
  }
  const accept = async (from: string) => {
    await settle()
    answer(from)
    upstream.started(from)
  }
  const roles = () => Object.fromEntries(parents.parents.map(({ keyId, role }) => [keyId, role]))
  /** Lets time pass; every parent that was accepted delivers, unless it is silent. */
  const run = async (ms: number) => {
    for (const end = now + ms; now < end; ) {
      now += 250
      for (const { keyId } of parents.parents) if (!silent.has(keyId)) chunks.set(keyId, (chunks.get(keyId) ?? 0) + 10)
      const feeds = parents.parents.map(({ keyId }) => {
        const base = chunks.get(keyId) ?? 0
        return {
          from: keyId,
          started: base > 0,
          silentMs: silent.has(keyId) ? 60_000 : 5,
          base,
          upper: base,
          bytes: base * 1_000,
        }
      })
      parents.tick(feeds)
    }
    await settle()
  }

  beforeEach(async () => {
    now = START
    asked = []
    sent = []
    ended = []
    chunks = new Map()
    silent = new Set()
    const send = (to: string, message: KnownControlMessage) => sent.push({ to, message }) > 0
    upstream = new Upstream(cam, "pub", {
      random: (length) => new Uint8Array(length).fill(++nonce),
      send,
      linkTo: (keyId) => ({ id: `link-${keyId}`, send: (message) => send(keyId, message) }),
      meshSubscribe: async (request) => {
        asked.push(request)
        return { ok: true }
      },
      meshUnsubscribe: (_, from) => ended.push(from),
      meshDeliver: () => {},
    })
    parents = new StreamParents(upstream, {
      me: "me",
      now: () => now,
      random: () => 0.5,
      connect: () => {},
      keyframe: (_, parent) => void send(parent, { t: "av.keyframe", streamId: cam.streamId }),
    })
  })

  const begin = async () => {
    upstream.start(() => UNCAPPED)
    await accept("pub")
    upstream.drive(parents)
    parents.begin(knowledge())
    await accept("rob")
    await run(1_000)
  }

  it("keeps the publisher that serves already and asks one more", async () => {
    await begin()
    expect(said("av.subscribe")).toEqual(["pub", "rob"])
    expect(roles()).toEqual({ pub: "primary", rob: "backup" })
    expect(said("av.unsubscribe")).toEqual([])
  })

  it("wants the base layer alone of the second one after a while, and everything again when the first is silent", async () => {
    await begin()
    await run(4_000)
    expect(sent.at(-1)).toMatchObject({ to: "rob", message: { t: "av.policy", policy: { maxTemporal: 0 } } })
    silent.add("pub")
    await run(2_000)
    expect(roles().rob).toBe("primary")
    expect(sent.findLast(({ to, message }) => to === "rob" && message.t === "av.policy")?.message).toMatchObject({
      policy: UNCAPPED,
    })
    expect(said("av.subscribe")).toContain("sue")
    await accept("sue")
    await run(500)
    expect(said("av.unsubscribe")).toContain("pub")
    expect(ended).toContain("pub")
    expect(roles()).toMatchObject({ rob: "primary", sue: "backup" })
  })

  it("wants everything of the second one where messages of the first get lost", async () => {
    await begin()
    await run(4_000)
    expect(sent.at(-1)).toMatchObject({ to: "rob", message: { t: "av.policy", policy: { maxTemporal: 0 } } })
    const feed = (from: string) => ({ from, started: true, silentMs: 5, base: 1_000, upper: 1_000, bytes: 1_000_000 })
    now += 250
    parents.tick([feed("pub"), feed("rob")], (keyId) => keyId === "rob")
    expect(sent.at(-1)).toMatchObject({ to: "rob", message: { t: "av.policy", policy: { maxTemporal: 0 } } })
    parents.tick([feed("pub"), feed("rob")], (keyId) => keyId === "pub")
    expect(sent.at(-1)).toMatchObject({ to: "rob", message: { t: "av.policy", policy: UNCAPPED } })
  })

  it("wants everything of the second one as soon as the first brings nothing, before that one is given up", async () => {
    await begin()
    await run(4_000)
    silent.add("pub")
    await run(750)
    expect(roles()).toMatchObject({ pub: "primary", rob: "backup" })
    expect(sent.findLast(({ to, message }) => to === "rob" && message.t === "av.policy")?.message).toMatchObject({
      policy: UNCAPPED,
    })
    // It was only late: after a while the second one is asked for less again.
    silent.delete("pub")
    await run(4_000)
    expect(sent.at(-1)).toMatchObject({ to: "rob", message: { t: "av.policy", policy: { maxTemporal: 0 } } })
  })

  it("asks the next one when a parent has no room, and does not take that for too large a picture", async () => {
    upstream.start(() => UNCAPPED)
    await settle()
    upstream.drive(parents)
    parents.begin(knowledge())
    await settle()
    expect(answer("pub", "CapacityExceeded")).toBe(false)
    await settle()
    expect(said("av.subscribe")).toEqual(expect.arrayContaining(["rob", "sue"]))
    await accept("rob")
    await accept("sue")
    await run(500)
    expect(Object.keys(roles()).sort()).toEqual(["rob", "sue"])
    expect(answer("rob", "CapacityExceeded")).toBe(false)
    expect(Object.keys(roles())).not.toContain("rob")
  })

  it("hands on what a publisher that serves says about the size", async () => {
    await begin()
    expect(answer("pub", "CapacityExceeded")).toBe(true)
    expect(roles().pub).toBe("primary")
  })

  it("moves before a parent leaves, and at once when its link is lost", async () => {
    await begin()
    upstream.parentLeaving("rob", 1_500)
    expect(said("av.unsubscribe")).toEqual([])
    await accept("sue")
    await run(1_000)
    expect(said("av.unsubscribe")).toContain("rob")
    const before = said("av.subscribe").length
    upstream.linkLost("pub")
    await settle()
    // Who is gone is told nothing; the one that is left goes on, and another is asked.
    expect(said("av.subscribe").length).toBeGreaterThan(before)
    expect(said("av.unsubscribe")).not.toContain("pub")
    expect(said("av.unsubscribe")).not.toContain("sue")
  })

  it("tells who delivers how much", async () => {
    await begin()
    await run(2_000)
    expect(parents.parents.map(({ keyId, share, bitrate }) => [keyId, share, bitrate > 0])).toEqual([
      ["pub", 1, true],
      ["rob", 1, true],
    ])
  })

  it("goes back to the publisher when nobody drives it any more, without a break", async () => {
    await begin()
    upstream.linkLost("pub")
    await accept("sue")
    upstream.undrive()
    await settle()
    expect(said("av.subscribe").at(-1)).toBe("pub")
    expect(said("av.unsubscribe")).not.toContain("rob")
    expect(said("av.unsubscribe")).not.toContain("sue")
    await accept("pub")
    expect(said("av.unsubscribe")).toEqual(expect.arrayContaining(["rob", "sue"]))
  })

  it("is let go of when somebody names the parents", async () => {
    await begin()
    upstream.setParents([{ peer: "tom" }])
    await accept("tom")
    expect(said("av.unsubscribe").sort()).toEqual(["pub", "rob"])
    expect(upstream.drivable).toBe(false)
  })
})
