import { describe, expect, it, vi } from "vitest"
import { forwardChannel } from "./lane-forward.ts"
import { LANE_LOW_MARK, laneTransferables, openLaneChannel } from "./lane-port.ts"
import { FakeChannel } from "./test-webrtc.ts"

const eventually = (check: () => unknown) => vi.waitFor(check, { timeout: 20_000 })

function twoEnds() {
  const near = new FakeChannel("av", { ordered: false, maxRetransmits: 0 })
  const far = new FakeChannel("av", { ordered: false, maxRetransmits: 0 })
  near.partner = far
  far.partner = near
  return { near, far, channel: near as unknown as RTCDataChannel }
}

function worker(source: Parameters<typeof openLaneChannel>[0]) {
  const got: number[][] = []
  const states: string[] = []
  let low = 0
  const lane = openLaneChannel(source, {
    onMessage: (bytes) => got.push([...bytes]),
    onState: (state) => states.push(state),
    onLow: () => low++,
  })
  return { lane, got, states, low: () => low }
}

describe.each(["transferred", "forwarded"] as const)("a %s lane", (path) => {
  const make = (channel: RTCDataChannel) => worker(path === "transferred" ? { path, channel } : forwardChannel(channel))

  it("carries messages both ways once it is open", async () => {
    const { near, far, channel } = twoEnds()
    const { lane, got, states } = make(channel)
    expect([lane.path, lane.state, lane.send(Uint8Array.of(1))]).toEqual([path, "connecting", false])
    const atFar: number[][] = []
    far.onmessage = ({ data }) => atFar.push([...new Uint8Array(data as ArrayBuffer)])
    near.open()
    far.open()
    await eventually(() => expect(states).toEqual(["open"]))
    const bytes = Uint8Array.of(9, 1, 2, 9).subarray(1, 3)
    expect(lane.send(bytes)).toBe(true)
    await eventually(() => expect(atFar).toEqual([[1, 2]]))
    // The buffer stays the caller's.
    expect([...bytes]).toEqual([1, 2])
    far.send(Uint8Array.of(7))
    await eventually(() => expect(got).toEqual([[7]]))
    lane.close()
    lane.close()
    await eventually(() => expect([near.readyState, far.readyState]).toEqual(["closed", "closed"]))
    expect([states, lane.send(bytes)]).toEqual([["open", "closed"], false])
  })

  it("says when the other side closed it", async () => {
    const { near, far, channel } = twoEnds()
    const { states } = make(channel)
    near.open()
    far.open()
    far.close()
    await eventually(() => expect(states).toEqual(["open", "closed"]))
  })
})

describe("a forwarded lane", () => {
  it("counts what is on its way as buffered and wakes the sender when it drained", async () => {
    const { near, far, channel } = twoEnds()
    const { lane, states, low } = worker(forwardChannel(channel))
    near.open()
    far.open()
    await eventually(() => expect(states).toEqual(["open"]))
    near.bufferedAmount = 5_000
    lane.send(new Uint8Array(1_000))
    expect(lane.bufferedAmount).toBe(1_000)
    await eventually(() => expect(lane.bufferedAmount).toBe(5_000))
    near.bufferedAmount = LANE_LOW_MARK
    await eventually(() => expect(low()).toBe(1))
    near.bufferedAmount = 0
    await eventually(() => expect(lane.bufferedAmount).toBe(0))
    near.close()
  })

  it("names its port for the transfer", () => {
    const { near, channel } = twoEnds()
    const source = forwardChannel(channel)
    expect(source.path === "forwarded" && laneTransferables(source)[0]).toBe(source.path === "forwarded" && source.port)
    near.close()
  })
})
