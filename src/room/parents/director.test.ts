import { afterEach, beforeEach, describe, expect, it, vi } from "vitest"
import { roomCapacityId } from "../../identity/capacity.ts"
import { type MeshFeeds, streamKeyOf } from "../../pipeline/index.ts"
import type { SignedRelayCapacity } from "../../wire/capacity.ts"
import type { KnownControlMessage } from "../../wire/control-json.ts"
import { UNCAPPED } from "../../wire/layers.ts"
import { Upstreams } from "../upstreams.ts"
import type { CapacityDesk } from "./capacity-desk.ts"
import { ParentDirector } from "./director.ts"

const START = 1_700_000_003_000
const ROOM = new Uint8Array(32).fill(3)
const STREAM = new Uint8Array(32).fill(7)
const EVERYBODY = ["me", "ada", "bea", "cid", "dan"]

/** A publisher that may give one copy, in a room of five that all relay: the plan puts exactly one of them right below it. */
describe("a full parent", () => {
  let children: string[]
  let sent: { to: string; message: KnownControlMessage }[]
  let director: ParentDirector
  /** Who the plan puts below the publisher, and the others. */
  let planned: string
  let others: string[]

  const capacityOf = (advertiserKeyId: string): SignedRelayCapacity => {
    const limits = { uplinkMbps: 20, maxStreams: 8, maxSubscribersPerStream: advertiserKeyId === "me" ? 1 : 8 }
    const capacity = { ...limits, measuredAtUnixMs: BigInt(Date.now()), maxLayerSupported: UNCAPPED, subStreamCommitments: [] }
    const signature = { signatureEd25519Base64: "", signatureMlDsa65Base64: "" }
    return { advertiserKeyId, capacity, streamId: roomCapacityId(ROOM), epoch: 1n, ...signature }
  }

  const run = async (ms: number) => {
    for (let passed = 0; passed < ms; passed += 250) {
      await vi.advanceTimersByTimeAsync(250)
      await director.tick()
    }
  }

  beforeEach(async () => {
    vi.useFakeTimers({ now: START })
    children = []
    sent = []
    const desk = { list: () => EVERYBODY.map(capacityOf), candidates: () => [], neighbours() {}, tick() {}, sample() {} }
    const requests = { random: () => new Uint8Array(16), send: () => true, linkTo: () => undefined }
    const mesh = { meshSubscribe: async () => ({ ok: true as const }), meshUnsubscribe() {}, meshDeliver() {} }
    director = new ParentDirector(new Upstreams({ ...requests, ...mesh }), desk as unknown as CapacityDesk, {
      me: "me",
      now: Date.now,
      random: () => 0.5,
      roomId: () => ROOM,
      members: () => EVERYBODY,
      nodeOf: (keyId) => `${EVERYBODY.indexOf(keyId) + 1}`.padStart(16, "0"),
      neighbours: () => EVERYBODY.slice(1),
      connect() {},
      send: (to, message) => sent.push({ to, message }) > 0,
      linkRtt() {},
      mesh: {
        feeds: async (): Promise<MeshFeeds> => ({ in: [], out: children.length === 0 ? [] : [{ streamId: STREAM, children }] }),
        stats: async () => ({ links: [] }),
      },
      ownStream: (streamKey) => (streamKey === streamKeyOf(STREAM) ? { mbps: 0.5 } : undefined),
      maxSubscribers: 1,
    })
    await run(5_000)
    const taken = EVERYBODY.slice(1).filter((keyId) => !director.isKept(STREAM, keyId))
    expect(taken).toHaveLength(1)
    planned = taken[0]!
    others = EVERYBODY.slice(1).filter((keyId) => keyId !== planned)
  })
  afterEach(() => {
    director.close()
    vi.useRealTimers()
  })

  it("keeps its place for the one that the plan puts there", async () => {
    expect(others.every((keyId) => director.isKept(STREAM, keyId))).toBe(true)
    children = [planned]
    await run(500)
    // Full: that is told by the mesh, and the child may ask anew.
    expect(EVERYBODY.slice(1).some((keyId) => director.isKept(STREAM, keyId))).toBe(false)
  })

  it("asks another child to move, and takes on the planned one even when all of the time was used", async () => {
    const [other = ""] = others
    children = [other]
    await run(11_000)
    let made: boolean | undefined
    const making = director.makePlace(STREAM, planned).then((place) => {
      made = place
    })
    expect(sent).toEqual([{ to: other, message: { t: "av.leaving", inMs: 800 } }])
    await run(1_250)
    expect(made).toBeUndefined()
    children = []
    await run(250)
    await making
    expect(made).toBe(true)
  })

  it("says no before the asker gives up when the child stays", async () => {
    children = [others[0]!]
    await run(11_000)
    const began = Date.now()
    const making = director.makePlace(STREAM, planned)
    await run(1_750)
    expect(await making).toBe(false)
    expect(Date.now() - began).toBeLessThan(2_000)
  })

  it("takes on nobody when it is about to leave", () => {
    director.leave()
    expect(EVERYBODY.slice(1).every((keyId) => director.isKept(STREAM, keyId))).toBe(true)
  })
})
