/** NAT-R0: whatever becomes of the attempts to link two pages directly, what they say over the routed way arrives. */
import { afterEach, beforeAll, describe, expect, test, vi } from "vitest"
import { createIdentity, type IdentitySigner, PinTable } from "../identity/index.ts"
import { peekDescription, routedAddress } from "../link/index.ts"
import { ANY_ADDRESS, installFakeWebRtc } from "../link/test-webrtc.ts"
import type { Introduction, RendezvousClient, RendezvousEvents } from "../rendezvous/index.ts"
import { FRAME_ROUTED, FRAME_ROUTED_HELLO, FRAME_RPC } from "../wire/frame.ts"
import type { Bytes, NodeId } from "../wire/types.ts"
import { PeerHub } from "./peer-hub.ts"

type Handler = (value: never) => void
/** What becomes of a call for a direct link. */
type Fate = (from: NodeId, to: NodeId, introduction: Introduction) => boolean

const [one, other] = await Promise.all([createIdentity(), createIdentity()])
const hubs: PeerHub[] = []
const listeners = new Map<NodeId, Map<string, Handler[]>>()
let fate: Fate = () => false

beforeAll(installFakeWebRtc)
afterEach(() => {
  for (const hub of hubs.splice(0)) hub.close()
  listeners.clear()
})

function tell<K extends keyof RendezvousEvents>(to: NodeId, event: K, value: RendezvousEvents[K]): void {
  queueMicrotask(() => {
    for (const handler of listeners.get(to)?.get(event) ?? []) handler(value as never)
  })
}

function client(self: NodeId): RendezvousClient {
  const mine = new Map<string, Handler[]>()
  listeners.set(self, mine)
  const pass = (type: number, event: "routed" | "routedHello") => (payload: Bytes) => {
    tell(routedAddress(type, payload).dst, event, { payload: payload.slice() } as RendezvousEvents[typeof event])
    return true
  }
  return {
    state: "registered",
    on: (event: string, handler: Handler) => {
      mine.set(event, [...(mine.get(event) ?? []), handler])
      return () => {}
    },
    connectTo: (to: NodeId, introduction: Introduction) => fate(self, to, introduction),
    answer: () => true,
    sendCandidates: () => true,
    reject: () => true,
    sendRouted: pass(FRAME_ROUTED, "routed"),
    sendRoutedHello: pass(FRAME_ROUTED_HELLO, "routedHello"),
  } as unknown as RendezvousClient
}

function hubOf(signer: IdentitySigner) {
  const heard: number[] = []
  const failed: NodeId[] = []
  const hub = new PeerHub({
    signer,
    pins: new PinTable(),
    laneSink: { add: () => {}, remove: () => {} },
    rendezvous: client(signer.nodeId),
    evidence: { ...ANY_ADDRESS, vouches: async () => true, onRefused: () => {} },
    videoLanes: 1,
    forwardMedia: true,
    iceServers: () => [],
    wallClock: () => Date.now(),
    accepts: () => true,
    isMember: () => true,
    routeTo: () => undefined,
    events: {
      sessionOpen: () => {},
      sessionClosed: () => {},
      linkKey: () => {},
      linkClosed: () => {},
      linkIce: () => {},
      pathChanged: () => {},
      message: () => {},
      frame: (_, type, payload) => type === FRAME_RPC && heard.push(payload[0] as number),
      heard: () => {},
      goaway: () => {},
      connectFailed: (node) => failed.push(node),
      routedFailed: () => {},
      dropped: () => {},
    },
  })
  hubs.push(hub)
  return { hub, heard, failed }
}

const attemptOf = ({ description }: Introduction) => peekDescription(description)?.attemptId ?? 0n
const fates: Record<string, Fate> = {
  "nobody answers": () => true,
  "the server cannot be told": () => false,
  "it is refused": (from, to, introduction) => {
    tell(from, "reject", { target: to, attemptId: attemptOf(introduction), reason: "policy", retryAfterMs: 0 })
    return true
  },
  "the target is not there": (from, to, introduction) => {
    tell(from, "reject", { target: to, attemptId: attemptOf(introduction), reason: "no-session-with-target", retryAfterMs: 0 })
    return true
  },
  "somebody answers with garbage": (from, _, introduction) => {
    tell(from, "answer", { ...introduction, description: introduction.description.slice(0, 80) })
    tell(from, "answer", introduction)
    return true
  },
  "the offer arrives damaged": (from, to, introduction) => {
    const description = introduction.description.map((byte, i) => (i === 70 ? byte ^ 1 : byte))
    tell(to, "introduce", { ...introduction, description, from, ttlMs: 10_000 })
    return true
  },
}

describe("NAT-R0: direct links are an extra", () => {
  test.each(Object.entries(fates))("%s", async (_, what) => {
    fate = what
    const [a, b] = [hubOf(one), hubOf(other)]
    a.hub.openRouted(other.nodeId, "server")
    const session = (hub: PeerHub) => hub.sessions.find(({ kind }) => kind === "routed")
    await vi.waitFor(() => expect([session(a.hub)?.kind, session(b.hub)?.kind]).toEqual(["routed", "routed"]), 20_000)
    const numbers = Array.from({ length: 40 }, (__, i) => i)
    for (const number of numbers) {
      if (number % 10 === 0) a.hub.connect(other.nodeId, "server")
      session(a.hub)?.sendFrame(FRAME_RPC, Uint8Array.of(number))
      session(b.hub)?.sendFrame(FRAME_RPC, Uint8Array.of(number))
      if (number % 4 === 0) await new Promise((resolve) => setTimeout(resolve))
    }
    await vi.waitFor(() => expect([a.heard, b.heard]).toEqual([numbers, numbers]), 20_000)
    expect([a.hub.directSession(other.nodeId), b.hub.directSession(one.nodeId)]).toEqual([undefined, undefined])
  })
})
