import { beforeEach, describe, expect, test } from "vitest"
import type { ControlSession, DescriptionHead, LinkDescription, PeerLink } from "../link/index.ts"
import { AvError } from "../wire/errors.ts"
import { LinkRepair } from "./link-repair.ts"
import type { Signal } from "./signalling.ts"

const SELF = "00000000000000aa"
const SMALLER = "0000000000000011"
const LARGER = "00000000000000ff"
const PRINT = new Uint8Array(32).fill(7)
const settled = () => new Promise((resolve) => setTimeout(resolve))

/** A link whose exchanges only say that they were asked for. */
class FakeLink {
  readonly did: string[] = []
  attemptId = 1n
  readonly remoteFingerprint = PRINT
  session: ControlSession | undefined = {} as ControlSession
  refuses: AvError | undefined

  constructor(
    readonly id: string,
    readonly peerNode: string,
  ) {}

  async restart(): Promise<LinkDescription> {
    if (this.refuses !== undefined) throw this.refuses
    this.attemptId++
    this.did.push("restart")
    return { description: Uint8Array.of(1) }
  }
  async answerRestart(): Promise<LinkDescription> {
    if (this.refuses !== undefined) throw this.refuses
    this.did.push("answer")
    return { description: Uint8Array.of(2) }
  }
  async acceptAnswer(): Promise<void> {
    this.did.push("accept")
  }
  abandon(reason: string): void {
    this.did.push(`abandon ${reason}`)
  }
}

let said: string[]
let ways: Signal[]
let links: FakeLink[]
let now: number
let dropped: string[]
let repair: LinkRepair

const signal = (way: string): Signal => ({
  way,
  connect: (target) => said.push(`${way} connect ${target}`) > 0,
  answer: (to) => said.push(`${way} answer ${to}`) > 0,
  candidates: () => true,
  reject: (_, attemptId, reason) => said.push(`${way} reject ${attemptId} ${reason}`) > 0,
  routed: () => true,
})
const head = (fromNode: string, attemptId: bigint, dtlsFingerprint = PRINT): DescriptionHead => {
  return { fromEntity: new Uint8Array(32), fromNode, toNode: SELF, attemptId, trickle: false, iceRestart: true, dtlsFingerprint }
}
const offer = { description: new Uint8Array(1) }
const start = (link: FakeLink) => repair.restart(link as unknown as PeerLink)

beforeEach(() => {
  said = []
  dropped = []
  ways = [signal("server")]
  links = [new FakeLink("a", LARGER), new FakeLink("b", SMALLER)]
  now = 0
  repair = new LinkRepair({
    self: SELF,
    links: () => links as unknown as PeerLink[],
    ways: () => ways,
    dropped: (error) => dropped.push(error.code),
    now: () => now,
  })
})

describe("restarts of ready links", () => {
  test("take the ways that are open in turn, and wait when there is none", async () => {
    ways = [signal("server"), signal("friend")]
    for (let round = 0; round < 2; round++) start(links[0]!)
    await settled()
    // The newer offer replaced the older one, which was not sent any more.
    expect(said).toEqual([`friend connect ${LARGER}`])
    ways = []
    expect(start(links[0]!)).toBe(false)
  })

  test("an answer to the newest offer is accepted, any other is not ours", async () => {
    start(links[0]!)
    await settled()
    expect(repair.answered(head(LARGER, 9n), offer)).toBe(false)
    expect(repair.answered(head(SMALLER, 2n), offer)).toBe(false)
    expect(repair.answered(head(LARGER, 2n), offer)).toBe(true)
    await settled()
    expect(links[0]!.did).toEqual(["restart", "accept"])
    expect(repair.answered(head(LARGER, 2n), offer)).toBe(false)
  })

  test("when both ask, the smaller node id goes on and the other answers; an offer that got lost does not stand for ever", async () => {
    for (const link of links) start(link)
    await settled()
    repair.introduced(head(LARGER, 5n), offer, ways[0]!)
    repair.introduced(head(SMALLER, 6n), offer, ways[0]!)
    await settled()
    expect(links[0]!.did).toEqual(["restart"])
    expect(links[1]!.did).toEqual(["restart", "answer"])
    now = 3_000
    repair.introduced(head(LARGER, 7n), offer, ways[0]!)
    await settled()
    expect(links[0]!.did).toEqual(["restart", "answer"])
  })

  test("of a link that is not here are refused, so that the peer makes a new one", async () => {
    repair.introduced(head(LARGER, 5n, new Uint8Array(32)), offer, ways[0]!)
    links[0]!.session = undefined
    repair.introduced(head(LARGER, 6n), offer, ways[0]!)
    expect(said).toEqual(["server reject 5 unspecified", "server reject 6 unspecified"])
  })

  test("that the link refuses are counted and not answered", async () => {
    links[0]!.refuses = new AvError("DescriptionInvalid", { why: "stale" })
    repair.introduced(head(LARGER, 5n), offer, ways[0]!)
    await settled()
    expect([said, dropped]).toEqual([[], ["DescriptionInvalid"]])
  })

  test("a refusal ends the link only when it names our attempt, came the same way, and is the peer's own", async () => {
    start(links[0]!)
    await settled()
    expect(repair.rejected(LARGER, 9n, "server", "unspecified")).toBe(false)
    expect(repair.rejected(LARGER, 2n, "friend", "unspecified")).toBe(false)
    expect(repair.rejected(SMALLER, 2n, "server", "unspecified")).toBe(false)
    expect(repair.rejected(LARGER, 2n, "server", "no-session-with-target")).toBe(true)
    expect(links[0]!.did).toEqual(["restart"])
    start(links[0]!)
    await settled()
    expect(repair.rejected(LARGER, 3n, "server", "unspecified")).toBe(true)
    expect(links[0]!.did).toEqual(["restart", "restart", "abandon silence"])
  })

  test("that one end cannot make lead to a new link: we give up ours, or tell the peer to", async () => {
    links[0]!.refuses = links[1]!.refuses = new AvError("RestartUnsupported")
    expect(start(links[0]!)).toBe(true)
    repair.introduced(head(SMALLER, 9n), offer, ways[0]!)
    await settled()
    expect(links.map(({ did }) => did)).toEqual([["abandon silence"], []])
    expect([said, dropped]).toEqual([["server reject 9 unspecified"], []])
  })
})
