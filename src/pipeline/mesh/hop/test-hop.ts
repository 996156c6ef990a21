/** A simulated hop for tests: two real ends of a link, lanes between them that lose, block and overtake, frames of plain symbols, no keys. */
import { burstRepair, publisherRepair } from "../../../link/lane-capacity.ts"
import type { LaneChannel, LaneState } from "../../../link/lane-port.ts"
import { decodeLaneMessage, LANE_DATA } from "../../../wire/lane-message.ts"
import { seeded } from "../../../wire/seeded.ts"
import type { Bytes } from "../../../wire/types.ts"
import type { MeshLinkStats } from "../types.ts"
import { MeshLink } from "./link.ts"
import type { HopSealer } from "./sender.ts"
import { AssociationEnd, AssociationLane } from "./test-association.ts"
import { Impairment, type ImpairmentOptions } from "./test-impairment.ts"

/** Inner chunk of a full symbol: 1 135 bytes on the lane. */
const CHUNK = 1_102
const FRONT = 17
const FRAME_MS = 1_000 / 30

interface HopOptions extends ImpairmentOptions {
  seed?: number
  loss?: number
  /** Mean run of losses in messages, over all lanes. */
  burst?: number
  lanes?: number
  /** Every lane is an SCTP association, with its window and its timer; needs neither bottleneck nor `burstMs`. */
  associations?: boolean
  /** Source symbols per frame; always so many, whatever the link allows. */
  symbols?: number
  /** Instead: those of one frame of a real encoder. */
  frame?: (sim: HopSim, id: number) => { k: number; keyframe: boolean }
  startRate?: number
  /** A voice of 50 packets a second beside the picture. */
  voice?: boolean
  /** Opens the lanes that the link asks for, so long after; default never. */
  openAfterMs?: number
}

const sealer: HopSealer = {
  seal: (innerChunk) => {
    const message = new Uint8Array(FRONT + innerChunk.length + 16)
    message.set(innerChunk, FRONT)
    return Promise.resolve(message)
  },
  keepAlive: () => Promise.resolve(new Uint8Array(50)),
  failed: (error) => {
    throw error
  },
}

class SimLane implements LaneChannel {
  readonly path = "transferred"
  state: LaneState = "open"
  /** Nothing leaves; what is sent waits. */
  blocked = false
  /** What leaves is lost. */
  dead = false
  bufferedAmount = 0
  #waiting: Bytes[] = []
  readonly #carry: (bytes: Bytes) => void
  onSend: (bytes: Bytes) => void = () => {}

  constructor(carry: (bytes: Bytes) => void) {
    this.#carry = carry
  }

  send(bytes: Bytes): boolean {
    if (this.state !== "open") return false
    const own = bytes.slice()
    this.onSend(own)
    if (!this.blocked) this.#carry(own)
    else {
      this.#waiting.push(own)
      this.bufferedAmount += own.length
    }
    return true
  }

  release(): void {
    this.blocked = false
    for (const bytes of this.#waiting) this.#carry(bytes)
    this.#waiting = []
    this.bufferedAmount = 0
  }

  close(): void {
    this.state = "closed"
  }
}

interface SimFrame {
  madeAt: number
  k: number
  got: Set<number>
  /** First lane of each symbol that left the queue. */
  sentOn: Map<number, number>
  /** When the last needed symbol came. */
  completeAt?: number
}

export class HopSim {
  now = 1_000
  readonly sender: MeshLink
  readonly receiver: MeshLink
  readonly there = new Map<number, SimLane>()
  readonly back = new Map<number, SimLane>()
  readonly ends: AssociationEnd[] = []
  readonly frames: SimFrame[] = []
  readonly alarms: string[] = []
  /** Voice packets: sent, and those that came, with their delay in ms. */
  voiceSent = 0
  readonly voice = new Map<number, number>()
  readonly wishes: { at: number; action: string }[] = []
  /** Nothing at all arrives at the sender. */
  mute = false
  loss: number
  burst: number
  /** Messages that arrived, by what they said. */
  arrived = 0
  readonly random: () => number
  readonly #options: HopOptions
  readonly #events: { at: number; order: number; run: () => void }[] = []
  #order = 0
  readonly #impairment: Impairment
  #highest = 0
  rate: number
  #nextFrameAt: number
  #sending = true
  symbols: number

  constructor(options: HopOptions = {}) {
    this.#options = options
    this.random = seeded(options.seed ?? 1)
    this.loss = options.loss ?? 0
    this.burst = options.burst ?? 1
    this.rate = options.bottleneck?.rate ?? Number.POSITIVE_INFINITY
    this.symbols = options.symbols ?? 5
    this.#impairment = new Impairment(options, this)
    this.#nextFrameAt = this.now
    this.sender = this.#end("sender")
    this.receiver = this.#end("receiver")
    for (let id = 1; id <= 1 + (options.lanes ?? 3); id++) this.open(id)
  }

  open(id: number): void {
    this.#highest = id
    const role = id === 1 ? "audio" : "video"
    if (this.#options.associations === true) {
      this.#associate(id, role)
      return
    }
    const there = new SimLane((bytes) => there.dead || this.#carry(bytes, (own) => this.#arrive(this.receiver, id, own)))
    there.onSend = (bytes) => this.#note(id, bytes)
    const back = new SimLane((bytes) => this.#carry(bytes, (own) => this.mute || this.#arrive(this.sender, id, own), true))
    this.there.set(id, there)
    this.back.set(id, back)
    this.sender.addLane(id, role, there)
    this.receiver.addLane(id, role, back)
  }

  #associate(id: number, role: "audio" | "video"): void {
    // What one end sends, the other one delivers.
    const [there, back] = this.association(
      (bytes) => this.#arrive(this.receiver, id, bytes),
      (bytes) => this.#arrive(this.sender, id, bytes),
    )
    const lane = new AssociationLane(there)
    lane.onSend = (bytes) => this.#note(id, bytes)
    this.sender.addLane(id, role, lane)
    this.receiver.addLane(id, role, new AssociationLane(back))
  }

  /** An association over the same path; also for others than this link. */
  association(arrived: (bytes: Bytes) => void, cameBack: (bytes: Bytes) => void = () => {}): [AssociationEnd, AssociationEnd] {
    const now = () => this.now
    const there = new AssociationEnd(now, (size, run) => this.#send(size, run, false), cameBack)
    const back = new AssociationEnd(now, (size, run) => this.#send(size, run, true), arrived)
    there.peer = back
    back.peer = there
    this.ends.push(there, back)
    return [there, back]
  }

  stats(): MeshLinkStats {
    return this.sender.stats()
  }

  /** Stops or goes on making frames. */
  send(on: boolean): void {
    this.#sending = on
    this.#nextFrameAt = Math.max(this.#nextFrameAt, this.now)
  }

  async run(ms: number): Promise<void> {
    for (const end = this.now + ms; this.now < end; ) {
      this.now += 1
      if (this.#sending && this.now >= this.#nextFrameAt) this.#frame()
      if (this.#options.voice === true && this.now % 20 === 0) this.#speak()
      this.#events.sort((a, b) => a.at - b.at || a.order - b.order)
      while (this.#events[0] !== undefined && this.#events[0].at <= this.now) this.#events.shift()!.run()
      for (const end of this.ends) end.tick()
      if (this.now % 5 === 0) {
        this.sender.tick()
        this.receiver.tick()
      }
      // Seals are promises; three turns of the micro-task queue finish everything that follows from them.
      for (let turn = 0; turn < 3; turn++) await null
    }
  }

  /** Share of the frames made in this stretch that were complete in time, by the clock of the sender. */
  within(ms: number, from: number, to: number): number {
    const made = this.frames.filter((frame) => frame.madeAt >= from && frame.madeAt < to)
    return made.filter(({ madeAt, completeAt }) => completeAt !== undefined && completeAt - madeAt <= ms).length / made.length
  }

  #end(name: string): MeshLink {
    const link = new MeshLink(name, {
      now: () => this.now,
      ...(this.#options.startRate === undefined ? {} : { startRate: this.#options.startRate }),
      mediaLinks: () => 1,
      wish: (wish) => name === "sender" && this.#wish(wish.action),
      alarm: (alarm) => name === "sender" && this.alarms.push(alarm.type),
    })
    return link
  }

  #wish(action: string): void {
    this.wishes.push({ at: this.now, action })
    const { openAfterMs } = this.#options
    if (openAfterMs === undefined || action === "remove") return
    this.#events.push({
      at: this.now + openAfterMs,
      order: this.#order++,
      run: () => this.open(this.#highest + 1),
    })
  }

  /** One frame, L1T2, with the repair that the link needs. */
  #frame(): void {
    this.#nextFrameAt += FRAME_MS
    const id = this.frames.length
    const { k, keyframe } = this.#options.frame?.(this, id) ?? { k: this.symbols, keyframe: false }
    const inputs = this.sender.sender.repairInputs()
    const repair = publisherRepair(k, keyframe, [inputs]) + burstRepair(inputs)
    this.frames.push({ madeAt: this.now, k, got: new Set(), sentOn: new Map() })
    for (let symbol = 0; symbol < k + repair; symbol++) {
      const innerChunk = new Uint8Array(CHUNK)
      new DataView(innerChunk.buffer).setUint32(0, id)
      innerChunk[4] = symbol
      const layer = { spatial: 0, temporal: keyframe ? 0 : id % 2, quality: Math.max(0, symbol - k + 1) }
      const nSource = this.#options.frame === undefined ? undefined : k
      this.sender.enqueue({ innerChunk, sealer, streamKey: "s", frame: id, layer, madeAt: this.now, keyframe, nSource })
    }
    this.sender.pump()
  }

  #speak(): void {
    const innerChunk = new Uint8Array(160)
    new DataView(innerChunk.buffer).setUint32(0, this.voiceSent++)
    new DataView(innerChunk.buffer).setUint32(4, this.now)
    innerChunk[8] = 1
    this.sender.sendAudio({ innerChunk, sealer })
  }

  #carry(bytes: Bytes, arrive: (bytes: Bytes) => void, back = false): void {
    this.#send(bytes.length, () => arrive(bytes), back)
  }

  /** One packet of so many bytes, 78 of what lies under it not counted. */
  #send(bytes: number, run: () => void, back: boolean): void {
    const wait = this.#impairment.wait(bytes + 78, this.now, back)
    if (wait !== undefined) this.#events.push({ at: this.now + wait, order: this.#order++, run })
  }

  #arrive(link: MeshLink, laneId: number, bytes: Bytes): void {
    const message = decodeLaneMessage(bytes)
    if (message.type === "report") link.takeReport(message)
    else if (message.type === "nack") link.takeNack(message)
    else if (message.type !== "unknown") {
      link.countArrival(laneId, message.laneSeq, message.sentUs, bytes.length)
      if (message.type === "data" && link === this.receiver && bytes.length > 100) this.#symbol(message.body)
    }
  }

  #note(laneId: number, bytes: Bytes): void {
    if (bytes.length < FRONT + CHUNK || bytes[0] !== LANE_DATA) return
    const frame = this.frames[new DataView(bytes.buffer).getUint32(FRONT)]!
    const symbol = bytes[FRONT + 4]!
    if (!frame.sentOn.has(symbol)) frame.sentOn.set(symbol, laneId)
  }

  #symbol(body: Bytes): void {
    this.arrived += 1
    const view = new DataView(body.buffer, body.byteOffset)
    if (body[17] === 1) {
      if (!this.voice.has(view.getUint32(9))) this.voice.set(view.getUint32(9), this.now - view.getUint32(13))
      return
    }
    const frame = this.frames[view.getUint32(9)]!
    frame.got.add(body[13]!)
    if (frame.completeAt === undefined && frame.got.size >= frame.k) frame.completeAt = this.now
  }
}
