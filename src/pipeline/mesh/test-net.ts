/** A fake network for tests: mesh cores joined by lossy, reordering lanes under a virtual clock and a seeded random source. */

import { LANE_LOW_MARK, type LaneChannel, type LaneHandlers, type LaneState } from "../../link/lane-port.ts"
import type { EncodedFrame, MeshToPublish, MeshToReceive } from "../../media/types.ts"
import { CODEC_AV1_SVC, CODEC_OPUS, UNCAPPED } from "../../wire/layers.ts"
import { seeded } from "../../wire/seeded.ts"
import type { Bytes, ReceiverLayerPolicy, SealProfile } from "../../wire/types.ts"
import { RelayCore } from "../relay/core.ts"
import { MeshCore } from "./core.ts"
import { streamKeyOf } from "./stream-key.ts"
import type { MeshEvent, MeshOptions, MeshRelayOptions, MeshStream } from "./types.ts"

interface LinkQuality {
  /** Share of lost messages, 0..1. */
  loss?: number
  /** Mean run of losses over all lanes of one direction, in the order of sending; default independent losses. */
  burst?: number
  /** One way, ms. */
  delayMs?: number
  /** Added at random, so that messages overtake each other; ms. */
  jitterMs?: number
  /** Share of messages that arrive twice. */
  duplicates?: number
  /** Bytes per ms a lane sends; default unlimited. */
  rate?: number
  videoLanes?: number
  /** All lanes of one direction share a narrow place: bytes per ms, and the bytes that wait in front of it at most. */
  bottleneck?: { rate: number; buffer: number }
}

/** What lies under a message on the path, bytes (link-lanes LL-8). */
const UNDER_MESSAGE = 78

/** One first-in first-out queue that drops what does not fit. */
class NarrowPlace {
  rate: number
  /** When the last accepted message has left; ms. */
  #freeAt = 0
  readonly #buffer: number

  constructor({ rate, buffer }: { rate: number; buffer: number }) {
    this.rate = rate
    this.#buffer = buffer
  }

  /** Time until the message is through, ms; `undefined`: dropped. */
  take(bytes: number, now: number): number | undefined {
    const waiting = Math.max(0, this.#freeAt - now)
    if (waiting * this.rate + bytes > this.#buffer) return undefined
    this.#freeAt = now + waiting + bytes / this.rate
    return this.#freeAt - now
  }
}

/** Sees every message; returns what arrives instead (nothing, one or several). */
type Tap = (bytes: Bytes, lane: { from: string; to: string; laneId: number }) => Bytes[]

export class TestNet {
  now = 1_000
  tap: Tap = (bytes) => [bytes]
  /** First rate of the links of new nodes, bit/s: far above what most tests send. */
  startRate: number | undefined = 20_000_000
  readonly nodes = new Map<string, TestNode>()
  readonly relays = new Map<string, TestRelay>()
  readonly #random: () => number
  readonly #events: { at: number; order: number; run: () => void }[] = []
  readonly #lanes: FakeLane[] = []
  readonly #narrow = new Map<string, NarrowPlace>()
  readonly #bursts = new Set<string>()
  #order = 0

  constructor(seed = 1) {
    this.#random = seeded(seed)
  }

  random(): number {
    return this.#random()
  }

  bytes(length: number): Bytes {
    return Uint8Array.from({ length }, () => Math.floor(this.#random() * 256))
  }

  node(name: string, relay?: MeshRelayOptions): TestNode {
    const node = new TestNode(this, name, relay)
    this.nodes.set(name, node)
    return node
  }

  /** A relay that is no member: it has no place for a content key. */
  relay(name: string, limits: Partial<MeshRelayOptions> = {}): TestRelay {
    const relay = new TestRelay(this, name, { enabled: true, ...limits })
    this.relays.set(name, relay)
    return relay
  }

  /** Lanes 1..n with open channels and the same session key (returned) at both ends. The link id is the other's name. */
  connect(a: Linkable, b: Linkable, quality: LinkQuality = {}): Bytes {
    const narrow = quality.bottleneck
    const [narrowThere, narrowBack] = narrow === undefined ? [] : [new NarrowPlace(narrow), new NarrowPlace(narrow)]
    if (narrowThere !== undefined) this.#narrow.set(`${a.name} ${b.name}`, narrowThere)
    if (narrowBack !== undefined) this.#narrow.set(`${b.name} ${a.name}`, narrowBack)
    for (let laneId = 1; laneId <= 1 + (quality.videoLanes ?? 2); laneId++) {
      const role = laneId === 1 ? "audio" : "video"
      const [there, back] = [
        new FakeLane(this, { from: a.name, to: b.name, laneId }, quality),
        new FakeLane(this, { from: b.name, to: a.name, laneId }, quality),
      ]
      there.peer = back
      back.peer = there
      this.#lanes.push(there, back)
      a.core.addLane(b.name, laneId, role, (handlers) => there.opened(handlers))
      b.core.addLane(a.name, laneId, role, (handlers) => back.opened(handlers))
    }
    const sessionKey = this.bytes(32)
    a.core.setLinkKey(b.name, b.name, sessionKey.slice())
    b.core.setLinkKey(a.name, a.name, sessionKey.slice())
    return sessionKey
  }

  narrow(from: string, to: string): NarrowPlace | undefined {
    return this.#narrow.get(`${from} ${to}`)
  }

  /** Whether the next message of this direction is lost. */
  loses({ from, to }: { from: string; to: string }, loss: number, burst = 1): boolean {
    if (loss === 0 || burst === 1) return this.random() < loss
    const key = `${from} ${to}`
    const stay = 1 - 1 / burst
    const enter = (loss * (1 - stay)) / (1 - loss)
    const lost = this.random() < (this.#bursts.has(key) ? stay : enter)
    if (lost) this.#bursts.add(key)
    else this.#bursts.delete(key)
    return lost
  }

  lane(from: string, to: string, laneId: number): FakeLane {
    return this.#lanes.find((l) => l.route.from === from && l.route.to === to && l.route.laneId === laneId)!
  }

  at(delay: number, run: () => void): void {
    this.#events.push({ at: this.now + delay, order: this.#order++, run })
  }

  /** Lets virtual time pass, a millisecond at a time, and real cryptography finish in between. */
  async advance(ms: number): Promise<void> {
    for (let step = 0; step < ms; step++) {
      this.now += 1
      const due = this.#events.filter((event) => event.at <= this.now).sort((x, y) => x.at - y.at || x.order - y.order)
      for (const event of due) this.#events.splice(this.#events.indexOf(event), 1)
      for (const event of due) event.run()
      for (const lane of this.#lanes) lane.drain()
      if (this.now % 5 === 0) for (const node of [...this.nodes.values(), ...this.relays.values()]) node.core.tick()
      await settle()
    }
  }

  /** `publisher`, or a relay, sends; `receiver` subscribes; both ends agree on the nonce. */
  async subscribe(
    publisher: Linkable,
    receiver: Linkable,
    stream: MeshStream,
    policy: ReceiverLayerPolicy = UNCAPPED,
    more: { symbolRange?: [number, number]; deliver?: boolean } = {},
  ): Promise<Bytes> {
    const subNonce = this.bytes(16)
    const { deliver = true, ...range } = more
    const asked = await receiver.core.subscribeStream({ ...stream, from: publisher.name, subNonce, deliver })
    const given = await publisher.core.addSubscriber({
      streamId: stream.streamId,
      peer: receiver.name,
      subNonce,
      policy,
      ...range,
    })
    if (!asked.ok || !given.ok) throw new Error(`subscription refused: ${JSON.stringify([asked, given])}`)
    return subNonce
  }

  /** The same secret for everyone named. */
  epoch(epoch: bigint, nodes: Iterable<TestNode> = this.nodes.values(), sealNow = true): Bytes {
    const rootSecret = this.bytes(32)
    for (const node of nodes) {
      node.core.keys({ type: "epoch", epoch, rootSecret: rootSecret.slice(), members: this.nodes.size, sealNow })
    }
    return rootSecret
  }

  video(fountain = true, sealProfile: SealProfile = 1): MeshStream {
    return { streamId: this.bytes(32), sealProfile, kind: "video", codecId: CODEC_AV1_SVC, fountain }
  }

  audio(sealProfile: SealProfile = 1): MeshStream {
    return { streamId: this.bytes(32), sealProfile, kind: "audio", codecId: CODEC_OPUS, fountain: false }
  }
}

type ReceivedFrame = Extract<MeshToReceive, { type: "frame" }>

/** Whatever can be at an end of a link. */
interface Linkable {
  readonly name: string
  readonly core: Pick<MeshCore, "addLane" | "setLinkKey" | "subscribeStream" | "addSubscriber" | "tick">
}

export class TestRelay {
  readonly core: RelayCore
  readonly events: MeshEvent[] = []

  constructor(
    readonly net: TestNet,
    readonly name: string,
    relay: MeshRelayOptions,
  ) {
    this.core = new RelayCore(testOptions(net, name, relay), {
      now: () => net.now,
      emit: (event) => void this.events.push(event),
    })
  }
}

function testOptions(net: TestNet, ownKeyId: string, relay: MeshRelayOptions | undefined): MeshOptions {
  const start = net.startRate === undefined ? {} : { startRate: net.startRate }
  return { ownKeyId, ...start, ...(relay === undefined ? {} : { relay }) }
}

export class TestNode {
  readonly core: MeshCore
  readonly events: MeshEvent[] = []
  readonly toPublisher: MeshToPublish[] = []
  readonly toReceiver: MeshToReceive[] = []

  constructor(
    readonly net: TestNet,
    readonly name: string,
    relay?: MeshRelayOptions,
  ) {
    this.core = new MeshCore(testOptions(net, name, relay), {
      now: () => net.now,
      timeOrigin: 1_700_000_000_000,
      emit: (event) => void this.events.push(event),
      toPublisher: (_port, message) => void this.toPublisher.push(message),
      toReceiver: (_port, message) => void this.toReceiver.push(message),
    })
  }

  frames(stream: MeshStream): ReceivedFrame[] {
    const key = streamKeyOf(stream.streamId)
    return this.toReceiver.filter((m): m is ReceivedFrame => m.type === "frame" && m.streamKey === key)
  }

  /** Sends one frame of random content and returns a copy of it. */
  send(stream: MeshStream, frameId: number, length: number, more: Partial<EncodedFrame> = {}): Bytes {
    const bytes = this.net.bytes(length)
    const frame = { ptsUs: frameId * 33_333, keyframe: frameId === 0, temporalId: 0, data: bytes.slice().buffer, ...more }
    this.core.publishFrame({ type: "frame", streamKey: streamKeyOf(stream.streamId), frameId, frame })
    return bytes
  }

  drops(stage: "lane" | "outer" | "hold" | "inner" | "payload" | "fountain" | "send", code: string): number {
    return this.core.stats().stages[stage][code] ?? 0
  }
}

export class FakeLane implements LaneChannel {
  readonly path = "transferred"
  state: LaneState = "open"
  peer: FakeLane | undefined
  sent = 0
  #handlers: LaneHandlers | undefined
  #buffered = 0
  #wasHigh = false

  constructor(
    readonly net: TestNet,
    readonly route: { from: string; to: string; laneId: number },
    readonly quality: LinkQuality,
  ) {}

  opened(handlers: LaneHandlers): this {
    this.#handlers = handlers
    return this
  }

  get bufferedAmount(): number {
    return this.#buffered
  }

  send(bytes: Bytes): boolean {
    if (this.state !== "open") return false
    this.sent += 1
    const { rate, delayMs = 5, jitterMs = 0, loss = 0, duplicates = 0 } = this.quality
    if (rate !== undefined) {
      this.#buffered += bytes.length
      this.#wasHigh ||= this.#buffered > LANE_LOW_MARK
    }
    const wait = rate === undefined ? 0 : this.#buffered / rate
    const narrow = this.net.narrow(this.route.from, this.route.to)
    const through = narrow === undefined ? 0 : narrow.take(bytes.length + UNDER_MESSAGE, this.net.now)
    if (through === undefined) return true
    const copies = (this.net.loses(this.route, loss, this.quality.burst) ? 0 : 1) * (this.net.random() < duplicates ? 2 : 1)
    for (let copy = 0; copy < copies; copy++) {
      const own = bytes.slice()
      this.net.at(wait + through + delayMs + jitterMs * this.net.random(), () => this.#arrive(own))
    }
    return true
  }

  /** Delivers bytes as if the other end had sent them. */
  inject(bytes: Bytes): void {
    this.#handlers?.onMessage(bytes.slice())
  }

  drain(): void {
    if (this.quality.rate === undefined) return
    this.#buffered = Math.max(0, this.#buffered - this.quality.rate)
    if (this.#wasHigh && this.#buffered <= LANE_LOW_MARK) {
      this.#wasHigh = false
      this.#handlers?.onLow?.()
    }
  }

  close(): void {
    if (this.state === "closed") return
    this.state = "closed"
    this.#handlers?.onState?.("closed")
  }

  #arrive(bytes: Bytes): void {
    for (const out of this.net.tap(bytes, this.route)) this.peer?.inject(out)
  }
}

let pending = 0
const subtle = globalThis.crypto.subtle
for (const name of ["encrypt", "decrypt", "importKey"] as const) {
  const original = subtle[name].bind(subtle) as (...args: unknown[]) => Promise<unknown>
  Object.defineProperty(subtle, name, {
    configurable: true,
    value: (...args: unknown[]) => {
      pending += 1
      return original(...args).finally(() => {
        pending -= 1
      })
    },
  })
}

/** Waits until no cryptography is in work and all that follows from it was done. */
export async function settle(): Promise<void> {
  for (let quiet = 0; quiet < 2; ) {
    await new Promise((resolve) => setImmediate(resolve))
    quiet = pending === 0 ? quiet + 1 : 0
  }
}
