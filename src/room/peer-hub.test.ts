import { afterEach, beforeAll, beforeEach, describe, expect, test, vi } from "vitest"
import { createIdentity, PinTable } from "../identity/index.ts"
import type { LinkDescription } from "../link/index.ts"
import { ANY_ADDRESS, installFakeWebRtc } from "../link/test-webrtc.ts"
import type { Introduction, RendezvousClient, RendezvousEvents } from "../rendezvous/index.ts"
import { toHex } from "../wire/bytes.ts"
import type { NodeId } from "../wire/types.ts"
import { PeerHub, type PeerHubOptions } from "./peer-hub.ts"

/** A busy machine takes its time. */
const soon = (check: () => unknown) => vi.waitFor(check, { timeout: 20_000 })

const [one, other, mallory] = await Promise.all([createIdentity(), createIdentity(), createIdentity()])
/** The offer of the smaller node id wins when two cross. */
const [small, large] = one.nodeId < other.nodeId ? [one, other] : [other, one]
beforeAll(installFakeWebRtc)

type Person = typeof small
type Handler = (value: never) => void

/** A server that carries introductions between the hubs of a test, unless `hold` keeps them. */
class Server {
  readonly #listeners = new Map<NodeId, Map<string, Handler[]>>()
  readonly connects: { from: NodeId; to: NodeId; introduction: Introduction }[] = []
  readonly rejects: { from: NodeId; attemptId: bigint; reason: string }[] = []
  hold = false

  client(self: NodeId): RendezvousClient {
    const mine = new Map<string, Handler[]>()
    this.#listeners.set(self, mine)
    const client: Partial<RendezvousClient> = {
      state: "registered",
      on: (event, handler) => {
        mine.set(event, [...(mine.get(event) ?? []), handler as Handler])
        return () => {}
      },
      connectTo: (to, introduction) => {
        this.connects.push({ from: self, to, introduction })
        if (!this.hold) this.tell(to, "introduce", { ...introduction, from: self, ttlMs: 10_000 })
        return true
      },
      answer: (to, introduction) => {
        if (!this.hold) this.tell(to, "answer", introduction)
        return true
      },
      sendCandidates: (to, description) => {
        this.tell(to, "candidates", { description })
        return true
      },
      reject: ({ attemptId, reason }) => this.rejects.push({ from: self, attemptId, reason }) > 0,
    }
    return client as RendezvousClient
  }

  tell<K extends keyof RendezvousEvents>(to: NodeId, event: K, value: RendezvousEvents[K]): void {
    queueMicrotask(() => {
      for (const handler of this.#listeners.get(to)?.get(event) ?? []) handler(value as never)
    })
  }
}

let server: Server
let hubs: PeerHub[]
beforeEach(() => {
  server = new Server()
  hubs = []
})
afterEach(() => {
  for (const hub of hubs) hub.close()
})

/** A hub and what it told. */
function hubOf(
  person: Person,
  skewMs = 0,
  evidence: Partial<PeerHubOptions["evidence"]> = {},
  more: Pick<Partial<PeerHubOptions>, "acceptPeer" | "attempts" | "requireAttestation"> = {},
) {
  const told: string[] = []
  const hub = new PeerHub({
    signer: person,
    pins: new PinTable(),
    laneSink: { add: () => {}, remove: () => {} },
    rendezvous: server.client(person.nodeId),
    evidence: { ...ANY_ADDRESS, vouches: async () => true, onRefused: () => {}, ...evidence },
    videoLanes: 1,
    forwardMedia: true,
    iceServers: () => [],
    ...more,
    wallClock: () => Date.now() + skewMs,
    accepts: () => true,
    isMember: () => true,
    routeTo: () => undefined,
    events: {
      sessionOpen: ({ peer }) => told.push(`open ${peer.nodeId}`),
      sessionClosed: (_, reason) => told.push(`closed ${reason}`),
      linkKey: () => {},
      linkClosed: () => {},
      linkIce: () => {},
      pathChanged: () => {},
      message: () => {},
      frame: () => {},
      heard: () => {},
      goaway: () => {},
      connectFailed: (node) => told.push(`failed ${node}`),
      routedFailed: () => {},
      dropped: ({ code, details }) => told.push(`dropped ${code} ${details.why ?? ""}`),
    },
  })
  hubs.push(hub)
  return { hub, told }
}

const opened = (told: string[]) => soon(() => expect(told.some((line) => line.startsWith("open"))).toBe(true))

describe("introductions", () => {
  test("make a link; calls that cross make one", async () => {
    const [a, b] = [hubOf(small), hubOf(large)]
    a.hub.connect(large.nodeId, "server")
    b.hub.connect(small.nodeId, "server")
    await Promise.all([opened(a.told), opened(b.told)])
    expect([a.hub.readyLinks.length, b.hub.readyLinks.length]).toEqual([1, 1])
  })

  test("are counted, and not made where they are not worth it", async () => {
    const heard: string[] = []
    let worth = false
    const counts = (who: string): NonNullable<PeerHubOptions["attempts"]> => ({
      isWorthIt: () => worth,
      answered: (_, node) => heard.push(`${who} answered ${node}`),
      succeeded: () => heard.push(`${who} up`),
      closed: (_, reason) => heard.push(`${who} ${reason}`),
    })
    const [a, b] = [hubOf(small, 0, {}, { attempts: counts("a") }), hubOf(large, 0, {}, { attempts: counts("b") })]
    a.hub.connect(large.nodeId, "server")
    await soon(() => expect(a.told).toEqual([`failed ${large.nodeId}`]))
    expect([server.connects, heard]).toEqual([[], []])
    worth = true
    a.hub.connect(large.nodeId, "server")
    await Promise.all([opened(a.told), opened(b.told)])
    expect(heard.sort()).toEqual([`a answered ${large.nodeId}`, "a up", `b answered ${small.nodeId}`, "b up"])
  })

  test("work between two clocks that are hours wrong and go by the server's", async () => {
    vi.spyOn(Date, "now").mockReturnValue(1_700_000_000_000)
    const [a, b] = [hubOf(small, 7_200_000), hubOf(large, 7_200_000)]
    a.hub.connect(large.nodeId, "server")
    await Promise.all([opened(a.told), opened(b.told)])
    vi.restoreAllMocks()
  })

  test("that are forged do not disturb the attempt that is under way", async () => {
    server.hold = true
    const [a, b] = [hubOf(small), hubOf(large)]
    b.hub.connect(small.nodeId, "server")
    await soon(() => expect(server.connects).toHaveLength(1))
    // A true offer of the one who would win, with a broken signature: it must not make us drop our own.
    a.hub.connect(large.nodeId, "server")
    await soon(() => expect(server.connects).toHaveLength(2))
    const { introduction } = server.connects[1]!
    const description = introduction.description.slice()
    description[description.length - 1]! ^= 1
    server.tell(large.nodeId, "introduce", { ...introduction, description, from: small.nodeId, ttlMs: 10_000 })
    await soon(() => expect(b.told).toEqual(["dropped DescriptionInvalid signature"]))
    // The true one comes later under the same attempt id and is still taken.
    server.hold = false
    server.tell(large.nodeId, "introduce", { ...introduction, from: small.nodeId, ttlMs: 10_000 })
    await Promise.all([opened(a.told), opened(b.told)])
  })

  test("a REJECT ends the attempt it names, if it comes from where the offer went", async () => {
    server.hold = true
    const { hub, told } = hubOf(small)
    hubOf(large)
    hub.connect(large.nodeId, "server")
    await soon(() => expect(server.connects).toHaveLength(1))
    const attemptId = new DataView(server.connects[0]!.introduction.description.slice().buffer).getBigUint64(48, true)
    const reject = (changes: Partial<RendezvousEvents["reject"]>) => {
      const reason = "target-busy" as const
      server.tell(small.nodeId, "reject", { target: large.nodeId, attemptId, reason, retryAfterMs: 0, ...changes })
    }
    reject({ attemptId: attemptId + 1n })
    reject({ target: mallory.nodeId })
    await new Promise((resolve) => setTimeout(resolve, 20))
    expect(told).toEqual([])
    reject({})
    await soon(() => expect(told).toEqual([`failed ${large.nodeId}`]))
  })
})

describe("addresses that are named", () => {
  test("are judged by what came beside the description, and by who brought it", async () => {
    const words: unknown[] = []
    const seen: Partial<PeerHubOptions["evidence"]> = {
      gateFor: async (word) => {
        words.push(word)
        return { admit: (list) => list }
      },
    }
    const [a, b] = [hubOf(small, 0, seen), hubOf(large, 0, seen)]
    server.hold = true
    a.hub.connect(large.nodeId, "server")
    await soon(() => expect(server.connects).toHaveLength(1))
    server.hold = false
    const attestation = Uint8Array.of(1, 2, 3)
    // Only the hub itself says that a member brought something.
    const told = { ...server.connects[0]!.introduction, attestation, byMember: true, from: small.nodeId, ttlMs: 10_000 }
    server.tell(large.nodeId, "introduce", told)
    await Promise.all([opened(a.told), opened(b.told)])
    expect(words).toEqual([
      { subject: small.entityId, attestation, byMember: false },
      { subject: large.entityId, byMember: false },
    ])
  })
})

test("NAT-R5: who requires attestations refuses others by name and answers those whom somebody trusted has seen", async () => {
  const words: unknown[] = []
  let seen = false
  const vouches = async (word: object) => {
    words.push(Object.keys(word).sort())
    return seen
  }
  const a = hubOf(small)
  const b = hubOf(large, 0, { vouches }, { requireAttestation: true })
  a.hub.connect(large.nodeId, "server")
  await soon(() => expect(server.rejects).toMatchObject([{ from: large.nodeId, reason: "unattested" }]))
  const { attemptId } = server.rejects[0]!
  server.tell(small.nodeId, "reject", { target: large.nodeId, attemptId, reason: "unattested", retryAfterMs: 0 })
  await soon(() => expect(a.told).toEqual([`failed ${large.nodeId}`]))
  seen = true
  a.hub.connect(large.nodeId, "server")
  await Promise.all([opened(a.told), opened(b.told)])
  expect(words).toEqual([
    ["byMember", "subject"],
    ["byMember", "subject"],
  ])
})

test("NAT-R5: the application says whom it answers, once identities are proven", async () => {
  const asked: unknown[] = []
  const answers = [() => false, () => Promise.reject(new Error("no list")), async () => true]
  const acceptPeer = (caller: object) => {
    asked.push(caller)
    return answers[asked.length - 1]?.() ?? false
  }
  const a = hubOf(small)
  const b = hubOf(large, 0, {}, { acceptPeer })
  for (const refused of [1, 2]) {
    a.hub.connect(large.nodeId, "server")
    await soon(() => expect(server.rejects).toHaveLength(refused))
    const { attemptId, reason } = server.rejects[refused - 1]!
    expect(reason).toBe("policy")
    server.tell(small.nodeId, "reject", { target: large.nodeId, attemptId, reason: "policy", retryAfterMs: 0 })
    await soon(() => expect(a.told).toHaveLength(refused))
  }
  a.hub.connect(large.nodeId, "server")
  await Promise.all([opened(a.told), opened(b.told)])
  const caller = { node: small.nodeId, entity: toHex(small.entityId), introducer: "server" }
  expect(asked).toEqual([caller, caller, caller])
  expect(b.told).toContain("dropped UsageError acceptPeer failed")
})

describe("a flood of introductions", () => {
  test("is refused before anything of it is looked at, once for each attempt", async () => {
    server.hold = true
    const { told } = hubOf(small)
    hubOf(large).hub.connect(small.nodeId, "server")
    await soon(() => expect(server.connects).toHaveLength(1))
    const { introduction } = server.connects[0]!
    const forged = (attempt: number) => {
      const description = introduction.description.slice()
      new DataView(description.buffer).setBigUint64(48, BigInt(attempt), true)
      server.tell(small.nodeId, "introduce", { ...introduction, description, from: large.nodeId, ttlMs: 10_000 })
    }
    for (let attempt = 1; attempt <= 40; attempt++) forged(attempt)
    forged(40)
    await soon(() => expect(told.filter((line) => line.startsWith("dropped"))).toHaveLength(41))
    expect(told.filter((line) => line.includes("signature"))).toHaveLength(32)
    expect(told.filter((line) => line.includes("LimitExceeded"))).toHaveLength(9)
    expect(server.rejects.map(({ attemptId }) => attemptId)).toEqual([33n, 34n, 35n, 36n, 37n, 38n, 39n, 40n])
  })
})

describe("restarts", () => {
  async function linked() {
    const [a, b] = [hubOf(small), hubOf(large)]
    a.hub.connect(large.nodeId, "server")
    await Promise.all([opened(a.told), opened(b.told)])
    await soon(() => expect([a.hub.readyLinks.length, b.hub.readyLinks.length]).toEqual([1, 1]))
    return { a, b }
  }
  const attemptOf = (hub: PeerHub) => hub.readyLinks[0]?.attemptId

  test("go through the server and keep the session, also when both ask at once", async () => {
    const { a, b } = await linked()
    const first = attemptOf(a.hub)
    const session = a.hub.directSession(large.nodeId)
    expect(a.hub.restart(a.hub.readyLinks[0]!)).toBe(true)
    await soon(() => {
      expect(attemptOf(a.hub)).not.toBe(first)
      expect(attemptOf(b.hub)).toBe(attemptOf(a.hub))
    })
    const second = attemptOf(a.hub)
    a.hub.restart(a.hub.readyLinks[0]!)
    b.hub.restart(b.hub.readyLinks[0]!)
    await soon(() => {
      expect(attemptOf(a.hub)).not.toBe(second)
      expect(attemptOf(b.hub)).toBe(attemptOf(a.hub))
    })
    expect(a.hub.directSession(large.nodeId)).toBe(session)
    expect([...a.told, ...b.told].filter((line) => !line.startsWith("open"))).toEqual([])
  })

  test("of a link that the peer has no more are refused", async () => {
    const { a, b } = await linked()
    server.hold = true
    a.hub.restart(a.hub.readyLinks[0]!)
    await soon(() => expect(server.connects).toHaveLength(2))
    const { introduction } = server.connects[1]!
    b.hub.readyLinks[0]!.abandon("local")
    server.tell(large.nodeId, "introduce", { ...(introduction as LinkDescription), from: small.nodeId, ttlMs: 10_000 })
    await soon(() => expect(server.rejects).toHaveLength(1))
    expect(b.told.at(-1)).toBe("closed local")
  })
})
