import { afterEach, beforeAll, describe, expect, it, vi } from "vitest"
import { createIdentity, PinTable } from "../identity/index.ts"
import type { IdentitySigner } from "../identity/signer.ts"
import { addressFromText, addressToText, type CandidateEntry } from "../wire/address.ts"
import { decodeDescription, type SessionDescription } from "../wire/description.ts"
import { encodeLaneControl, LINK_LANE_NAME } from "../wire/lane-control.ts"
import { signDescription } from "./descriptions.ts"
import { signLaneKey } from "./lane-key.ts"
import { type LaneChannel, openLaneChannel } from "./lane-port.ts"
import { answerLink, offerLink } from "./peer-link.ts"
import { ANY_ADDRESS, FakeConnection, installFakeWebRtc } from "./test-webrtc.ts"
import type {
  AddressJudge,
  CandidateGate,
  ClosedInfo,
  ControlSession,
  LaneSink,
  LinkDescription,
  PeerLink,
  PeerLinkOptions,
} from "./types.ts"

const [alice, bob, carol] = await Promise.all([createIdentity(), createIdentity(), createIdentity()])
beforeAll(installFakeWebRtc)

/** The worker's end: every lane that was added, and what arrived on it. */
class Worker implements LaneSink {
  readonly lanes = new Map<number, LaneChannel>()
  readonly removed: number[] = []
  readonly heard: [laneId: number, length: number][] = []
  add({ laneId, source }: Parameters<LaneSink["add"]>[0]): void {
    this.lanes.set(laneId, openLaneChannel(source, { onMessage: (bytes) => this.heard.push([laneId, bytes.length]) }))
  }
  remove({ laneId }: { laneId: number }): void {
    this.removed.push(laneId)
  }
}

const eventually = (check: () => unknown) => vi.waitFor(check, { timeout: 20_000 })

let links: PeerLink[] = []
afterEach(async () => {
  for (const link of links) link.close()
  links = []
  // No connection may survive its link.
  const open = () => FakeConnection.made.filter((connection) => connection.connectionState !== "closed").length
  await eventually(() => expect(open()).toBe(0))
  FakeConnection.made = []
})

const ready = (link: PeerLink) =>
  new Promise<{ session: ControlSession; sessionKey: Uint8Array }>((resolve, reject) => {
    link.on("ready", resolve)
    link.on("closed", (info) => reject(info.error ?? new Error(info.reason)))
  })
const ended = (link: PeerLink) => new Promise<ClosedInfo>((resolve) => void link.on("closed", resolve))

interface Setup {
  a?: Partial<PeerLinkOptions>
  b?: Partial<PeerLinkOptions>
  offer?: (offer: LinkDescription) => LinkDescription
  answer?: (answer: LinkDescription) => LinkDescription
  signers?: [IdentitySigner, IdentitySigner]
}

async function introduce(setup: Setup = {}) {
  const [signerA, signerB] = setup.signers ?? [alice, bob]
  const workers = [new Worker(), new Worker()] as const
  const offered = await offerLink({
    id: "a",
    signer: signerA,
    peerNode: signerB.nodeId,
    laneSink: workers[0],
    addresses: ANY_ADDRESS,
    ...setup.a,
  })
  links.push(offered.link)
  const offer = setup.offer?.(offered.offer) ?? offered.offer
  const answered = await answerLink(
    { id: "b", signer: signerB, peerNode: signerA.nodeId, laneSink: workers[1], addresses: ANY_ADDRESS, ...setup.b },
    offer,
  )
  links.push(answered.link)
  const answer = setup.answer?.(answered.answer) ?? answered.answer
  return { a: offered.link, b: answered.link, offer, answer, workers }
}

async function connect(setup: Setup = {}) {
  const made = await introduce(setup)
  const both = Promise.all([ready(made.a), ready(made.b)])
  await made.a.acceptAnswer(made.answer)
  const [readyA, readyB] = await both
  return { ...made, readyA, readyB }
}

const lanesOf = async (link: PeerLink) =>
  (await link.stats()).lanes.filter((lane) => lane.state === "open").map((lane) => lane.laneId)

describe("a direct link", () => {
  it("opens control, audio and video lanes with one exchange of descriptions", async () => {
    const { a, b, readyA, readyB, offer, answer } = await connect()
    expect(readyA.sessionKey).toEqual(readyB.sessionKey)
    expect(readyA.session.bind).toEqual(readyB.session.bind)
    expect([readyA.session.peer.keyId, readyB.session.peer.keyId]).toEqual([bob.keyId, alice.keyId])
    expect([a.session, b.session]).toEqual([readyA.session, readyB.session])
    expect(await lanesOf(a)).toEqual([0, 1, 2, 3])
    expect(await lanesOf(b)).toEqual([0, 1, 2, 3])
    expect((offer.key8?.length ?? 0) + (answer.key8?.length ?? 0)).toBeGreaterThan(200)
    expect(await a.stats()).toMatchObject({ path: "host", rttMs: 4, drops: {} })
  })

  it("does not wait for what a browser knows of a connection that is closed while it is asked", async () => {
    const { a } = await connect()
    const asked = vi.spyOn(FakeConnection.prototype, "getStats").mockReturnValue(new Promise(() => {}))
    const stats = a.stats()
    a.close()
    expect((await stats).path).toBeUndefined()
    expect(asked).toHaveBeenCalledTimes(1)
    asked.mockRestore()
  })

  it("opens as many video lanes as asked for", async () => {
    const { a, b } = await connect({ a: { videoLanes: 5 } })
    expect(await lanesOf(a)).toEqual([0, 1, 2, 3, 4, 5, 6])
    expect(await lanesOf(b)).toEqual([0, 1, 2, 3, 4, 5, 6])
  })

  it("carries media between the workers, through the page where channels cannot be transferred", async () => {
    const { workers } = await connect()
    await eventually(() => expect(workers[0].lanes.get(2)?.state).toBe("open"))
    const lane = workers[0].lanes.get(2)!
    expect(lane.path).toBe("forwarded")
    expect(lane.send(new Uint8Array(1_135))).toBe(true)
    expect(lane.bufferedAmount).toBe(1_135)
    await eventually(() => expect(workers[1].heard).toEqual([[2, 1_135]]))
    await eventually(() => expect(lane.bufferedAmount).toBe(0))
  })

  it("opens lanes in-band when key 8 was damaged or missing", async () => {
    const damaged = (offer: LinkDescription) => ({
      ...offer,
      key8: offer.key8!.map((byte, index) => (index === 9 ? byte ^ 1 : byte)),
    })
    for (const offer of [damaged, ({ description }: LinkDescription) => ({ description })]) {
      const { a, b } = await connect({ offer })
      expect(await lanesOf(a)).toEqual([0])
      a.allowLaneControl()
      b.allowLaneControl()
      await eventually(async () => expect((await lanesOf(b)).length).toBe(4))
      expect(await lanesOf(a)).toEqual(await lanesOf(b))
    }
  })

  it("adds and removes lanes while it is open, never with an id used before", async () => {
    const { a, b, workers } = await connect()
    for (const link of [a, b]) link.allowLaneControl()
    for (const link of [a, b]) link.addVideoLane()
    await eventually(async () => expect(await lanesOf(a)).toEqual([0, 1, 2, 3, 4]))
    b.closeLane(3)
    await eventually(async () => expect(await lanesOf(a)).toEqual([0, 1, 2, 4]))
    expect(workers[0].removed).toEqual([3])
    for (const link of [a, b]) link.addVideoLane()
    await eventually(async () => expect(await lanesOf(b)).toContain(5))
    expect(await lanesOf(b)).not.toContain(3)
    for (const link of [a, b]) link.replaceLane(4)
    await eventually(async () => expect(await lanesOf(b)).toEqual([0, 1, 2, 5, 6]))
    for (const link of [a, b]) link.replaceLane(4)
    expect(await lanesOf(a)).toEqual([0, 1, 2, 5, 6])
  })

  it("ends on both sides and releases everything", async () => {
    const { a, b, workers } = await connect()
    const ends = Promise.all([ended(a), ended(b)])
    a.close(6, "out")
    a.close()
    expect(await ends).toMatchObject([
      { reason: "local", code: 6 },
      { reason: "goaway", code: 6, text: "out" },
    ])
    for (const worker of workers) expect(worker.removed.toSorted()).toEqual([1, 2, 3])
  })

  it("ends when its control connection fails and nobody restarts it", async () => {
    const { a } = await connect()
    const end = ended(a)
    vi.useFakeTimers({ toFake: ["setTimeout", "clearTimeout"] })
    try {
      FakeConnection.made.find((connection) => connection.channels.some((channel) => channel.label === "ctl"))?.enter("failed")
      vi.advanceTimersByTime(14_900)
      expect(a.session?.closed).toBe(false)
      vi.advanceTimersByTime(400)
    } finally {
      vi.useRealTimers()
    }
    expect(await end).toMatchObject({ reason: "ice-failed", error: { code: "LinkFailed" } })
  })
})

describe("a link that must not come about", () => {
  it("NAT-R2: refuses forged, foreign and repeated answers without giving up the attempt", async () => {
    const { a, b, answer } = await introduce()
    const other = await introduce()
    const forged = { ...answer, description: answer.description.map((byte, index) => (index === 100 ? byte ^ 1 : byte)) }
    await expect(a.acceptAnswer(forged)).rejects.toMatchObject({ code: "DescriptionInvalid" })
    await expect(a.acceptAnswer(other.answer)).rejects.toMatchObject({ details: { why: "another attempt" } })
    const both = Promise.all([ready(a), ready(b)])
    await a.acceptAnswer(answer)
    await both
    await expect(a.acceptAnswer(answer)).rejects.toMatchObject({ details: { why: "answered already" } })
  })

  it("does not answer an offer from somebody else", async () => {
    const { link, offer } = await offerLink({
      id: "a",
      signer: carol,
      peerNode: bob.nodeId,
      laneSink: new Worker(),
      addresses: ANY_ADDRESS,
    })
    links.push(link)
    const options = { id: "b", signer: bob, peerNode: alice.nodeId, laneSink: new Worker(), addresses: ANY_ADDRESS }
    await expect(answerLink(options, offer)).rejects.toMatchObject({ details: { why: "from another node" } })
  })

  it("does not let a certificate in that was not described", async () => {
    // The description is honest, the connection behind it is another one: DTLS sees a different certificate.
    const { a, b, answer } = await introduce()
    const end = ended(b)
    for (const connection of FakeConnection.made) connection.remote?.fingerprint.fill(7)
    await a.acceptAnswer(answer)
    expect(await end).toMatchObject({ reason: "ice-failed" })
  })

  it("refuses a peer that contradicts a pin", async () => {
    const pins = new PinTable()
    pins.pin(bob.nodeId, carol.entityId)
    const { a, answer } = await introduce({ a: { pins } })
    await expect(a.acceptAnswer(answer)).rejects.toMatchObject({ details: { why: "contradicts a pin" } })
    expect(a.session).toBeUndefined()
  })

  it("refuses later candidates under another fingerprint or attempt (LL-3)", async () => {
    const { a, answer } = await connect()
    const { description } = decodeDescription(answer.description)
    const control = FakeConnection.made.find((connection) => connection.channels.some((channel) => channel.label === "ctl"))!
    const before = control.candidates.length
    const trickle = async (changes: Partial<SessionDescription>) => {
      const more = { ...description, answer: true, trickle: true, ...changes }
      return a.addCandidates({ description: await signDescription(more, bob) })
    }
    await expect(trickle({ dtlsFingerprint: new Uint8Array(32) })).rejects.toMatchObject({ code: "LaneFingerprint" })
    await expect(trickle({ attemptId: 5n })).rejects.toMatchObject({ details: { why: "another attempt" } })
    await expect(trickle({ ufrag: "other" })).rejects.toMatchObject({ details: { why: "other credentials" } })
    await expect(a.addCandidates(answer)).rejects.toMatchObject({ details: { why: "another kind" } })
    expect(control.candidates).toHaveLength(before)
    await trickle({})
    expect(control.candidates).toHaveLength(before + 1)
  })

  it("drops lane control it does not expect", async () => {
    const { a, b, readyA } = await connect()
    b.allowLaneControl()
    const send = (bytes: Uint8Array) => readyA.session.sendBinary(LINK_LANE_NAME, bytes)
    send(Uint8Array.of(9, 9))
    send(encodeLaneControl({ op: "close", laneId: 77 }))
    const block = { laneId: 2, ufrag: "abcd", pwd: "0123456789abcdefghijkl", candidates: [{ index: 0, port: 5_000 }] }
    send(encodeLaneControl({ op: "offer", block, addresses: [] }))
    send(encodeLaneControl({ op: "answer", block, addresses: [] }))
    await eventually(async () => expect((await b.stats()).drops).toEqual({ LaneBlockInvalid: 3 }))
    expect(await lanesOf(a)).toEqual([0, 1, 2, 3])
  })

  it("is given up when nobody answers, and when it is aborted", async () => {
    const options = { id: "a", signer: alice, peerNode: bob.nodeId, laneSink: new Worker(), addresses: ANY_ADDRESS }
    const { link } = await offerLink({ ...options, connectTimeoutMs: 1_000 })
    expect(await ended(link)).toMatchObject({ reason: "connect-timeout" })
    const stop = new AbortController()
    const offering = offerLink({ ...options, signal: stop.signal })
    stop.abort()
    await expect(offering).rejects.toMatchObject({ code: "Aborted" })
    await expect(offerLink({ ...options, signal: stop.signal })).rejects.toMatchObject({ code: "Aborted" })
  })
})

describe("addresses that a peer names", () => {
  const at = (host: string, port: number): CandidateEntry => ({
    address: addressFromText(host, port)!,
    type: "host",
    protocol: "udp",
    priority: 1,
  })
  const THIRD = "203.0.113.9"
  /** What the browser was told to try, of everything that was named. */
  const tried = () => FakeConnection.made.flatMap(({ candidates }) => candidates.map(({ candidate }) => candidate ?? ""))
  /** Lets the addresses of the peer through, and nobody else's; counts who was asked about. */
  function judge() {
    const asked: Parameters<AddressJudge["gateFor"]>[0][] = []
    const gate: CandidateGate = {
      admit: (list) => list.map((entry) => (addressToText(entry.address) === "10.0.0.1" ? entry : undefined)),
    }
    const addresses: AddressJudge = {
      gateFor: async (word) => {
        asked.push(word)
        return gate
      },
      ownGate: () => ({ admit: (list) => list }),
    }
    return { addresses, asked }
  }
  /** The description with a third party first in its list, signed by the one it is of. */
  async function naming(signer: IdentitySigner, { description }: LinkDescription, trickle = false): Promise<Uint8Array> {
    const { description: honest } = decodeDescription(description)
    const candidates = [at(THIRD, 5_000), ...(trickle ? [] : honest.candidates)]
    return signDescription({ ...honest, candidates, trickle, answer: trickle ? false : honest.answer }, signer)
  }

  it("are tried as far as the judge lets them through: in offers, answers, later candidates, and the blocks of lanes", async () => {
    const [atA, atB] = [judge(), judge()]
    const { link: a, offer } = await offerLink({
      id: "a",
      signer: alice,
      peerNode: bob.nodeId,
      laneSink: new Worker(),
      addresses: atA.addresses,
    })
    links.push(a)
    const hostileOffer = await naming(alice, offer)
    const blocks = [1, 2].map((laneId) => ({
      laneId,
      ufrag: "abcd",
      pwd: "0123456789abcdefghijkl",
      candidates: [{ index: 0, port: 5_000 + laneId }],
    }))
    const key8 = await signLaneKey(hostileOffer, blocks, alice)
    const { link: b, answer } = await answerLink(
      { id: "b", signer: bob, peerNode: alice.nodeId, laneSink: new Worker(), addresses: atB.addresses },
      { description: hostileOffer, key8: key8! },
    )
    links.push(b)
    const both = Promise.all([ready(a), ready(b)])
    await a.acceptAnswer({ description: await naming(bob, answer) })
    await both
    await b.addCandidates({ description: await naming(alice, offer, true) })
    // Lanes that were asked for with the third party's address wait for somebody to reach them.
    expect((await b.stats()).lanes.map(({ laneId, state }) => [laneId, state])).toEqual([
      [0, "open"],
      [1, "connecting"],
      [2, "connecting"],
    ])
    expect(tried().length).toBeGreaterThanOrEqual(2)
    expect(tried().filter((line) => !line.includes(" 10.0.0.1 "))).toEqual([])
    expect([atA.asked.map(({ subject }) => subject), atB.asked.map(({ subject }) => subject)]).toEqual([
      [bob.entityId],
      [alice.entityId],
    ])
  })

  it("are judged anew after a restart, and beside a lane that is added later", async () => {
    const [atA, atB] = [judge(), judge()]
    const { a, b, readyA } = await connect({ a: { addresses: atA.addresses }, b: { addresses: atB.addresses } })
    b.allowLaneControl()
    const restart = await a.restart()
    const attestation = Uint8Array.of(1, 2, 3)
    const answer = await b.answerRestart({ description: await naming(alice, restart), attestation, byMember: true })
    await a.acceptAnswer({ description: await naming(bob, answer) })
    expect(atB.asked.at(-1)).toEqual({ subject: alice.entityId, attestation, byMember: true })
    expect([atA.asked.length, atB.asked.length]).toEqual([2, 2])
    const block = { laneId: 9, ufrag: "abcd", pwd: "0123456789abcdefghijkl", candidates: [{ index: 0, port: 5_009 }] }
    const op = alice.keyId < bob.keyId ? "offer" : "answer"
    readyA.session.sendBinary(LINK_LANE_NAME, encodeLaneControl({ op, block, addresses: [at(THIRD, 5_009)] }))
    if (op === "offer")
      await eventually(async () => expect((await b.stats()).lanes.some(({ laneId }) => laneId === 9)).toBe(true))
    expect(tried().filter((line) => !line.includes(" 10.0.0.1 "))).toEqual([])
  })

  it("of a description that is not the peer's are not even asked about", async () => {
    const { addresses, asked } = judge()
    const { a, answer } = await introduce({ a: { addresses } })
    await expect(a.acceptAnswer({ description: await naming(carol, answer) })).rejects.toMatchObject({
      code: "DescriptionInvalid",
    })
    expect(asked).toEqual([])
    const before = tried().length
    await a.acceptAnswer(answer)
    expect(asked.length).toBe(1)
    expect(tried().length).toBeGreaterThan(before)
  })

  it("leave an end passive that may use none: it waits for the caller's checks, and not for long", async () => {
    const nobody: AddressJudge = {
      ...ANY_ADDRESS,
      gateFor: async () => ({ admit: (list) => list.map(() => undefined) }),
    }
    const called = await connect({ b: { addresses: nobody, passiveMs: 20_000 } })
    const { b: alone } = await introduce({ b: { addresses: nobody, passiveMs: 30 } })
    expect(await ended(alone)).toMatchObject({ reason: "connect-timeout", error: { details: { why: "not called" } } })
    expect(called.b.session?.closed).toBe(false)
    expect(await lanesOf(called.b)).toEqual([0, 1, 2, 3])
  })

  it("are told to the peer only as far as our own gate lets them", async () => {
    const none: AddressJudge = { ...ANY_ADDRESS, ownGate: () => ({ admit: (list) => list.map(() => undefined) }) }
    const { link, offer } = await offerLink({
      id: "a",
      signer: alice,
      peerNode: bob.nodeId,
      laneSink: new Worker(),
      addresses: none,
    })
    links.push(link)
    expect(decodeDescription(offer.description).description.candidates).toEqual([])
    expect(offer.key8).toBeUndefined()
  })
})
