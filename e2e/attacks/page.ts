/** A page of the attack test: an honest member, or one that says on the wire whatever it likes. */
import { createInvitation, joinRoom, type Room, type RoomStats } from "holomesh"
import {
  decodeAnnouncement,
  encodeAnnouncement,
  encodeAnnouncementBody,
  signAnnouncement,
} from "../../src/capability/announcement-codec.ts"
import { OPEN_POLICY, SelfState } from "../../src/capability/self-state.ts"
import { secureRandom } from "../../src/crypto/random.ts"
import { type IdentitySigner, signerFromSeeds } from "../../src/identity/signer.ts"
import { channelHash } from "../../src/token/channel-hash.ts"
import { issueToken } from "../../src/token/issue.ts"
import { encodeChannelData, encodeMembership } from "../../src/token/membership-frame.ts"
import { encodeToken, SCOPE } from "../../src/token/permission-token.ts"
import { decodeChain, encodeChain } from "../../src/token/token-chain.ts"
import { FRAME_ANNOUNCE, FRAME_CHANNEL_DATA, FRAME_MEMBERSHIP, FRAME_RENDEZVOUS, FRAME_RPC } from "../../src/wire/frame.ts"
import { encodeRendezvousMessage } from "../../src/wire/rendezvous-message.ts"
import { encodeRpc, RPC_FLAGS } from "../../src/wire/rpc-frame.ts"
import type { Bytes } from "../../src/wire/types.ts"
import { WireTap } from "./wire-tap.ts"

const tap = new WireTap()
const text = (value: string) => new TextEncoder().encode(value)
const words = (bytes: Uint8Array) => new TextDecoder().decode(bytes)
let room: Room | undefined
let nonce = 0n
let invoked = 0
let finish: ((bytes: Uint8Array) => void) | undefined
let aborted = false
const honest = { right: 0, wrong: [] as string[] }

function inRoom(): Room {
  if (room === undefined) throw new Error("not in a room")
  return room
}

function somebody(name: string) {
  const found = [...inRoom().participants.values()].find((participant) => participant.name === name)
  if (found === undefined) throw new Error(`${name} is not here`)
  return found
}

const stranger = (): Promise<IdentitySigner> => signerFromSeeds(secureRandom(32))

/** A new version of what a node said, without its lists, over the signature of the old one. */
function stripped(payload: Bytes): Bytes {
  const { announcement, signature } = decodeAnnouncement(payload)
  const body = encodeAnnouncementBody({ ...announcement, ...OPEN_POLICY })
  return encodeAnnouncement({ hopCount: 1, signature, body })
}

/** What a node says of itself, by its id. */
const saidBy = (node: string) => tap.announcements.filter((payload) => decodeAnnouncement(payload).announcement.nodeId === node)

const request = (service: string, flags = 0, callId = ++nonce) =>
  encodeRpc({ kind: "request", flags, seq: 0, callId, service, timeoutMs: 0, responseWindow: 0, headers: [], body: text("x") })

const abilities = {
  newRoom: async (): Promise<string> => (await createInvitation(location.href, "ring")).url,

  async join(url: string, name: string): Promise<string> {
    room = await joinRoom(url, { name, persistentIdentity: false, relay: { enabled: false } })
    return room.local.id
  },

  stats: async (): Promise<Pick<RoomStats, "control" | "stages">> => {
    const { control, stages } = await inRoom().stats()
    return { control, stages }
  },
  linked: async (): Promise<number> => (await inRoom().stats()).links.filter(({ kind }) => kind === "direct").length,

  // What honest members do.

  /** Services of the victim: one for everybody, the others for Bob only. */
  serve(): void {
    const { rpc } = inRoom()
    const allow = { allow: (caller: { name: string }) => caller.name === "bob" }
    rpc.serve("echo", (body) => body)
    rpc.serve("slow", (_, { signal }) => {
      signal.addEventListener("abort", () => {
        aborted = true
      })
      return new Promise<Uint8Array>((resolve) => {
        finish = resolve
      })
    })
    const count = <T>(value: T): T => {
      invoked++
      return value
    }
    rpc.serve("secret", () => count(text("secret")), allow)
    rpc.serveStream(
      "down",
      async function* () {
        yield count(text("secret"))
      },
      allow,
    )
    rpc.serveUpload("up", () => count(text("secret")), allow)
    rpc.serveDuplex("both", (items) => count(items), allow)
  },
  invoked: (): number => invoked,
  /** The call to `slow` gets its answer. */
  finish: (): boolean => {
    finish?.(text("true answer"))
    return aborted
  },

  /** Calls the victim twenty times a second from now on, and looks at each answer. */
  beHonest(victim: string): void {
    let number = 0
    const turn = async () => {
      const said = `honest ${++number}`
      try {
        const heard = words(await inRoom().rpc.call(somebody(victim), "echo", text(said), { timeoutMs: 5_000 }))
        if (heard === said) honest.right++
        else honest.wrong.push(`${said} -> ${heard}`)
      } catch (error) {
        honest.wrong.push(String(error))
      }
      setTimeout(turn, 50)
    }
    void turn()
  },
  honesty: (): typeof honest => ({ ...honest }),

  async call(who: string, service: string): Promise<string> {
    try {
      return words(await inRoom().rpc.call(somebody(who), service, text("x")))
    } catch (error) {
      return (error as { failure?: { kind: string } }).failure?.kind ?? String(error)
    }
  },
  callIds: (service: string): string[] =>
    tap.requests.flatMap((frame) => (frame.kind === "request" && frame.service === service ? [String(frame.callId)] : [])),
  wrongPeers: (service: string): number => inRoom().rpc.metrics.get(service)?.counters.rpc_response_wrong_peer_total ?? 0,

  announce(tags: string[], only?: boolean): void {
    const { capabilities, local } = inRoom()
    capabilities.announce({ tags, policy: only === true ? { participants: [local] } : {} })
  },
  tagsOf: (name: string): readonly string[] => inRoom().capabilities.of(somebody(name))?.tags ?? [],
  mayCall: (name: string, service: string): boolean => inRoom().capabilities.mayCall(somebody(name), service),
  entity: (): number[] => [...inRoom().capabilities.entity],

  async openChannel(name: string): Promise<void> {
    await inRoom()
      .channel(name, { roots: [inRoom().local] })
      .open()
  },
  issue: async (to: number[], channel: string, rights: ("subscribe" | "publish")[], delegations = 0): Promise<number[]> => [
    ...(await inRoom().tokens.issue({ to: new Uint8Array(to), channel, rights, ttlSeconds: 600, delegations })),
  ],
  revokeAll: (): Promise<number> => inRoom().tokens.revokeAll(),
  publish: (channel: string, message: string): Promise<void> => inRoom().channel(channel).publish(text(message)),
  listen(channel: string, root: number[], token: number[]): void {
    inRoom().tokens.add(new Uint8Array(token))
    const reader = inRoom()
      .channel(channel, { roots: [new Uint8Array(root)] })
      .subscribe()
    void (async () => {
      for await (const { data } of reader) heard.push(words(data))
    })()
  },
  heard: (): string[] => [...heard],

  // What the attacker does.

  keepBack(): void {
    tap.forwards = false
  },

  /** How many announcements of a node have been heard: the last is the newest. */
  remembered: (node: string): number => saidBy(node).length,
  node: (): string => inRoom().capabilities.node,

  /** The ways to say something in the victim's name that no signature of it covers. */
  async forge(victim: string): Promise<number> {
    const payloads: Bytes[] = []
    const [first, last] = [saidBy(victim)[0], saidBy(victim).at(-1)]
    if (first === undefined || last === undefined || first === last) throw new Error("too little was heard of the victim")
    const [mine, other] = [await stranger(), decodeAnnouncement(last).announcement]
    const say = async (about: { nodeId: string; entityId: Bytes }, hopCount: number) => {
      const now = Date.now()
      const state = new SelfState({ ...mine, ...about }, { generation: 0, lastVersion: 0n })
      state.set({ tags: ["evil"] })
      payloads.push(encodeAnnouncement({ ...(await signAnnouncement(state.build(now, now, 300), mine)), hopCount }))
    }
    // The victim's id over another key, and the victim's key under another signature.
    await say({ nodeId: other.nodeId, entityId: mine.entityId }, 0)
    await say({ nodeId: other.nodeId, entityId: other.entityId }, 1)
    // Its newest words as if it stood behind us, its older and more open ones, and the newest without their lists.
    const [direct, old] = [last.slice(), first.slice()]
    direct[1] = 0
    old[1] = 1
    payloads.push(direct, old, stripped(last))
    for (const payload of payloads) tap.shout(FRAME_ANNOUNCE, payload)
    return payloads.length
  },

  /** Announcements whose signatures are wrong, each in another place. */
  async flood(count: number): Promise<void> {
    const mine = await stranger()
    const state = new SelfState(mine, { generation: 0, lastVersion: 0n })
    const payload = encodeAnnouncement(await signAnnouncement(state.build(Date.now(), Date.now(), 300), mine))
    payload[1] = 1
    for (let i = 0; i < count; i++) {
      const copy = payload.slice()
      copy[10] = i & 0xff
      copy[11] = i >> 8
      tap.shout(FRAME_ANNOUNCE, copy)
    }
  },

  /** Requests in all shapes, past the gate of this page. */
  requestAll(repeats: number): void {
    const { streamingResponse, clientStreaming, requestEnd } = RPC_FLAGS
    for (let i = 0; i < repeats; i++) {
      tap.shout(FRAME_RPC, request("secret"))
      tap.shout(FRAME_RPC, request("down", streamingResponse))
      tap.shout(FRAME_RPC, request("up", clientStreaming | requestEnd))
      tap.shout(FRAME_RPC, request("both", streamingResponse | clientStreaming))
    }
  },
  statuses: (): number[] => tap.answers.flatMap((frame) => (frame.kind === "response" ? [frame.status] : [])),
  forgetAnswers(): void {
    tap.answers.length = 0
  },

  /** Answers, ends and feeds a call of somebody else's. */
  meddle(callId: string): void {
    const id = BigInt(callId)
    tap.shout(
      FRAME_RPC,
      encodeRpc({ kind: "response", flags: 0, seq: 0, callId: id, status: 0, headers: [], body: text("forged") }),
    )
    tap.shout(FRAME_RPC, encodeRpc({ kind: "cancel", flags: 0, seq: 0, callId: id }))
    tap.shout(FRAME_RPC, encodeRpc({ kind: "chunk", flags: 0, seq: 1, callId: id, body: text("x") }))
  },

  /** A token of the root for a key in this page's hand, passed on to this page with more rights than it has. */
  async widen(issued: number[], seed: number[]): Promise<number[]> {
    const holder = await signerFromSeeds(new Uint8Array(seed))
    const [root] = decodeChain(new Uint8Array(issued))
    if (root === undefined) throw new Error("no token")
    const now = BigInt(Math.floor(Date.now() / 1_000))
    const child = await issueToken(holder, {
      subject: inRoom().capabilities.entity as Bytes,
      scope: SCOPE.PUBLISH | SCOPE.SUBSCRIBE,
      channelHash: channelHash("captions"),
      ttlSeconds: 300,
      generation: 0,
      now,
    })
    return [...encodeChain([encodeToken(root), child])]
  },
  entityOf: async (seed: number[]): Promise<number[]> => [...(await signerFromSeeds(new Uint8Array(seed))).entityId],

  /** Shows a chain and waits for what the neighbours say to it. */
  async show(kind: "SUBSCRIBE" | "PUBLISH_OPEN", name: string, chain: number[]): Promise<string[]> {
    tap.acks.length = 0
    const facts = { nonce: ++nonce, name, chain: new Uint8Array(chain) }
    const frame = kind === "SUBSCRIBE" ? { kind, ...facts, group: "" } : { kind, ...facts, handle: 7 }
    const asked = tap.shout(FRAME_MEMBERSHIP, encodeMembership(frame))
    for (let i = 0; i < 100 && tap.acks.length < asked; i++) await new Promise((resolve) => setTimeout(resolve, 50))
    return tap.acks.map((ack) => (ack.kind === "ACK" ? ack.reason : ack.kind))
  },
  speakUnasked(): void {
    tap.shout(FRAME_CHANNEL_DATA, encodeChannelData({ handle: 99, seq: 0, data: text("lies") }))
  },

  /** Introduces nobodies; the bytes are their signed descriptions. */
  introduce(from: string, descriptions: number[][]): void {
    for (const description of descriptions) {
      const facts = { kind: "introduce", fromNode: from, ttlMs: 10_000, description: new Uint8Array(description) } as const
      tap.shout(FRAME_RENDEZVOUS, encodeRendezvousMessage(facts))
    }
  },
  introductions: (): string[] => tap.introductions.map((message) => (message.kind === "reject" ? message.reason : message.kind)),

  /** Messages in parts that never become whole, parts that cannot be, a frame that is too long, a body that is announced only. */
  oversize(unfinished: number): void {
    const part = (id: number, count: number) => {
      const bytes = new Uint8Array(4 + 8 + 16_372)
      bytes.set([1, FRAME_ANNOUNCE, 1, 0])
      const view = new DataView(bytes.buffer)
      view.setUint32(4, id, true)
      view.setUint16(10, count, true)
      return bytes
    }
    for (let i = 0; i < unfinished; i++) tap.shoutBytes(part(0xf000 + i, 512))
    tap.shoutBytes(part(1, 513))
    tap.shoutBytes(new Uint8Array(20_000).fill(1))
    const lie = request("echo")
    new DataView(lie.buffer).setUint32(lie.length - 5, 0xffff_ffff, true)
    tap.shout(FRAME_RPC, lie)
  },
}
const heard: string[] = []

type AttackPage = typeof abilities

declare global {
  var attackPage: AttackPage
}
globalThis.attackPage = abilities
