import { afterEach, beforeAll, describe, expect, it, vi } from "vitest"
import { createIdentity } from "../identity/index.ts"
import { decodeDescription, type SessionDescription } from "../wire/description.ts"
import { signDescription } from "./descriptions.ts"
import { laneTransferables } from "./lane-port.ts"
import { answerLink, offerLink } from "./peer-link.ts"
import { ANY_ADDRESS, FakeConnection, installFakeWebRtc } from "./test-webrtc.ts"
import type { LaneSink, PeerLink } from "./types.ts"

const [alice, bob, carol] = await Promise.all([createIdentity(), createIdentity(), createIdentity()])
beforeAll(installFakeWebRtc)

const sink: LaneSink = { add: ({ source }) => void laneTransferables(source), remove: () => {} }
const ready = (link: PeerLink) => new Promise<void>((resolve) => void link.on("ready", () => resolve()))
const openLanes = async (link: PeerLink) =>
  (await link.stats()).lanes.filter(({ state }) => state === "open").map(({ laneId }) => laneId)

let links: PeerLink[] = []
afterEach(() => {
  for (const link of links) link.close()
  links = []
  FakeConnection.made = []
})

/** A ready link from alice to bob, and the connections of each in the order of their lanes. */
async function connect() {
  FakeConnection.made = []
  const offered = await offerLink({ id: "a", signer: alice, peerNode: bob.nodeId, laneSink: sink, addresses: ANY_ADDRESS })
  // The first link of a page also asks the browser what it can do, with a connection of its own.
  const made = () => FakeConnection.made.filter(({ channels }) => channels.every(({ label }) => label !== "probe"))
  const ofAlice = made()
  const answered = await answerLink(
    { id: "b", signer: bob, peerNode: alice.nodeId, laneSink: sink, addresses: ANY_ADDRESS },
    offered.offer,
  )
  const ofBob = made().slice(ofAlice.length)
  const [a, b] = [offered.link, answered.link]
  links = [a, b]
  const both = Promise.all([ready(a), ready(b)])
  await a.acceptAnswer(answered.answer)
  await both
  await vi.waitFor(
    async () =>
      expect([await openLanes(a), await openLanes(b)]).toEqual([
        [0, 1, 2, 3],
        [0, 1, 2, 3],
      ]),
    { timeout: 20_000 },
  )
  return { a, b, ofAlice, ofBob }
}

const break_ = (connections: FakeConnection[], state: RTCPeerConnectionState) => {
  for (const connection of connections) connection.enter(state)
}

describe("an ICE restart", () => {
  it.each(["disconnected", "failed"] as const)(
    "brings every lane of a link back that was %s, from either side",
    async (state) => {
      for (const turn of ["offerer", "answerer"]) {
        const { a, b, ofAlice, ofBob } = await connect()
        const [from, to] = turn === "offerer" ? [a, b] : [b, a]
        for (const link of [a, b]) link.hold(true)
        const session = a.session
        break_([...ofAlice, ...ofBob], state)
        const before = ofAlice.map(({ remote }) => remote?.ufrag)
        await from.acceptAnswer(await to.answerRestart(await from.restart()))
        await vi.waitFor(
          () => expect([...ofAlice, ...ofBob].map(({ connectionState }) => connectionState)).not.toContain(state),
          { timeout: 20_000 },
        )
        for (const link of [a, b]) link.hold(false)
        expect(await openLanes(a)).toEqual([0, 1, 2, 3])
        expect(await openLanes(b)).toEqual([0, 1, 2, 3])
        expect(a.session).toBe(session)
        expect(session?.closed).toBe(false)
        for (const [index, { remote }] of ofAlice.entries()) expect(remote?.ufrag).not.toBe(before[index])
        // The ends of DTLS stay what they were: the first answerer is the active one, whoever offers now.
        const asking = turn === "offerer" ? ofAlice : ofBob
        for (const { remoteSdp } of asking) expect(remoteSdp).toContain(turn === "offerer" ? "a=setup:active" : "a=setup:passive")
        for (const link of [a, b]) link.close()
        FakeConnection.made = []
      }
    },
  )

  it("works on a link that has no trouble, again and again", async () => {
    const { a, b } = await connect()
    for (let round = 0; round < 3; round++) {
      await a.acceptAnswer(await b.answerRestart(await a.restart()))
      await b.acceptAnswer(await a.answerRestart(await b.restart()))
    }
    expect(await openLanes(a)).toEqual([0, 1, 2, 3])
    expect((await b.stats()).drops).toEqual({})
  })

  it("of ours gives way to the peer's when both asked", async () => {
    const { a, b } = await connect()
    const [ours, theirs] = await Promise.all([a.restart(), b.restart()])
    expect(ours).toBeDefined()
    await b.acceptAnswer(await a.answerRestart(theirs))
    expect(await openLanes(a)).toEqual([0, 1, 2, 3])
  })

  it("is refused under another certificate, by somebody else, and as a first offer", async () => {
    const { a, b } = await connect()
    const { description } = await a.restart()
    const read = decodeDescription(description).description
    const change = async (changes: Partial<SessionDescription>, signer = alice) => {
      return { description: await signDescription({ ...read, ...changes }, signer) }
    }
    await expect(b.answerRestart(await change({ dtlsFingerprint: new Uint8Array(32) }))).rejects.toMatchObject({
      code: "LaneFingerprint",
    })
    await expect(b.answerRestart(await change({ fromEntity: carol.entityId }, carol))).rejects.toMatchObject({
      details: { why: "from another node" },
    })
    await expect(b.answerRestart(await change({ iceRestart: false }))).rejects.toMatchObject({ details: { why: "another kind" } })
    await expect(b.answerRestart(await change({}, bob))).rejects.toMatchObject({ details: { why: "signature" } })
    const first = answerLink(
      { id: "c", signer: bob, peerNode: alice.nodeId, laneSink: sink, addresses: ANY_ADDRESS },
      { description },
    )
    await expect(first).rejects.toMatchObject({ details: { why: "another kind" } })
    // None of it used up the attempt.
    await a.acceptAnswer(await b.answerRestart({ description }))
    expect(b.session?.closed).toBe(false)
  })

  it("closes lanes that the peer left out, and takes the answer to the newest offer only", async () => {
    const { a, b } = await connect()
    const early = await a.restart()
    const late = await a.restart()
    const answer = await b.answerRestart(early)
    await expect(a.acceptAnswer(answer)).rejects.toMatchObject({ details: { why: "another attempt" } })
    const { description } = await b.answerRestart(late)
    await a.acceptAnswer({ description })
    expect(await openLanes(a)).toEqual([0])
  })

  it("does not begin before the link is ready, and a failed connection that nobody restarts ends the link", async () => {
    const { link } = await offerLink({ id: "a", signer: alice, peerNode: bob.nodeId, laneSink: sink, addresses: ANY_ADDRESS })
    links = [link]
    await expect(link.restart()).rejects.toMatchObject({ code: "SessionClosed" })
    const { a, ofAlice } = await connect()
    vi.useFakeTimers()
    try {
      const closed = new Promise((resolve) => void a.on("closed", resolve))
      break_(ofAlice.slice(0, 1), "failed")
      vi.advanceTimersByTime(15_000)
      expect(await closed).toMatchObject({ reason: "ice-failed" })
    } finally {
      vi.useRealTimers()
    }
  })
})
