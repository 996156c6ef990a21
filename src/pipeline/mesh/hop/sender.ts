/** What one link sends: queue, pacer, gates, retransmissions and second copies of audio (link-lanes 6, 7, 9; LL-17). */
import { audioGateOpen, LaneAssigner, VIDEO_GATE } from "../../../link/lane-assigner.ts"
import { audioCopies, burstRepair, LOW_LOSS, repairSymbols } from "../../../link/lane-capacity.ts"
import { LinkRate } from "../../../link/link-rate.ts"
import type { LoopWatch } from "../../../link/loop-watch.ts"
import { LossRuns } from "../../../link/loss-meter.ts"
import { MESSAGE_OVERHEAD, SendBudget } from "../../../link/pacer.ts"
import { FULL_MS } from "../../../link/rate-controller.ts"
import { STALE_MS } from "../../../link/shed.ts"
import { LANE_HEADER_LENGTH, LANE_PADDING, type LaneNack, type LaneReport, MAX_LANE_MESSAGE } from "../../../wire/lane-message.ts"
import { KEEP_ALIVE_FRAME_LENGTH, LINK_FRAME_HEADER_LENGTH } from "../../../wire/link-frame.ts"
import type { Bytes } from "../../../wire/types.ts"
import type { DropCounter } from "../drops.ts"
import { AudioRepeats } from "./audio-repeats.ts"
import type { Lane } from "./lane.ts"
import { type Lanes, loadsOf } from "./lanes.ts"
import { LinkPadding } from "./link-padding.ts"
import type { RateProbe } from "./rate-probe.ts"
import { Resends } from "./resends.ts"
import { type Queued, SendQueue } from "./send-queue.ts"
import type { LinkTrouble } from "./trouble.ts"

/** What a hop adds to an inner chunk: lane header, link frame header and the outer tag (link-lanes 4.1). */
const HOP_OVERHEAD = LANE_HEADER_LENGTH + LINK_FRAME_HEADER_LENGTH + 16
/** Above this round trip a NACK is too slow, and queued messages are given up earlier; ms. */
const SLOW_RTT_MS = 90
const STALE_SLOW_MS = 120
/** After a deep cut enhancement layers older than this are shed at once; base frames, which all later ones need, when stale. Ms. */
const OLD_AFTER_CUT_MS = 60
/** While the rate gives way, and so long after, base frames may wait so much longer: the encoder, which was told, leaves pictures out. Ms. */
const GAVE_WAY_MS = 1_000
const PATIENCE_MS = 300
/** The gates refuse for this long: the lanes are what limits; ms. */
const LANE_LIMITED_MS = 150
/** A report tells of messages that we sent within about a round trip and this, ms. */
const REPORTED_MS = 100
/** Losses of so long after a queue may be its own, ms. */
const QUEUED_LATELY_MS = 1_500
const QUEUED_NOW_MS = 300

/** Makes hop messages for one subscription: outer seal and link frame, with room for the lane header in front. */
export interface HopSealer {
  /** `innerChunk`: header and inner ciphertext. */
  seal(innerChunk: Bytes): Promise<Bytes>
  keepAlive(): Promise<Bytes>
  /** A message could not be sealed or sent. */
  failed(error: unknown): void
}

export interface Outgoing extends Queued {
  innerChunk: Bytes
  sealer: HopSealer
  keyframe?: boolean
  /** Source symbols of its frame; undefined at a relay, and where frames are not made of symbols. */
  nSource?: number | undefined
  /** Its frame can not be shown at the other end, nor can what follows up to a keyframe. */
  onBroken?(): void
  /** Of a retransmission: the lane that lost it. Another one is preferred. */
  lostOn?: number
  /** It has gone out again before: nothing is known of this one when it is asked for. */
  copy?: boolean
}

interface AudioMessage {
  innerChunk: Bytes
  sealer: HopSealer
}

export class LinkSender {
  readonly rate: LinkRate
  readonly runs = new LossRuns()
  /** Messages and bytes that went out on video lanes, retransmissions, copies and padding included. */
  sentMessages = 0
  rtxSent = 0
  /** Repair symbols taken in. */
  repairSent = 0
  laneLimitedMs = 0
  /** Times that no lane took a message. */
  refusals = 0
  readonly #lanes: Lanes
  readonly #now: () => number
  readonly #drops: DropCounter
  readonly #loop: LoopWatch
  readonly #trouble: LinkTrouble
  readonly #queue = new SendQueue<Outgoing>((item) => this.#wasShed(item))
  readonly #budget = new SendBudget()
  readonly #assigner = new LaneAssigner()
  readonly #resends = new Resends(this.#assigner)
  readonly #padding: LinkPadding
  readonly #repeats = new AudioRepeats<AudioMessage>()
  #gateSince: number | undefined
  #tickAt: number | undefined
  #queuedAt = Number.NEGATIVE_INFINITY
  #gaveWayAt = Number.NEGATIVE_INFINITY
  #repairs = new Map<number, number>()

  constructor(
    lanes: Lanes,
    about: { drops: DropCounter; loop: LoopWatch; trouble: LinkTrouble; now(): number; startRate?: number },
  ) {
    this.#lanes = lanes
    this.#drops = about.drops
    this.#loop = about.loop
    this.#trouble = about.trouble
    this.#now = about.now
    this.rate = new LinkRate(about.startRate)
    this.#padding = new LinkPadding({
      lanes,
      rate: this.rate,
      choose: () => this.#videoLane(),
      send: (lane, length, now) => this.#sendPadding(lane, length, now),
    })
  }

  get probe(): RateProbe {
    return this.#padding.probe
  }

  get queued(): number {
    return this.#queue.length
  }

  get shed(): number {
    return this.#queue.shed
  }

  /** Messages that were to be sent, without retransmissions. */
  get offered(): number {
    return this.#queue.pushed
  }

  get laneLimited(): boolean {
    return this.#gateSince !== undefined && this.#now() - this.#gateSince > LANE_LIMITED_MS
  }

  /** How long what waits will take to go out, ms; 0 where nothing says that the rate, and not a moment of bad luck, makes it wait. */
  get backlogMs(): number {
    if (this.#now() - this.#gaveWayAt >= GAVE_WAY_MS) return 0
    const bytes = this.#queue.sum((item) => sizeOf(item) + MESSAGE_OVERHEAD)
    return (bytes * 8_000) / this.rate.target
  }

  /** Repair symbols that a frame of `k` source symbols needs on this link (LL-13). */
  repairs(k: number, keyframe: boolean): number {
    const key = k * 2 + (keyframe ? 1 : 0)
    const known = this.#repairs.get(key)
    if (known !== undefined) return known
    const inputs = this.repairInputs()
    const repair = repairSymbols({ ...inputs, k, keyframe }) + burstRepair(inputs)
    this.#repairs.set(key, repair)
    return repair
  }

  repairInputs(): { loss: number; rttMs: number; run: number; losses: number } {
    const { losses, rttMs } = this.rate
    const loss = losses.prudentLoss
    // Runs are of the last losses, however long ago: on a path that loses nothing now they say nothing.
    const counted = loss < LOW_LOSS ? 0 : this.runs.losses
    return { loss, rttMs, run: counted === 0 ? 1 : this.runs.run, losses: counted }
  }

  /** The peer's report about what we sent. */
  takeReport(report: LaneReport): void {
    const now = this.#now()
    const heldUpMs = this.#loop.longest(now, this.rate.rttMs + REPORTED_MS)
    const { old, deepCut } = this.rate.take(report, now, { laneLimited: this.laneLimited, heldUpMs })
    if (old) return
    this.#trouble.answered()
    this.#repairs = new Map()
    const entries = new Map(report.entries.map((entry) => [entry.laneId, entry]))
    const rose = report.entries.filter((entry) => (this.#lanes.get(entry.laneId)?.risen(entry) ?? 0) > 0)
    for (const lane of this.#lanes.all()) {
      const entry = entries.get(lane.id)
      const othersRose = rose.some((other) => other.laneId !== lane.id)
      lane.watch.reported(entry?.received ?? 0, othersRose, now)
      if (entry !== undefined) lane.reported(entry, now)
    }
    if (deepCut) this.#queue.dropEnhancement(now, OLD_AFTER_CUT_MS)
    if (this.rate.givesWay) this.#gaveWayAt = now
    if (this.rate.queueNowMs >= FULL_MS) this.#queuedAt = now
    this.probe.report(this.rate.queueNowMs, this.rate.mode, now)
  }

  /** The peer misses numbers (LL-14): what is still of use goes out again, first of all. */
  takeNack({ laneId, laneSeqs }: Pick<LaneNack, "laneId" | "laneSeqs">): void {
    const missing = this.#resends.missing(laneId, laneSeqs, this.#now(), this.rate.rttMs)
    for (const laneSeq of missing) this.runs.missing(laneId, laneSeq)
    if (missing.length > 0) this.#padding.lost(laneId, this.#now())
    this.#again(laneId, missing)
    this.pump()
  }

  /** A lane became suspect: what it holds counts as lost (LL-16). */
  laneSuspect(laneId: number): void {
    if (this.#trouble.baseOnly) this.#queue.dropEnhancement(this.#now(), 0)
    this.#again(laneId, this.#resends.recent(laneId, this.#now()))
  }

  /** Video: queued by class, sent as the pacer and the gates allow (LL-8 … LL-10). */
  enqueue(item: Outgoing): void {
    if (!this.#fits(item.innerChunk)) return
    const { spatial, temporal, quality } = item.layer
    if (quality > 0) this.repairSent += 1
    if (this.#trouble.baseOnly && (spatial > 0 || temporal > 0)) this.#queue.refuse()
    else this.#queue.push(item)
  }

  /** Audio: now or never (LL-10), and from 1 % loss on a second time one packet later (LL-17). */
  sendAudio(audio: AudioMessage, audioLoss: number): void {
    if (!this.#fits(audio.innerChunk)) return
    const { secondAfterMs } = audioCopies(audioLoss)
    if (secondAfterMs !== undefined) this.#repeats.add(audio, this.#now() + secondAfterMs)
    const lane = this.#lanes.audio()
    if (lane === undefined) this.#drops.add("LinkFailed")
    else if (!audioGateOpen(lane.buffered)) lane.gateRefusals += 1
    else this.#transmit(lane, sizeOf(audio), audio.sealer, audio.sealer.seal(audio.innerChunk))
  }

  /** D-6 type 2; on the audio lane (LL-7). Skipped where that lane is full: what fills it shows that we live. */
  sendKeepAlive(sealer: HopSealer): void {
    const lane = this.#lanes.audio()
    if (lane === undefined || !audioGateOpen(lane.buffered)) return
    this.#transmit(lane, LANE_HEADER_LENGTH + KEEP_ALIVE_FRAME_LENGTH, sealer, sealer.keepAlive())
  }

  /** Sends what budget and gates allow. Called after new work, when a lane ran low, and every few milliseconds. */
  pump(): void {
    const now = this.#now()
    this.#budget.refill(now, this.rate.pacerRate(now))
    const staleMs = this.rate.rttMs > SLOW_RTT_MS ? STALE_SLOW_MS : STALE_MS
    const patienceMs = now - this.#gaveWayAt < GAVE_WAY_MS ? PATIENCE_MS : 0
    for (;;) {
      const item = this.#queue.peek(now, staleMs, patienceMs)
      if (item === undefined) break
      const size = sizeOf(item)
      if (!this.#budget.covers(size + MESSAGE_OVERHEAD)) return
      const lane = this.#videoLane(item.lostOn)
      if (lane === undefined) {
        this.#refused(now)
        return
      }
      this.#gateSince = undefined
      this.#queue.shift()
      this.#budget.pay(size + MESSAGE_OVERHEAD)
      this.#transmit(lane, size, item.sealer, item.sealer.seal(item.innerChunk), item)
    }
    this.#gateSince = undefined
    this.#padding.fill(now)
  }

  /** Call every 5 ms. */
  tick(): void {
    const now = this.#now()
    const passed = this.#tickAt === undefined ? 0 : now - this.#tickAt
    this.#tickAt = now
    if (this.laneLimited) this.laneLimitedMs += passed
    this.rate.tick(now)
    for (const audio of this.#repeats.due(now)) this.#repeat(audio)
    // Copies are for bad luck; where anything waits, it is more than that.
    const free = this.#queue.length === 0 && !this.#queued(QUEUED_LATELY_MS)
    this.#sendAgain(this.#resends.copies(now, free ? this.rate.target : 0))
    this.#padding.probeIdle(now)
    this.pump()
    this.#padding.nudge(now, this.#queue.length > 0 || this.#queued(QUEUED_NOW_MS))
  }

  /** Throws away what waits for a subscription that ended, and what could be asked for again. */
  forget(sealer: HopSealer): void {
    this.#queue.remove((item) => item.sealer === sealer)
    this.#resends.forget(sealer)
    this.#repeats.forget(sealer)
  }

  close(): void {
    this.#queue.remove(() => true)
    this.#resends.forget()
    this.#repeats.forget()
  }

  /** Without a base frame all that follows is of no use: it makes room for the next keyframe. */
  #wasShed({ layer, sealer, frame, onBroken }: Outgoing): void {
    const source = layer.spatial === 0 && layer.temporal === 0 && layer.quality === 0
    if (!source || frame === undefined || onBroken === undefined) return
    const next = this.#queue.findBase((item) => item.sealer === sealer && item.keyframe === true && (item.frame ?? 0) > frame)
    const end = next?.frame ?? Number.POSITIVE_INFINITY
    this.#queue.discard((item) => item.sealer === sealer && (item.frame ?? 0) < end)
    if (next === undefined) onBroken()
  }

  #again(laneId: number, laneSeqs: number[]): void {
    const now = this.#now()
    const lanes = loadsOf(this.#lanes.video(true))
    const conditions = { now, rate: this.rate.target, lanes, losses: this.repairInputs(), queued: this.#queued(QUEUED_LATELY_MS) }
    this.#sendAgain(this.#resends.answer(laneId, laneSeqs, conditions))
  }

  #sendAgain(items: readonly Outgoing[]): void {
    this.rtxSent += items.length
    this.#queue.pushFirst(items)
  }

  #fits(innerChunk: Bytes): boolean {
    const fits = innerChunk.length + HOP_OVERHEAD <= MAX_LANE_MESSAGE
    if (!fits) this.#drops.add("WireTooLong")
    return fits
  }

  #videoLane(except?: number): Lane | undefined {
    const usable = this.#lanes.video(true)
    for (const lane of usable) if (lane.buffered > VIDEO_GATE) lane.gateRefusals += 1
    const loads = loadsOf(usable)
    const chosen = this.#assigner.choose(loads, except) ?? (except === undefined ? undefined : this.#assigner.choose(loads))
    return chosen === undefined ? undefined : this.#lanes.get(chosen.laneId)
  }

  /** Without an open lane it is not the gates that refuse. */
  #refused(now: number): void {
    if (this.#lanes.video(false).length === 0) {
      this.#gateSince = undefined
      return
    }
    this.refusals += 1
    this.#gateSince ??= now
  }

  #repeat(audio: AudioMessage): void {
    const lane = this.#videoLane()
    if (lane !== undefined) this.#transmit(lane, sizeOf(audio), audio.sealer, audio.sealer.seal(audio.innerChunk))
  }

  /** A queue stood in the path a moment ago: it is the queue that loses, and more would lengthen it. */
  #queued(lately: number): boolean {
    return this.#now() - this.#queuedAt < lately
  }

  #sendPadding(lane: Lane, length: number, now: number): boolean {
    const laneSeq = lane.sendNumbered(new Uint8Array(length), now, LANE_PADDING)
    if (laneSeq !== undefined) this.#sent(lane, laneSeq, length, now)
    return laneSeq !== undefined
  }

  /** Books the room, waits for the seal, sends. The order on a lane may differ from the order of the seals: numbers are given last. */
  #transmit(lane: Lane, size: number, sealer: HopSealer, sealed: Promise<Bytes>, item?: Outgoing): void {
    lane.reserve(size)
    sealed.then(
      (message) => {
        lane.unreserve(size)
        const now = this.#now()
        const laneSeq = lane.sendNumbered(message, now)
        if (laneSeq === undefined) this.#drops.add("LinkFailed")
        else {
          this.#trouble.sent(now)
          if (lane.role === "video") this.#sent(lane, laneSeq, message.length, now, item)
        }
        if (this.#queue.length > 0) this.pump()
      },
      (error: unknown) => {
        lane.unreserve(size)
        sealer.failed(error)
      },
    )
  }

  #sent(lane: Lane, laneSeq: number, length: number, now: number, item?: Outgoing): void {
    this.sentMessages += 1
    this.rate.sent(now, length + MESSAGE_OVERHEAD)
    this.runs.sent(lane.id, laneSeq)
    if (item === undefined) {
      this.#resends.padding(lane.id, laneSeq, length, now)
      return
    }
    this.#padding.sent(lane.id, now)
    this.#resends.sent(lane.id, laneSeq, length, now, item)
  }
}

/** Bytes of the lane message that carries a chunk. */
export function sizeOf({ innerChunk }: { innerChunk: Bytes }): number {
  return innerChunk.length + HOP_OVERHEAD
}
