/** The media lanes of one link: those of the descriptions, and later ones in-band through `link.lane` (link-lanes LL-4..LL-6, LL-18). */
import type { CandidateEntry } from "../wire/address.ts"
import { AvError } from "../wire/errors.ts"
import type { LaneBlock } from "../wire/lane-block.ts"
import type { LaneControl, LaneOffer, LaneRefusal } from "../wire/lane-control.ts"
import type { Bytes } from "../wire/types.ts"
import { withUsablePort } from "./candidates.ts"
import { MAX_VIDEO_LANES } from "./lane-capacity.ts"
import { laneCandidates, makeLaneBlock } from "./lane-key.ts"
import { AUDIO_LANE, type LaneState } from "./lane-port.ts"
import { laneRole, MediaLane } from "./media-lane.ts"
import type { DtlsSetup, TransportFields } from "./sdp.ts"
import type { CandidateGate, LaneInfo, LaneSink } from "./types.ts"
import type { WebRtc } from "./webrtc.ts"

/** A lane that is not open this long after its offer is closed, ms. */
const OPEN_MS = 8_000
const RETRY_FIRST_MS = 2_000
const RETRY_LAST_MS = 60_000
const MAX_LANE_ID = 255

interface LaneSetOptions {
  link: string
  certificate: RTCCertificate
  iceServers: RTCIceServer[]
  webrtc: WebRtc | undefined
  sink: LaneSink
  forward: boolean
  videoLanes: number
  gatherMs: number
  /** Those of our own candidates that may be told. */
  shown(candidates: readonly CandidateEntry[]): CandidateEntry[]
  onState(lane: MediaLane, state: LaneState): void
  /** A video lane runs over another path now. */
  onPathChange(): void
  /** Sends a `link.lane` message; called only after {@link LaneSet.start}. */
  sendControl(message: LaneControl): void
}

/** What the proof of lane 0 fixed for every other lane. */
interface LaneSetTrust {
  /** The peer's DTLS fingerprint (LL-3). */
  fingerprint: Bytes
  /** The candidates of the peer's description, into which its lane blocks point; `undefined`: refused. */
  listed: Judged
  /** For addresses that come with a later lane. */
  gate: CandidateGate
}

type Judged = ReturnType<CandidateGate["admit"]>

export class LaneSet {
  readonly #options: LaneSetOptions
  readonly #lanes = new Map<number, MediaLane>()
  readonly #fields = new Map<number, TransportFields>()
  readonly #deadlines = new Map<number, ReturnType<typeof setTimeout>>()
  /** Lanes whose first offer was ours: our end of DTLS is then the passive one. */
  readonly #ours = new Set<number>()
  #highestId = 0
  #trust: LaneSetTrust | undefined
  #ownList: readonly CandidateEntry[] = []
  #offers = false
  #started = false
  #allowed = false
  #closed = false
  #wanted: number
  #audioOpened = false
  #retryMs = RETRY_FIRST_MS
  #retry: ReturnType<typeof setTimeout> | undefined

  constructor(options: LaneSetOptions) {
    this.#options = options
    this.#wanted = options.videoLanes
  }

  get infos(): LaneInfo[] {
    return [...this.#lanes.values()].map((lane) => lane.info)
  }

  /** Ids of the lanes that our first description offers. */
  static firstIds(videoLanes: number): number[] {
    return Array.from({ length: 1 + videoLanes }, (_, index) => AUDIO_LANE + index)
  }

  /** Offers these lanes beside lane 0. */
  async offerFirst(laneIds: readonly number[]): Promise<void> {
    await Promise.all(laneIds.map((id) => this.#offer(this.#create(id))))
  }

  /** Answers the lanes of the peer's key 8, at most one audio and eight video lanes. */
  async answerFirst(blocks: readonly LaneBlock[], trust: LaneSetTrust): Promise<void> {
    this.#trust = trust
    const fitting = blocks.filter((block, index) => laneRole(block.laneId) === "audio" || index <= MAX_VIDEO_LANES)
    await Promise.all(fitting.map((block) => this.#answer(this.#create(block.laneId), block, trust.listed)))
  }

  /** Applies the peer's answer; lanes it left out are closed. */
  async acceptFirst(blocks: readonly LaneBlock[], trust: LaneSetTrust): Promise<void> {
    this.#trust = trust
    const answered = new Map(blocks.map((block) => [block.laneId, block]))
    await Promise.all(
      [...this.#lanes.values()].map(async (lane) => {
        const block = answered.get(lane.laneId)
        if (block === undefined) lane.close()
        else await this.#accept(lane, block, trust.listed)
      }),
    )
  }

  /** Resolves when every lane has gathered its candidates, after `ms` at the latest. */
  async gathered(ms: number): Promise<void> {
    await Promise.all([...this.#lanes.values()].map((lane) => lane.peer.settle(ms)))
  }

  /** The blocks beside our description, whose candidate list is `listed`. A lane without a usable candidate is closed. */
  blocks(listed: readonly CandidateEntry[]): LaneBlock[] {
    this.#ownList = listed
    // Once the link is up, lanes that are still opening go their own way in-band.
    const lanes = (this.#started ? this.#open() : [...this.#lanes.values()]).sort((a, b) => a.laneId - b.laneId)
    return lanes.flatMap((lane) => {
      const block = makeLaneBlock(lane.laneId, this.#fields.get(lane.laneId)!, lane.peer.candidates, listed)
      if (block === undefined) lane.close()
      return block ?? []
    })
  }

  /** Restarts ICE of every open lane, as the offering side; their blocks go beside the description (LL-16). */
  async offerRestart(): Promise<void> {
    await Promise.all(this.#open().map(async (lane) => void this.#fields.set(lane.laneId, await lane.peer.restart())))
  }

  /** Answers the peer's restart. A lane that it left out is closed; another takes its place. */
  async answerRestart(blocks: readonly LaneBlock[], trust: LaneSetTrust): Promise<void> {
    await this.#restarted(blocks, trust, async (lane, block) => {
      this.#fields.set(lane.laneId, await lane.peer.answerRestart(this.#remote(block)))
    })
  }

  /** Applies the answer to our restart. */
  async acceptRestart(blocks: readonly LaneBlock[], trust: LaneSetTrust): Promise<void> {
    await this.#restarted(blocks, trust, (lane, block) => {
      const setup: DtlsSetup = this.#ours.has(lane.laneId) ? "active" : "passive"
      return lane.peer.acceptRestart(this.#remote(block), setup)
    })
  }

  /** While the path is in doubt no lane is given up. */
  hold(held: boolean): void {
    for (const lane of [...this.#lanes.values()]) lane.hold(held)
  }

  /** The link is proven; `offers`: our key id is the lower one. */
  start(offers: boolean): void {
    this.#offers = offers
    this.#started = true
    for (const lane of this.#lanes.values()) this.#expectOpen(lane)
  }

  /** From here on lanes are added in-band, missing ones at once. */
  allow(): void {
    this.#allowed = true
    this.#maintain()
  }

  /** One more video lane is wanted. */
  addVideoLane(): void {
    this.#wanted = Math.min(this.#wanted + 1, MAX_VIDEO_LANES)
    this.#maintain()
  }

  /** Closes a lane on both ends. */
  closeLane(laneId: number): void {
    const lane = this.#lanes.get(laneId)
    if (lane === undefined) return
    if (lane.role === "video") this.#wanted = Math.max(1, this.#wanted - 1)
    if (this.#started) this.#options.sendControl({ op: "close", laneId })
    lane.close()
  }

  /** Closes a lane that carries nothing any more and opens another in its place. One that is gone already is replaced anyway. */
  replaceLane(laneId: number): void {
    const lane = this.#lanes.get(laneId)
    if (lane === undefined) return
    if (this.#started) this.#options.sendControl({ op: "close", laneId })
    lane.close()
    this.#maintain()
  }

  /** A `link.lane` message of the peer. Throws `LaneBlockInvalid` or `LaneLimit` when it was refused. */
  async receive(message: LaneControl): Promise<void> {
    if ("block" in message) return message.op === "offer" ? this.#receiveOffer(message) : this.#receiveAnswer(message)
    const lane = this.#lanes.get(message.laneId)
    // A lane that worked is closed because fewer are wanted, or for another that will be asked for; do not reopen it by ourselves.
    if (message.op === "close" && lane?.role === "video" && lane.state === "open") this.#wanted = Math.max(1, this.#wanted - 1)
    lane?.close()
  }

  /** Closes a video lane without a word to the peer, as a fault would. False when there is none. */
  lose(): boolean {
    const lane = this.#open().find(({ role }) => role === "video")
    lane?.close()
    return lane !== undefined
  }

  close(): void {
    this.#closed = true
    clearTimeout(this.#retry)
    for (const timer of this.#deadlines.values()) clearTimeout(timer)
    this.#deadlines.clear()
    for (const lane of [...this.#lanes.values()]) lane.close()
  }

  async #receiveOffer(message: LaneOffer): Promise<void> {
    const { laneId } = message.block
    const refuse = (reason: LaneRefusal, error: AvError) => {
      this.#options.sendControl({ op: "refuse", laneId, reason })
      throw error
    }
    // Only the lower key id offers, and no id is ever used twice (LL-18).
    const used = laneId <= this.#highestId && !(laneId === AUDIO_LANE && !this.#audioOpened && !this.#lanes.has(laneId))
    if (this.#offers || used || this.#trust === undefined)
      refuse("malformed", new AvError("LaneBlockInvalid", { laneId, why: "not expected" }))
    if (laneRole(laneId) === "video" && this.#videoLanes() >= MAX_VIDEO_LANES)
      refuse("limit", new AvError("LaneLimit", { max: MAX_VIDEO_LANES }))
    const listed = this.#listed(message.addresses)
    const lane = this.#create(laneId)
    await this.#answer(lane, message.block, listed)
    await this.#sendBlock(lane, "answer")
    this.#expectOpen(lane)
  }

  async #receiveAnswer(message: LaneOffer): Promise<void> {
    const lane = this.#lanes.get(message.block.laneId)
    if (lane === undefined) return
    if (!this.#offers || lane.peer.remoteFingerprint !== undefined) throw new AvError("LaneBlockInvalid", { why: "not expected" })
    await this.#accept(lane, message.block, this.#listed(message.addresses))
  }

  /** What a block's indexes point into: addresses beside it are judged like those of a description. */
  #listed(addresses: readonly CandidateEntry[]): Judged {
    const { gate, listed } = this.#trust!
    return addresses.length > 0 ? gate.admit(addresses) : listed
  }

  #create(laneId: number): MediaLane {
    this.#highestId = Math.max(this.#highestId, laneId)
    const { certificate, iceServers, webrtc, link, sink, forward } = this.#options
    const onState = (lane: MediaLane, state: LaneState) => this.#changed(lane, state)
    const { onPathChange } = this.#options
    const path = laneRole(laneId) === "video" ? { onPathChange } : {}
    const lane = new MediaLane({ laneId, certificate, iceServers, webrtc, link, sink, forward, onState, ...path })
    this.#lanes.set(laneId, lane)
    return lane
  }

  #open(): MediaLane[] {
    return [...this.#lanes.values()].filter((lane) => lane.state === "open")
  }

  async #restarted(
    blocks: readonly LaneBlock[],
    trust: LaneSetTrust,
    apply: (lane: MediaLane, block: LaneBlock) => Promise<void>,
  ): Promise<void> {
    this.#trust = trust
    const byId = new Map(blocks.map((block) => [block.laneId, block]))
    await Promise.all(
      this.#open().map(async (lane) => {
        const block = byId.get(lane.laneId)
        try {
          if (block === undefined) throw new AvError("LaneBlockInvalid", { laneId: lane.laneId, why: "left out" })
          await apply(lane, block)
          await this.#addCandidates(lane, block, trust.listed)
        } catch {
          lane.close()
        }
      }),
    )
  }

  async #offer(lane: MediaLane): Promise<void> {
    this.#ours.add(lane.laneId)
    this.#fields.set(lane.laneId, await lane.peer.offer())
  }

  async #answer(lane: MediaLane, block: LaneBlock, listed: Judged): Promise<void> {
    this.#fields.set(lane.laneId, await lane.peer.answer(this.#remote(block)))
    await this.#addCandidates(lane, block, listed)
  }

  async #accept(lane: MediaLane, block: LaneBlock, listed: Judged): Promise<void> {
    await lane.peer.acceptAnswer(this.#remote(block))
    await this.#addCandidates(lane, block, listed)
  }

  /** LL-3 by construction: a lane never names a fingerprint, it gets the one that the proof named. */
  #remote(block: LaneBlock): TransportFields {
    return { ufrag: block.ufrag, pwd: block.pwd, fingerprint: this.#trust!.fingerprint }
  }

  async #addCandidates(lane: MediaLane, block: LaneBlock, listed: Judged): Promise<void> {
    await lane.peer.addRemoteCandidates(withUsablePort(laneCandidates(block, listed)))
  }

  async #sendBlock(lane: MediaLane, op: "offer" | "answer"): Promise<void> {
    await lane.peer.settle(this.#options.gatherMs)
    const fields = this.#fields.get(lane.laneId)
    if (this.#closed || lane.state === "closed" || fields === undefined) return
    const known = makeLaneBlock(lane.laneId, fields, lane.peer.candidates, this.#ownList)
    // After a network change the hosts of lane 0 say nothing: the addresses travel with the block then.
    const addresses = known === undefined ? this.#options.shown(lane.peer.candidates) : []
    const block = known ?? makeLaneBlock(lane.laneId, fields, lane.peer.candidates, addresses)
    if (block === undefined) lane.close()
    else this.#options.sendControl({ op, block, addresses })
  }

  #changed(lane: MediaLane, state: LaneState): void {
    if (state !== "connecting") {
      clearTimeout(this.#deadlines.get(lane.laneId))
      this.#deadlines.delete(lane.laneId)
    }
    if (state === "open") {
      this.#retryMs = RETRY_FIRST_MS
      if (lane.role === "audio") this.#audioOpened = true
    }
    if (state === "closed") {
      this.#lanes.delete(lane.laneId)
      this.#fields.delete(lane.laneId)
      this.#ours.delete(lane.laneId)
    }
    this.#options.onState(lane, state)
    if (state === "closed") this.#retryLater()
  }

  #expectOpen(lane: MediaLane): void {
    if (lane.state !== "connecting" || this.#deadlines.has(lane.laneId)) return
    const late = () => {
      this.#options.sendControl({ op: "close", laneId: lane.laneId })
      lane.close()
    }
    this.#deadlines.set(lane.laneId, setTimeout(late, OPEN_MS))
  }

  #videoLanes(): number {
    return [...this.#lanes.values()].filter((lane) => lane.role === "video").length
  }

  /** The side with the lower key id opens what is missing. */
  #maintain(): void {
    if (!this.#started || !this.#allowed || !this.#offers || this.#closed) return
    const missing: number[] = []
    // An id is never used twice (LL-18); until it was open once, the audio lane has not used its own.
    if (!this.#lanes.has(AUDIO_LANE) && !this.#audioOpened) missing.push(AUDIO_LANE)
    for (let count = this.#videoLanes(); count < this.#wanted; count++) {
      missing.push(Math.max(this.#highestId, AUDIO_LANE, ...missing) + 1)
    }
    for (const laneId of missing) {
      if (laneId > MAX_LANE_ID) return
      const lane = this.#create(laneId)
      this.#expectOpen(lane)
      this.#offer(lane)
        .then(() => this.#sendBlock(lane, "offer"))
        .catch(() => lane.close())
    }
  }

  #retryLater(): void {
    if (!this.#started || this.#closed || this.#retry !== undefined) return
    this.#retry = setTimeout(() => {
      this.#retry = undefined
      this.#retryMs = Math.min(this.#retryMs * 2, RETRY_LAST_MS)
      this.#maintain()
    }, this.#retryMs)
  }
}
