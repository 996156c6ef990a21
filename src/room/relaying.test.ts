import { afterEach, beforeEach, describe, expect, it, vi } from "vitest"
import { checkedBitrate, handOver, relayOptions } from "./relaying.ts"

describe("leaving as a relay", () => {
  beforeEach(() => void vi.useFakeTimers())
  afterEach(() => void vi.useRealTimers())

  const relaying = (...peers: string[]) => {
    const child = (peer: string) => ({ peer, chunks: 0, bytes: 0, fits: "all" as const })
    const stream = { streamId: new Uint8Array(32), from: [], bitrate: 0, chunks: 0, bytes: 0, duplicates: 0, drops: {} }
    return { relay: { streams: peers.length === 0 ? [] : [{ ...stream, children: peers.map(child) }] } }
  }

  async function run(answers: (ms: number) => string[]) {
    const told: string[] = []
    const began = Date.now()
    let over: number | undefined
    const done = handOver({
      mesh: { stats: async () => relaying(...answers(Date.now() - began)) },
      tell: (keyId, message) => told.push(`${keyId} ${message.t}`) > 0,
    }).then(() => {
      over = Date.now() - began
    })
    await vi.advanceTimersByTimeAsync(10_000)
    await done
    return { told, over: over! }
  }

  it("waits until the children have gone, and no longer", async () => {
    const { told, over } = await run((ms) => (ms < 400 ? ["bea", "cid"] : ms < 700 ? ["cid"] : []))
    expect(told).toEqual(["bea av.leaving", "cid av.leaving"])
    expect(over).toBeGreaterThanOrEqual(700)
    expect(over).toBeLessThan(900)
  })

  it("does not wait for those that stay, nor for nobody", async () => {
    expect((await run(() => ["bea"])).over).toBeLessThanOrEqual(2_100)
    expect(await run(() => [])).toEqual({ told: [], over: 0 })
  })

  it("tells those that came meanwhile too", async () => {
    const { told } = await run((ms) => (ms < 300 ? ["bea"] : ms < 600 ? ["cid"] : []))
    expect(told).toEqual(["bea av.leaving", "cid av.leaving"])
  })
})

it("hands on unless told otherwise", () => {
  expect(relayOptions({})).toEqual({ enabled: true })
  expect(relayOptions({ relay: { enabled: false } })).toEqual({ enabled: false })
  expect(relayOptions({ relay: { maxSubscribers: 3, uplinkBitrate: 500_000 } })).toEqual({
    enabled: true,
    maxSubscribers: 3,
    uplinkBitrate: 500_000,
  })
})

describe("a limit for the uplink", () => {
  it("is a bitrate above zero, or nothing", () => {
    expect(checkedBitrate(undefined)).toBeUndefined()
    expect(checkedBitrate(2_000_000)).toBe(2_000_000)
    for (const wrong of [0, -1, Number.NaN]) expect(() => checkedBitrate(wrong)).toThrowError(/UsageError|above 0/)
  })
})
