/** Nodes on a virtual clock, with links that take their time: for simulations and tests, no part of what is shipped. */
import type { IdentitySigner } from "../../identity/index.ts"
import { MemoryHoloStorage } from "../../store/holo/memory.ts"
import type { HoloStorage } from "../../store/holo/storage.ts"
import { seeded } from "../../wire/seeded.ts"
import type { Bytes, Milliseconds, PeerKeyId } from "../../wire/types.ts"
import { keysOf } from "../testing.ts"
import type { HoloEvent, HoloOutgoing } from "./events.ts"
import { decodeHoloMessage, decodeSymbolFrame, encodeHoloMessage, encodeSymbolFrame } from "./messages.ts"
import { HoloNode, type HoloNodeOptions } from "./node.ts"

export interface MeshOptions {
  startMs?: Milliseconds
  /** One way; each frame takes up to as long again. */
  delayMs?: Milliseconds
  seed?: number
  /** Every frame is encoded and decoded, as between two machines. Default true. */
  wire?: boolean
  /** Messages may overtake each other; symbols, whose end is told, may not. Default false: a link keeps its order. */
  reorder?: boolean
  /** What all nodes use together, so that it is computed once. */
  shared?: Pick<HoloNodeOptions, "verify" | "ranks" | "targetHolders">
}

export interface MeshPeer {
  signer: IdentitySigner
  node: HoloNode
  storage: HoloStorage
  events: HoloEvent[]
  online: boolean
  /** Bytes sent, by what they carry. */
  sent: { claims: number; symbols: number }
  /** When its node wants to be looked at; NaN: nothing was agreed. */
  wakeMs: Milliseconds
}

/** When a peer wants to be looked at; of no meaning once the peer has changed its mind. */
interface Wake {
  atMs: Milliseconds
  order: number
  peer: MeshPeer
}

/** Steps without the time going on after which something asks for its turn without end. */
const STILL_STEPS = 100_000

interface Flight {
  atMs: Milliseconds
  order: number
  from: PeerKeyId
  to: PeerKeyId
  frame: HoloOutgoing
}

/** A whole mesh on one clock. Nothing runs by itself: {@link run} moves the time. */
export class VirtualMesh {
  readonly peers = new Map<PeerKeyId, MeshPeer>()
  nowMs: Milliseconds
  /** Sees every frame that is sent. */
  watch: ((from: PeerKeyId, frame: HoloOutgoing) => void) | undefined
  readonly #links = new Set<string>()
  readonly #flights = new Heap<Flight>()
  readonly #wakes = new Heap<Wake>()
  readonly #lastAt = new Map<string, Milliseconds>()
  readonly #options: Required<Omit<MeshOptions, "startMs">>
  #order = 0
  /** In [0, 1). */
  readonly unit: () => number

  constructor(options: MeshOptions = {}) {
    const { startMs = 1_700_000_000_000, delayMs = 20, seed = 1, wire = true, reorder = false, shared = {} } = options
    this.nowMs = startMs
    this.#options = { delayMs, seed, wire, reorder, shared }
    this.unit = seeded(seed || 1)
  }

  /** Deterministic bytes for nonces and lots. */
  random = (length: number): Bytes => Uint8Array.from({ length }, () => Math.floor(this.unit() * 256))

  async add(
    signer: IdentitySigner,
    options: Partial<Omit<HoloNodeOptions, "signer" | "send" | "emit" | "random">> = {},
  ): Promise<MeshPeer> {
    const storage = options.storage ?? new MemoryHoloStorage()
    const events: HoloEvent[] = []
    const self = signer.keyId
    const sent = { claims: 0, symbols: 0 }
    const node = await HoloNode.open({
      meshId: "m-test",
      ...this.#options.shared,
      ...options,
      storage,
      signer,
      random: this.random,
      send: (to, frame) => this.#send(self, to, frame, sent),
      emit: (event) => events.push(event),
    })
    const peer: MeshPeer = { signer, node, storage, events, online: true, sent, wakeMs: Number.NaN }
    this.peers.set(self, peer)
    return peer
  }

  /** Both ends learn of each other, one after the other. @param admit members of one room */
  async link(a: MeshPeer, b: MeshPeer, admit = true): Promise<void> {
    this.#links.add(linkOf(a.signer.keyId, b.signer.keyId))
    await a.node.connected(b.signer.keyId, this.nowMs, { keys: keysOf(b.signer), admit })
    await b.node.connected(a.signer.keyId, this.nowMs, { keys: keysOf(a.signer), admit })
    this.#wake(a, this.nowMs)
    this.#wake(b, this.nowMs)
  }

  /** Links to everybody who is online. */
  async join(peer: MeshPeer, admit = true): Promise<void> {
    peer.online = true
    for (const other of this.online()) if (other !== peer) await this.link(peer, other, admit)
  }

  /** The process ends: others notice, its storage stays. */
  leave(peer: MeshPeer): void {
    peer.online = false
    const self = peer.signer.keyId
    for (const other of this.peers.values()) {
      if (other === peer || !this.#links.delete(linkOf(self, other.signer.keyId))) continue
      other.node.disconnected(self, this.nowMs)
      peer.node.disconnected(other.signer.keyId, this.nowMs)
      this.#wake(other, this.nowMs)
    }
  }

  unlink(a: MeshPeer, b: MeshPeer): void {
    if (!this.#links.delete(linkOf(a.signer.keyId, b.signer.keyId))) return
    a.node.disconnected(b.signer.keyId, this.nowMs)
    b.node.disconnected(a.signer.keyId, this.nowMs)
  }

  online(): MeshPeer[] {
    return [...this.peers.values()].filter(({ online }) => online)
  }

  /** Moves the time on until the promise is settled. @throws Error when that takes longer than `maxMs` of the mesh's time */
  async complete<T>(promise: Promise<T>, maxMs: Milliseconds = 60_000): Promise<T> {
    let settled = false
    const end = () => {
      settled = true
    }
    promise.then(end, end)
    const until = this.nowMs + maxMs
    for (await nextTurn(); !settled; await nextTurn()) {
      if (this.nowMs >= until) throw new Error(`not settled within ${maxMs} ms`)
      await this.run(100)
    }
    return promise
  }

  /** Moves the time on, with everything that happens meanwhile. */
  async run(ms: Milliseconds): Promise<void> {
    // What was just begun gets as far as it can.
    await nextTurn()
    const until = this.nowMs + ms
    // Whatever was asked of nodes meanwhile may have changed what they wait for.
    for (const peer of this.online()) this.#wake(peer, peer.node.nextTickMs(this.nowMs))
    let still = 0
    let last = this.nowMs
    for (;;) {
      still = this.nowMs === last ? still + 1 : 0
      last = this.nowMs
      if (still > STILL_STEPS) throw new Error("the time stands still")
      const flightMs = this.#flights.first?.atMs ?? Number.POSITIVE_INFINITY
      const wakeMs = this.#nextWake()?.atMs ?? Number.POSITIVE_INFINITY
      if (Math.min(flightMs, wakeMs) > until) break
      this.nowMs = Math.max(this.nowMs, Math.min(flightMs, wakeMs))
      if (flightMs <= wakeMs) await this.#deliver(this.#flights.pop()!)
      else {
        const { peer } = this.#wakes.pop()!
        peer.wakeMs = Number.NaN
        await peer.node.tick(this.nowMs)
        await this.#rearm(peer)
      }
    }
    this.nowMs = until
  }

  /** A frame from outside: whatever somebody may send. */
  async inject(from: PeerKeyId, to: MeshPeer, frame: HoloOutgoing): Promise<void> {
    await to.node.receive(from, frame, this.nowMs)
    await this.#rearm(to)
  }

  async #deliver({ from, to, frame }: Flight): Promise<void> {
    const peer = this.peers.get(to)
    if (peer?.online !== true || !this.#links.has(linkOf(from, to))) return
    await peer.node.receive(from, frame, this.nowMs)
    await this.#rearm(peer)
  }

  async #rearm(peer: MeshPeer): Promise<void> {
    await peer.node.idle()
    this.#wake(peer, peer.node.nextTickMs(this.nowMs))
  }

  #wake(peer: MeshPeer, atMs: Milliseconds): void {
    if (peer.wakeMs === atMs) return
    peer.wakeMs = atMs
    if (atMs < Number.POSITIVE_INFINITY) this.#wakes.push({ atMs, order: this.#order++, peer })
  }

  /** The first that still stands. */
  #nextWake(): Wake | undefined {
    for (let wake = this.#wakes.first; wake !== undefined; wake = this.#wakes.first) {
      const stands = wake.peer.wakeMs === wake.atMs
      if (stands && wake.peer.online) return wake
      if (stands) wake.peer.wakeMs = Number.NaN
      this.#wakes.pop()
    }
    return undefined
  }

  #send(from: PeerKeyId, to: PeerKeyId, frame: HoloOutgoing, sent: MeshPeer["sent"]): void {
    this.watch?.(from, frame)
    if (frame.kind === "symbol") sent.symbols += frame.frame.bytes.length
    const read = this.#options.wire ? overTheWire(frame, sent) : frame
    const link = `${from} ${to}`
    const atMs = this.nowMs + this.#options.delayMs * (1 + this.unit())
    const free = this.#options.reorder && frame.kind === "message"
    const ordered = free ? atMs : Math.max(atMs, this.#lastAt.get(link) ?? 0)
    if (!free) this.#lastAt.set(link, ordered)
    this.#flights.push({ atMs: ordered, order: this.#order++, from, to, frame: read })
  }
}

/** By time, and in the order of their coming where that is the same. */
class Heap<T extends { atMs: Milliseconds; order: number }> {
  readonly #items: T[] = []

  get first(): T | undefined {
    return this.#items[0]
  }

  push(item: T): void {
    const heap = this.#items
    let i = heap.length
    heap.push(item)
    while (i > 0 && before(item, heap[(i - 1) >> 1]!)) {
      heap[i] = heap[(i - 1) >> 1]!
      i = (i - 1) >> 1
    }
    heap[i] = item
  }

  pop(): T | undefined {
    const heap = this.#items
    const first = heap[0]
    const last = heap.pop()
    if (last === undefined || heap.length === 0) return first
    let i = 0
    for (;;) {
      let child = 2 * i + 1
      if (child >= heap.length) break
      if (child + 1 < heap.length && before(heap[child + 1]!, heap[child]!)) child += 1
      if (!before(heap[child]!, last)) break
      heap[i] = heap[child]!
      i = child
    }
    heap[i] = last
    return first
  }
}

function nextTurn(): Promise<void> {
  return new Promise((resolve) => setImmediate(resolve))
}

function before(a: { atMs: Milliseconds; order: number }, b: { atMs: Milliseconds; order: number }): boolean {
  return a.atMs < b.atMs || (a.atMs === b.atMs && a.order < b.order)
}

function overTheWire(frame: HoloOutgoing, sent: MeshPeer["sent"]): HoloOutgoing {
  if (frame.kind === "symbol") return { kind: "symbol", frame: decodeSymbolFrame(encodeSymbolFrame(frame.frame)) }
  const bytes = encodeHoloMessage(frame.message)
  sent.claims += bytes.length
  const message = decodeHoloMessage(bytes)
  if (message.t === "unknown") throw new Error("a message nobody knows")
  return { kind: "message", message }
}

function linkOf(a: PeerKeyId, b: PeerKeyId): string {
  return a < b ? `${a} ${b}` : `${b} ${a}`
}
