import { afterEach, beforeEach, describe, expect, it, vi } from "vitest"
import type { WebRtc } from "../../link/index.ts"
import { stunServers } from "../../rendezvous/nat/stun-servers.ts"
import { type AddressBlock, addressFromText } from "../../wire/address.ts"
import { browserProbe } from "./browser-probe.ts"

const servers = stunServers([{ urls: "stun:5.5.5.5" }, { urls: "stun:6.6.6.6" }], [])
const mapped = addressFromText("1.1.1.1", 5_000)!
const SRFLX = "candidate:1 1 udp 1677729535 1.1.1.1 5000 typ srflx raddr 10.0.0.2 rport 4000 generation 0"

type Candidate = { candidate: string; url?: string } | null

/** The part of a peer connection that a look uses. */
class FakeConnection {
  onicecandidate: ((event: { candidate: Candidate }) => void) | null = null
  onicecandidateerror: ((event: { url: string }) => void) | null = null
  closed = false
  readonly channels: string[] = []
  readonly configuration: RTCConfiguration
  constructor(configuration: RTCConfiguration) {
    this.configuration = configuration
  }
  createDataChannel = (label: string) => this.channels.push(label)
  createOffer = async () => ({ type: "offer" as const })
  setLocalDescription = async () => undefined
  close = () => {
    this.closed = true
  }
}

function begin(entries: { address: AddressBlock; observerIndex: number }[] | Error = []) {
  const asked: AddressBlock[][] = []
  const stop = new AbortController()
  let connection: FakeConnection | undefined
  const connect = (configuration: RTCConfiguration) => {
    connection = new FakeConnection(configuration)
    return connection as unknown as RTCPeerConnection
  }
  const found = browserProbe({ connect } as WebRtc).look({
    servers,
    async ask(addresses) {
      asked.push([...addresses])
      if (entries instanceof Error) throw entries
      return entries
    },
    signal: stop.signal,
  })
  return { found, asked, stop, connection: connection as unknown as FakeConnection }
}

describe("a look from a page", () => {
  beforeEach(() => void vi.useFakeTimers())
  afterEach(() => void vi.useRealTimers())

  it("gathers with all servers at once, then asks the rendezvous server what it saw", async () => {
    const seen = [0, 1].map((observerIndex) => ({ address: mapped, observerIndex }))
    const { found, asked, connection } = begin(seen)
    expect(connection.configuration).toEqual({ iceServers: [{ urls: "stun:5.5.5.5:3478" }, { urls: "stun:6.6.6.6:3478" }] })
    expect(connection.channels).toHaveLength(1)
    connection.onicecandidate?.({ candidate: { candidate: SRFLX } })
    connection.onicecandidate?.({ candidate: { candidate: "" } })
    // One server is slow: what is there after three seconds is taken.
    await vi.advanceTimersByTimeAsync(3_000)
    const { observations, hostAddresses, dialBack } = await found
    expect(observations.map(({ observerIp, mapped: { port } }) => `${observerIp} ${port}`)).toEqual([
      "5.5.5.5 5000",
      "6.6.6.6 5000",
    ])
    expect([asked, hostAddresses, dialBack, connection.closed]).toEqual([[[mapped]], [], false, true])
    expect(vi.getTimerCount()).toBe(0)
  })

  it("goes by the browser's word where the rendezvous server says nothing", async () => {
    const counted = async (refused?: string) => {
      const { found, connection } = begin(new Error("no server"))
      connection.onicecandidate?.({ candidate: { candidate: SRFLX, url: "stun:5.5.5.5:3478" } })
      if (refused !== undefined) connection.onicecandidateerror?.({ url: refused })
      connection.onicecandidate?.({ candidate: null })
      return (await found).observations.length
    }
    expect(await counted()).toBe(2)
    expect(await counted("stun:6.6.6.6:3478")).toBe(1)
    expect(await counted("something else")).toBe(1)
  })

  it("ends when it is stopped, and fails when the browser refuses", async () => {
    const { found, asked, stop, connection } = begin()
    connection.onicecandidate?.({ candidate: { candidate: SRFLX } })
    stop.abort()
    expect((await found).observations).toEqual([])
    expect([asked, connection.closed, vi.getTimerCount()]).toEqual([[], true, 0])
    const refusing = {
      connect: () => {
        throw new DOMException("port", "SyntaxError")
      },
    } as unknown as WebRtc
    const look = browserProbe(refusing).look({ servers, ask: async () => [], signal: new AbortController().signal })
    await expect(look).rejects.toThrow("port")
  })
})
