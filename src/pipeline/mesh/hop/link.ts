/** Everything the mesh worker holds for one link: its lanes, its short send queue, its reports and its counters. */

import { audioGateOpen, LaneAssigner, VIDEO_GATE } from "../../../link/lane-assigner.ts"
import type { LaneChannel, MediaLaneRole } from "../../../link/lane-port.ts"
import { clockMicros } from "../../../link/lane-sequence.ts"
import { ReportBuilder } from "../../../link/report-builder.ts"
import { encodeLaneReport, LANE_HEADER_LENGTH, type LaneReport, MAX_LANE_MESSAGE } from "../../../wire/lane-message.ts"
import { KEEP_ALIVE_FRAME_LENGTH, LINK_FRAME_HEADER_LENGTH } from "../../../wire/link-frame.ts"
import type { Bytes, PeerKeyId } from "../../../wire/types.ts"
import { DropCounter } from "../drops.ts"
import type { MeshLinkId, MeshLinkStats } from "../types.ts"
import { Lane } from "./lane.ts"
import { type Queued, SendQueue } from "./send-queue.ts"

/** What a hop adds to an inner chunk: lane header, link frame header and the outer tag (link-lanes 4.1). */
const HOP_OVERHEAD = LANE_HEADER_LENGTH + LINK_FRAME_HEADER_LENGTH + 16

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
}

export class MeshLink {
  peer: PeerKeyId | undefined
  readonly drops = new DropCounter()
  readonly #lanes = new Map<number, Lane>()
  readonly #queue = new SendQueue<Outgoing>()
  readonly #assigner = new LaneAssigner()
  readonly #reports = new ReportBuilder()
  readonly #now: () => number
  #reportSeq: number | undefined
  #closed = false

  constructor(
    readonly id: MeshLinkId,
    now: () => number,
  ) {
    this.#now = now
  }

  get closed(): boolean {
    return this.#closed
  }

  addLane(laneId: number, role: MediaLaneRole, channel: LaneChannel): void {
    this.#lanes.get(laneId)?.channel.close()
    this.#lanes.set(laneId, new Lane(laneId, role, channel))
  }

  removeLane(laneId: number): void {
    const lane = this.#lanes.get(laneId)
    if (lane === undefined) return
    this.#lanes.delete(laneId)
    this.#reports.closeLane(laneId)
    lane.channel.close()
  }

  lane(laneId: number): Lane | undefined {
    return this.#lanes.get(laneId)
  }

  close(): void {
    this.#closed = true
    this.#queue.remove(() => true)
    for (const id of [...this.#lanes.keys()]) this.removeLane(id)
  }

  /** A data or padding message came in. `atUs`: arrival on our clock. */
  countArrival(laneId: number, laneSeq: number, sentUs: number, bytes: number): void {
    this.#reports.receive(laneId, laneSeq, sentUs, clockMicros(this.#now()), bytes)
  }

  /** The peer's report about what we sent. One older than the last is dropped (link-lanes 4.2). */
  takeReport(report: LaneReport): void {
    if (this.#reportSeq !== undefined && ((report.reportSeq - this.#reportSeq) & 0xffff) >= 0x8000) return
    this.#reportSeq = report.reportSeq
    for (const entry of report.entries) this.#lanes.get(entry.laneId)?.reported(entry, this.#now())
  }

  /** Video: queued by class, sent as soon as a lane has room (LL-8 … LL-10). */
  enqueue(item: Outgoing): void {
    if (this.#closed || !this.#fits(item.innerChunk)) return
    this.#queue.push(item)
  }

  /** Audio: now or never (LL-10). */
  sendAudio(item: Pick<Outgoing, "innerChunk" | "sealer">): void {
    if (this.#closed || !this.#fits(item.innerChunk)) return
    const lane = this.#audioLane()
    if (lane === undefined) {
      this.drops.add("LinkFailed")
      return
    }
    if (!audioGateOpen(lane.buffered)) {
      lane.gateRefusals += 1
      return
    }
    this.#transmit(lane, item.innerChunk.length + HOP_OVERHEAD, item.sealer, item.sealer.seal(item.innerChunk))
  }

  /** D-6 type 2; on the audio lane (LL-7). Skipped where that lane is full: what fills it shows that we live. */
  sendKeepAlive(sealer: HopSealer): void {
    const lane = this.#audioLane()
    if (this.#closed || lane === undefined || !audioGateOpen(lane.buffered)) return
    this.#transmit(lane, LANE_HEADER_LENGTH + KEEP_ALIVE_FRAME_LENGTH, sealer, sealer.keepAlive())
  }

  /** Sends what the gates allow. Called after new work, when a lane ran low, and every few milliseconds. */
  pump(): void {
    for (;;) {
      const item = this.#queue.peek(this.#now())
      if (item === undefined) return
      const lane = this.#videoLane()
      if (lane === undefined) return
      this.#queue.shift()
      this.#transmit(lane, item.innerChunk.length + HOP_OVERHEAD, item.sealer, item.sealer.seal(item.innerChunk))
    }
  }

  /** Reports (LL-21) and whatever waits. */
  tick(): void {
    const now = this.#now()
    const lane = this.#audioLane()
    if (lane !== undefined && this.#reports.due(now)) {
      const report = this.#reports.build(clockMicros(now), now)
      if (report !== undefined && audioGateOpen(lane.buffered)) lane.sendControl(encodeLaneReport(report))
    }
    this.pump()
  }

  /** Throws away what waits for a subscription that ended. */
  forget(sealer: HopSealer): void {
    this.#queue.remove((item) => item.sealer === sealer)
  }

  stats(): MeshLinkStats {
    return {
      link: this.id,
      ...(this.peer === undefined ? {} : { peer: this.peer }),
      lanes: [...this.#lanes.values()].map((lane) => lane.stats(this.#reports.lost(lane.id))),
      queued: this.#queue.length,
      shed: this.#queue.shed,
      drops: this.drops.snapshot(),
    }
  }

  #fits(innerChunk: Bytes): boolean {
    const fits = innerChunk.length + HOP_OVERHEAD <= MAX_LANE_MESSAGE
    if (!fits) this.drops.add("WireTooLong")
    return fits
  }

  /** The audio lane, or the least loaded video lane while it is away: messages are known by type, not by lane (LL-16). */
  #audioLane(): Lane | undefined {
    let fallback: Lane | undefined
    for (const lane of this.#lanes.values()) {
      if (!lane.open) continue
      if (lane.role === "audio") return lane
      if (fallback === undefined || lane.buffered < fallback.buffered) fallback = lane
    }
    return fallback
  }

  #videoLane(): Lane | undefined {
    const open = [...this.#lanes.values()].filter((lane) => lane.role === "video" && lane.open).sort((a, b) => a.id - b.id)
    const loads = open.map((lane) => ({ laneId: lane.id, buffered: lane.buffered }))
    for (const lane of open) if (lane.buffered > VIDEO_GATE) lane.gateRefusals += 1
    const chosen = this.#assigner.choose(loads)
    return chosen === undefined ? undefined : this.#lanes.get(chosen.laneId)
  }

  /** Books the room, waits for the seal, sends. The order on a lane may differ from the order of the seals: numbers are given last. */
  #transmit(lane: Lane, size: number, sealer: HopSealer, sealed: Promise<Bytes>): void {
    lane.reserve(size)
    sealed.then(
      (message) => {
        lane.unreserve(size)
        if (!lane.sendData(message, this.#now())) this.drops.add("LinkFailed")
        if (this.#queue.length > 0) this.pump()
      },
      (error: unknown) => {
        lane.unreserve(size)
        sealer.failed(error)
      },
    )
  }
}
