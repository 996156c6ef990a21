/** Relays that stop promising anything, as after a busy moment: those that take a stream from them go on, for the publisher may be full. */
import { afterEach, beforeEach, describe, expect, it, vi } from "vitest"
import type { ParentCandidate } from "../../alm/index.ts"
import type { MeshFeeds, MeshSubscribe } from "../../pipeline/index.ts"
import type { KnownControlMessage } from "../../wire/control-json.ts"
import { UNCAPPED } from "../../wire/layers.ts"
import { testStream } from "../test-stream.ts"
import { Upstreams } from "../upstreams.ts"
import type { CapacityDesk } from "./capacity-desk.ts"
import { ParentDirector } from "./director.ts"

const EVERYBODY = ["me", "pub", "rob", "ron", "val"]
const cam = testStream(7, { mbps: 0.2 })

describe("a publisher that is full, and two relays", () => {
  let members: string[]
  let promising: string[]
  let serving: Map<string, number>
  let sent: { to: string; message: KnownControlMessage }[]
  let upstreams: Upstreams
  let director: ParentDirector
  let nonce = 0

  const candidate = (advertiserKeyId: string): ParentCandidate => {
    const limits = { uplinkMbps: 4, maxStreams: 8, maxSubscribersPerStream: 8, measuredAtUnixMs: BigInt(Date.now()) }
    const capacity = { ...limits, maxLayerSupported: UNCAPPED, subStreamCommitments: [] }
    return { signedCapacity: { advertiserKeyId, capacity } } as ParentCandidate
  }
  const run = async (ms: number) => {
    for (let passed = 0; passed < ms; passed += 250) {
      await vi.advanceTimersByTimeAsync(250)
      for (const [keyId, chunks] of serving) serving.set(keyId, chunks + 5)
      await director.tick()
    }
  }
  const left = () => sent.flatMap(({ to, message }) => (message.t === "av.unsubscribe" ? [to] : []))

  beforeEach(async () => {
    vi.useFakeTimers({ now: 1_700_000_000_000 })
    members = [...EVERYBODY]
    promising = ["rob", "ron"]
    serving = new Map()
    sent = []
    const requests: MeshSubscribe[] = []
    const answer = (from: string) => {
      const { subNonce } = requests.findLast((request) => request.from === from)!
      const upstream = upstreams.get(cam.streamKey)!
      if (from === "pub") upstream.answered(from, subNonce, "CapacityExceeded")
      else {
        upstream.granted(from, subNonce)
        serving.set(from, 0)
        upstream.started(from)
      }
    }
    const send = (to: string, message: KnownControlMessage) => {
      sent.push({ to, message })
      if (message.t === "av.subscribe") setTimeout(() => answer(to), 20)
      return true
    }
    upstreams = new Upstreams({
      random: (length) => new Uint8Array(length).fill(++nonce),
      send,
      linkTo: (keyId) => ({ id: `link-${keyId}`, send: (message) => send(keyId, message) }),
      meshSubscribe: async (request) => {
        requests.push(request)
        return { ok: true }
      },
      meshUnsubscribe: (_, from) => void serving.delete(from),
      meshDeliver: () => {},
    })
    const desk = { list: () => [], candidates: () => promising.map(candidate), neighbours() {}, tick() {}, sample() {} }
    director = new ParentDirector(upstreams, desk as unknown as CapacityDesk, {
      me: "me",
      now: Date.now,
      random: () => 0.5,
      roomId: () => new Uint8Array(32).fill(3),
      members: () => members,
      nodeOf: (keyId) => `${EVERYBODY.indexOf(keyId) + 1}`.padStart(16, "0"),
      neighbours: () => EVERYBODY.slice(1),
      connect() {},
      send,
      linkRtt() {},
      mesh: {
        feeds: async (): Promise<MeshFeeds> => ({
          in: [...serving].map(([from, chunks]) => {
            const counts = { chunks, base: chunks, upper: chunks, bytes: 1_000 * chunks }
            return { streamId: cam.streamId, from, started: chunks > 0, silentMs: 5, ...counts }
          }),
          out: [],
        }),
        stats: async () => ({ links: [] }),
      },
      ownStream: () => undefined,
    })
    upstreams.offered("pub", [cam])
    await run(2_000)
    upstreams.claim(cam, "pub").start(() => UNCAPPED)
    await run(5_000)
    expect([...serving.keys()].sort()).toEqual(["rob", "ron"])
  })
  afterEach(() => {
    director.close()
    vi.useRealTimers()
  })

  it("the relays stay, and new ones are found when they promise again", async () => {
    promising = []
    await run(60_000)
    expect([...serving.keys()].sort()).toEqual(["rob", "ron"])
    expect(left()).toEqual([])
    promising = ["rob", "ron", "val"]
    upstreams.linkLost("ron")
    serving.delete("ron")
    await run(5_000)
    expect(serving.size).toBe(2)
  })

  it("whoever has lost them asks even those that promise nothing, before the picture stays away", async () => {
    promising = []
    for (const relay of ["rob", "ron"]) {
      serving.delete(relay)
      upstreams.linkLost(relay)
    }
    await run(6_000)
    expect(serving.size).toBeGreaterThan(0)
    expect(serving.has("pub")).toBe(false)
    await run(30_000)
    expect(serving.size).toBeGreaterThan(0)
  })

  it("also one that comes when nobody promises anything", async () => {
    promising = []
    upstreams.release(cam.streamKey, true)
    await run(1_000)
    expect(serving.size).toBe(0)
    upstreams.claim(cam, "pub").start(() => UNCAPPED)
    await run(10_000)
    expect(serving.size).toBeGreaterThan(0)
  })

  it("in a room that became too small for relays they serve until the publisher accepts", async () => {
    members = EVERYBODY.slice(0, 4)
    await run(60_000)
    expect([...serving.keys()].sort()).toEqual(["rob", "ron"])
    expect(left()).toEqual([])
  })
})
