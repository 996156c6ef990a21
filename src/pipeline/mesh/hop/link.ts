/** Everything the mesh worker holds for one link: its lanes, what it sends, what it receives, and its counters. */
import { audioGateOpen } from "../../../link/lane-assigner.ts"
import { laneLimit } from "../../../link/lane-policy.ts"
import type { LaneChannel, MediaLaneRole } from "../../../link/lane-port.ts"
import { LoopWatch } from "../../../link/loop-watch.ts"
import type { LaneNack, LaneReport } from "../../../wire/lane-message.ts"
import type { Bytes, PeerKeyId } from "../../../wire/types.ts"
import { DropCounter } from "../drops.ts"
import type { MeshLinkId, MeshLinkStats } from "../types.ts"
import type { Lane } from "./lane.ts"
import { LaneDemands, type LaneWish } from "./lane-demand.ts"
import { Lanes } from "./lanes.ts"
import { NackEcho } from "./nack-echo.ts"
import { LinkReceiver } from "./receiver.ts"
import { type HopSealer, LinkSender, type Outgoing } from "./sender.ts"
import { type LinkAlarm, LinkTrouble } from "./trouble.ts"

/** What is sent again comes about a round trip after the rest of its frame, and so long after the request; ms. */
const RESENT_SHARE = 0.8
const RESENT_MARGIN_MS = 60

/** A message is answered after a round trip, the wait for the next report, and some patience; ms. */
const ANSWER_MARGIN_MS = 100
/** A link on which nothing moved for so long is looked after less often, ms: most links of a large room carry nothing. */
const AWAKE_MS = 1_000
const REST_MS = 50
/** Lanes change their path together; ms. */
const PATH_ONCE_MS = 3_000

/** A wish of the link for its lanes, for the page to fulfil. */
type LinkWish = LaneWish | { action: "replace"; laneId: number }

interface MeshLinkOptions {
  now(): number
  /** First rate, bit/s; undefined: that of an unknown peer. */
  startRate?: number
  /** Links with media that this node has now (LL-15). */
  mediaLinks(): number
  wish(wish: LinkWish): void
  /** The link as a whole is in trouble. */
  alarm(alarm: LinkAlarm): void
}

export class MeshLink {
  peer: PeerKeyId | undefined
  /** Retransmissions that came before their frame was complete, as far as we can tell. */
  rtxUseful = 0
  readonly drops = new DropCounter()
  readonly sender: LinkSender
  readonly receiver = new LinkReceiver()
  readonly #echo = new NackEcho()
  readonly createdAt: number
  readonly #options: MeshLinkOptions
  readonly #lanes = new Lanes()
  readonly #demands: LaneDemands
  readonly #deadTold = new Set<number>()
  readonly #suspects = new Set<number>()
  readonly #loop = new LoopWatch()
  readonly #trouble = new LinkTrouble()
  #pathAt = Number.NEGATIVE_INFINITY
  #movedAt: number
  #lookedAt = Number.NEGATIVE_INFINITY
  /** How long this thread did not run since then, ms. */
  #away = 0
  #closed = false

  constructor(
    readonly id: MeshLinkId,
    options: MeshLinkOptions,
  ) {
    this.#options = options
    this.createdAt = options.now()
    this.#movedAt = this.createdAt
    const { now, startRate } = options
    const about = { drops: this.drops, loop: this.#loop, trouble: this.#trouble, now }
    this.sender = new LinkSender(this.#lanes, startRate === undefined ? about : { ...about, startRate })
    this.#demands = new LaneDemands(this.#lanes, this.sender, this.receiver)
  }

  get closed(): boolean {
    return this.#closed
  }

  addLane(laneId: number, role: MediaLaneRole, channel: LaneChannel): void {
    this.#moves()
    this.#lanes.add(laneId, role, channel)
  }

  removeLane(laneId: number): void {
    if (this.#lanes.remove(laneId)) this.receiver.closeLane(laneId)
  }

  lane(laneId: number): Lane | undefined {
    return this.#lanes.get(laneId)
  }

  close(): void {
    this.#closed = true
    this.sender.close()
    for (const { id } of this.#lanes.all()) this.removeLane(id)
  }

  /** A data or padding message came in: counted, and asked for what it shows to be missing. */
  countArrival(laneId: number, laneSeq: number, sentUs: number, bytes: number): void {
    const now = this.#moves()
    this.receiver.count({ laneId, laneSeq, sentUs, bytes, now, heldUp: this.#loop.late(now) })
    this.#sendNacks(now)
  }

  takeReport(report: LaneReport): void {
    this.#moves()
    this.sender.takeReport(report)
  }

  takeNack(nack: LaneNack): void {
    this.#moves()
    this.sender.takeNack(nack)
  }

  enqueue(item: Outgoing): void {
    this.#moves()
    if (!this.#closed) this.sender.enqueue(item)
  }

  sendAudio(item: Pick<Outgoing, "innerChunk" | "sealer">): void {
    this.#moves()
    if (this.#closed) return
    const reported = this.#lanes.all().find((lane) => lane.role === "audio")?.loss ?? 0
    this.sender.sendAudio(item, Math.max(reported, this.receiver.audio.loss))
  }

  sendKeepAlive(sealer: HopSealer): void {
    this.#moves()
    if (!this.#closed) this.sender.sendKeepAlive(sealer)
  }

  pump(): void {
    this.#moves()
    this.sender.pump()
  }

  /**
   * A part of a frame came that had waited for it so long. After a request of ours, and a round trip after the frame's first
   * part, it was most likely sent again.
   */
  partCame(awaitedMs: number): void {
    const { rttMs } = this.sender.rate
    const asked = this.receiver.askedAt
    if (asked === undefined || awaitedMs < RESENT_SHARE * rttMs) return
    if (this.#options.now() - asked < rttMs + RESENT_MARGIN_MS) this.rtxUseful += 1
  }

  /** A frame waits for more and nothing comes: asks for what may have been sent last on each lane. */
  askForTail(): void {
    for (const nack of this.receiver.tail(this.#options.now())) this.#ask(nack)
  }

  /** Call every 5 ms; while the link rests most calls do nothing: reports, NACKs, the pacer, and the health and number of lanes. */
  tick(): void {
    const now = this.#options.now()
    this.#away += this.#loop.tick(now)
    const rests = now - this.#movedAt > AWAKE_MS && this.sender.queued === 0
    if (rests && now - this.#lookedAt < REST_MS) return
    const away = this.#away
    this.#away = 0
    this.#lookedAt = now
    const report = this.receiver.report(now)
    if (report !== undefined) this.#control(report)
    this.#sendNacks(now)
    for (const nack of this.#echo.due(now)) this.#controlAside(nack)
    for (const alarm of this.#trouble.tick(now, this.#laneStates(), away)) this.#options.alarm(alarm)
    for (const lane of this.#lanes.all()) this.#watch(lane, now)
    this.sender.tick()
    const wish = this.#demands.evaluate(now, laneLimit(this.#options.mediaLinks()))
    if (wish !== undefined) this.#options.wish(wish)
  }

  /** Every lane tells of it by itself; the first one counts. */
  pathChanged(): void {
    const now = this.#moves()
    // What was suspect on the old path gets a chance on the new one: nothing else would ever be sent on it.
    for (const lane of this.#lanes.all()) lane.watch.pathChanged(now)
    if (now - this.#pathAt < PATH_ONCE_MS) return
    this.#pathAt = now
    this.sender.rate.pathChanged()
  }

  /** Throws away what waits for a subscription that ended. */
  forget(sealer: HopSealer): void {
    this.sender.forget(sealer)
  }

  stats(): MeshLinkStats {
    const { sender, receiver } = this
    const { rate } = sender
    const lanes = this.#lanes.all()
    return {
      link: this.id,
      ...(this.peer === undefined ? {} : { peer: this.peer }),
      lanes: lanes.map((lane) => lane.stats(receiver.lost(lane.id), rate.laneDelay(lane.id))),
      rate: rate.target,
      mode: rate.mode,
      ...(rate.measured ? { rttMs: rate.rttMs } : {}),
      queueMs: rate.queueMs,
      baseChanges: rate.baseChanges,
      lossPct: 100 * rate.losses.loss,
      lossRun: sender.runs.run,
      delivered: rate.delivered,
      sent: sender.sentMessages,
      shedPct: percent(sender.shed, sender.offered),
      nackSent: receiver.nackSent,
      rtxSent: sender.rtxSent,
      rtxUseful: this.rtxUseful,
      repairPct: percent(sender.repairSent, sender.offered - sender.repairSent),
      laneLimitedMs: sender.laneLimitedMs,
      lanesOpen: this.#lanes.video(false).length,
      lanesWanted: this.#demands.wanted,
      laneDeaths: this.#deadTold.size,
      queued: sender.queued,
      shed: sender.shed,
      drops: this.drops.snapshot(),
    }
  }

  /** Something comes, goes, or changes: the link needs its full attention for a while. */
  #moves(): number {
    this.#movedAt = this.#options.now()
    return this.#movedAt
  }

  #sendNacks(now: number): void {
    for (const nack of this.receiver.nacks(now, this.sender.rate.rttMs)) this.#ask(nack)
  }

  #ask(nack: Bytes): void {
    this.#control(nack)
    this.#echo.asked(nack, this.receiver.video.loss, this.#options.now())
  }

  /** On the emptiest video lane: whatever holds up the audio lane does not hold up this. */
  #controlAside(message: Bytes): void {
    const [lane] = this.#lanes.video(true).sort((a, b) => a.buffered - b.buffered)
    if (lane === undefined) this.#control(message)
    else if (audioGateOpen(lane.buffered)) lane.sendControl(message)
  }

  #control(message: Bytes): void {
    const lane = this.#lanes.audio()
    if (lane !== undefined && audioGateOpen(lane.buffered)) lane.sendControl(message)
  }

  #laneStates() {
    const video = this.#lanes.video(false)
    const suspect = video.filter(({ watch }) => watch.use === "suspect" || watch.use === "dead")
    const audioLives = this.#lanes.all().some((lane) => lane.role === "audio" && lane.usable && !this.sender.rate.suspectedDead)
    const videoInUse = video.filter(({ watch }) => watch.use === "ok").length
    return { video: video.length, videoInUse, videoSuspect: suspect.length, audioLives }
  }

  #watch(lane: Lane, now: number): void {
    lane.tick(now, this.#trouble.pathDown(now), this.sender.rate.rttMs + ANSWER_MARGIN_MS)
    const { use, doubtful } = lane.watch
    if (use !== "suspect" && use !== "dead" && !doubtful) this.#suspects.delete(lane.id)
    else if (!this.#suspects.has(lane.id)) {
      this.#suspects.add(lane.id)
      this.sender.laneSuspect(lane.id)
    }
    if (use !== "dead" || this.#deadTold.has(lane.id)) return
    this.#deadTold.add(lane.id)
    this.#options.wish({ action: "replace", laneId: lane.id })
  }
}

function percent(part: number, whole: number): number {
  return whole <= 0 ? 0 : (100 * part) / whole
}
