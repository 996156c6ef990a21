/** Keeps the score and the freezes of every stream: looks at the workers' figures about once a second and compares with the look before. */
import type { MeshLinkStats, MeshReceiveStats, MeshSendStats, MeshStats } from "../pipeline/index.ts"
import type { PublishStreamStats } from "../pipeline/publish/types.ts"
import type { ReceiveStats } from "../pipeline/receive/types.ts"
import { toHex } from "../wire/index.ts"
import { assessPicture, assessSending, assessSound, freezeCause, QualityScore, worstQuality } from "./quality.ts"
import type { FreezeStats, Quality, TrackSource } from "./types.ts"

/** A stream is judged after it has run this long: the first key frame and the first report need their time. */
const SETTLE_MS = 2_500
/** Two looks closer together than this say little; a longer time between them is no look at all (the page slept). */
const MIN_LOOK_MS = 400
const MAX_LOOK_MS = 10_000
/** What an encoder makes of a good camera picture; more than this is not missed. */
const WHOLE_BITRATE = 700_000
/** Announced rates beyond this are nonsense. */
const MAX_FPS = 120

/** What the room knows about a stream it receives. */
interface ReceivedFacts {
  participant: string
  source: TrackSource
  muted: boolean
  /** As the descriptor announces, for the layers asked for; undefined when it says nothing. */
  frameRate: number | undefined
}

/** What the room knows about a stream it sends. */
interface SentFacts {
  source: TrackSource
  muted: boolean
  /** What the device was asked for; undefined when nothing is promised. */
  askedFps: number | undefined
}

export interface Look {
  mesh: Pick<MeshStats, "links" | "send" | "receive">
  publish: readonly PublishStreamStats[]
  receive: readonly ReceiveStats[]
  received(streamKey: string): ReceivedFacts | undefined
  sent(streamKey: string): SentFacts | undefined
  /** The page was hidden at some moment since the last look. */
  hidden: boolean
}

interface Kept<Before> {
  readonly score: QualityScore
  sinceMs: number
  before: Before | undefined
  judged: boolean
}

interface ReceivedBefore {
  mesh: MeshReceiveStats
  worker: ReceiveStats
  arrivedAtMs: number
}

interface SentBefore {
  mesh: MeshSendStats
  worker: PublishStreamStats
}

export class QualityBoard {
  readonly #received = new Map<string, Kept<ReceivedBefore> & { causes: FreezeStats["causes"]; participant: string }>()
  readonly #sent = new Map<string, Kept<SentBefore> & { most: number }>()
  #lookedAtMs: number | undefined

  look(look: Look, nowMs: number): void {
    const ms = this.#lookedAtMs === undefined ? 0 : nowMs - this.#lookedAtMs
    if (this.#lookedAtMs !== undefined && ms < MIN_LOOK_MS) return
    this.#lookedAtMs = nowMs
    if (ms > MAX_LOOK_MS) this.#startOver(nowMs)
    const about = { look, nowMs, ms, links: linksByPeer(look.mesh.links) }
    const seen = new Set<string>()
    for (const mesh of look.mesh.receive) {
      const key = toHex(mesh.streamId)
      const worker = look.receive.find((stream) => stream.streamKey === key)
      const facts = look.received(key)
      if (worker === undefined || facts === undefined) continue
      seen.add(key)
      this.#lookAtReceived(key, mesh, worker, facts, about)
    }
    for (const mesh of look.mesh.send) {
      const key = toHex(mesh.streamId)
      const worker = look.publish.find((stream) => stream.streamKey === key)
      const facts = look.sent(key)
      if (worker === undefined || facts === undefined) continue
      seen.add(key)
      this.#lookAtSent(key, mesh, worker, facts, about)
    }
    for (const known of [this.#received, this.#sent]) for (const key of known.keys()) if (!seen.has(key)) known.delete(key)
  }

  /** Of a stream in either direction. */
  quality(streamKey: string): Quality | undefined {
    const kept = this.#received.get(streamKey) ?? this.#sent.get(streamKey)
    return kept?.judged ? kept.score.value : undefined
  }

  freezes(streamKey: string): FreezeStats | undefined {
    const kept = this.#received.get(streamKey)
    const counted = kept?.before?.worker.freezes
    if (kept === undefined || counted === undefined) return undefined
    return { count: counted.count, totalMs: Math.round(counted.totalMs), causes: { ...kept.causes } }
  }

  /** The worst of what comes from a participant. */
  ofParticipant(participant: string): Quality | undefined {
    const keys = [...this.#received].filter(([, kept]) => kept.participant === participant).map(([key]) => key)
    return worstQuality(keys.map((key) => this.quality(key)))
  }

  /** The worst of what this page sends. */
  ofLocal(): Quality | undefined {
    return worstQuality([...this.#sent.keys()].map((key) => this.quality(key)))
  }

  #lookAtReceived(key: string, mesh: MeshReceiveStats, worker: ReceiveStats, facts: ReceivedFacts, about: About): void {
    const { nowMs, ms } = about
    let kept = this.#received.get(key)
    if (kept === undefined) {
      const causes = { network: 0, cpu: 0, source: 0, hidden: 0 }
      kept = { ...fresh<ReceivedBefore>(nowMs), causes, participant: facts.participant }
      this.#received.set(key, kept)
    }
    const { before } = kept
    const arrived = before === undefined || mesh.frames > before.mesh.frames
    const after = { mesh, worker, arrivedAtMs: arrived || before === undefined ? nowMs : before.arrivedAtMs }
    kept.before = after
    // Nothing is judged before it has begun, nor what rests on purpose.
    if (facts.muted || mesh.frames === 0) {
      kept.sinceMs = nowMs
      after.arrivedAtMs = nowMs
      kept.judged = false
      return
    }
    if (before === undefined || ms === 0) return
    const rttMs = rttOf(mesh.from, about.links)
    const settled = nowMs - kept.sinceMs > SETTLE_MS
    if (worker.kind === "audio") {
      if (!settled) return
      kept.judged = true
      const concealedMs = grown(worker.concealedMs, before.worker.concealedMs)
      const silentMs = nowMs - after.arrivedAtMs
      const sample = { ms, frames: mesh.frames - before.mesh.frames, silentMs, concealedMs, bufferMs: worker.bufferMs, rttMs }
      kept.score.add(assessSound(sample), nowMs)
      return
    }
    const frames = grown(mesh.frames, before.mesh.frames)
    const lostFrames = grown(mesh.lostFrames, before.mesh.lostFrames)
    const ended = grown(worker.freezes?.count, before.worker.freezes?.count)
    const frozenMs = worker.freezes?.openMs ?? 0
    const last = ended > 0 ? worker.freezes?.last : undefined
    const cause = freezeCause({
      hidden: about.look.hidden,
      capturedShare: last === undefined ? undefined : last.capturedMs / Math.max(1, last.ms),
      lostFrames,
      arrived: frames,
      decodeMs: worker.decodeMs ?? 0,
      intervalMs: 1_000 / (worker.frameRate || facts.frameRate || 30),
      othersArrive: this.#othersArrive(facts.participant, key, nowMs),
    })
    // A screen that does not change sends nothing: that is no fault of anybody.
    const still = facts.source === "screen" && cause === "source"
    kept.causes[cause] += ended
    if (!settled || about.look.hidden) return
    kept.judged = true
    const freezeMs = Math.min(ms, grown(worker.freezes?.totalMs, before.worker.freezes?.totalMs))
    const sample = {
      ms,
      frames,
      lostFrames,
      lateFrames: Math.max(0, frames - grown(mesh.within150, before.mesh.within150)),
      skippedFrames: grown(worker.skippedFrames, before.worker.skippedFrames),
      shownFrames: grown(worker.renderedFrames, before.worker.renderedFrames),
      expectedFps: facts.source === "screen" ? undefined : sensible(facts.frameRate),
      freezeMs: still ? 0 : freezeMs,
      frozenMs: still ? 0 : frozenMs,
      cause,
      decodeMs: worker.decodeMs ?? 0,
      rttMs,
    }
    kept.score.add(assessPicture(sample), nowMs)
  }

  #lookAtSent(key: string, mesh: MeshSendStats, worker: PublishStreamStats, facts: SentFacts, about: About): void {
    const { nowMs, ms } = about
    let kept = this.#sent.get(key)
    if (kept === undefined) {
      kept = { ...fresh<SentBefore>(nowMs), most: 0 }
      this.#sent.set(key, kept)
    }
    const { before } = kept
    kept.before = { mesh, worker }
    if (facts.muted || mesh.subscribers.length === 0) {
      kept.sinceMs = nowMs
      kept.judged = false
      return
    }
    if (before === undefined || ms === 0) return
    const target = mesh.targetBitrate
    if (target !== undefined) kept.most = Math.min(WHOLE_BITRATE, Math.max(kept.most, target))
    if (nowMs - kept.sinceMs <= SETTLE_MS) return
    kept.judged = true
    const encoded = grown(worker.frames, before.worker.frames)
    const sourceFps = ((encoded + grown(worker.droppedFrames, before.worker.droppedFrames)) * 1_000) / ms
    const askedFps = mesh.kind === "video" && facts.source !== "screen" ? sensible(facts.askedFps) : undefined
    const encodedFps = (encoded * 1_000) / ms
    const due = Math.min(sourceFps, askedFps ?? encodedFps)
    const links = mesh.subscribers.flatMap((peer) => about.links.get(peer) ?? [])
    const sample = {
      kind: mesh.kind,
      askedFps,
      sourceFps,
      encoderLoad: (worker.encodeMs * encodedFps) / 1_000,
      droppedShare: due > 0 ? Math.max(0, 1 - encodedFps / due) : 0,
      heldBack: worker.loadLevel ?? 0,
      allowedShare: target === undefined || kept.most === 0 ? 1 : target / kept.most,
      // One bad link is the trouble of that receiver; what all links have in common is ours.
      loss: least(links, (link) => link.lossPct / 100) ?? 0,
      queueMs: least(links, (link) => link.queueMs) ?? 0,
      rttMs: least(links, (link) => link.rttMs),
    }
    kept.score.add(assessSending(sample), nowMs)
  }

  /** Whether another stream of the same sender brought something since the last look. */
  #othersArrive(participant: string, key: string, nowMs: number): boolean | undefined {
    let found: boolean | undefined
    for (const [other, kept] of this.#received) {
      if (other === key || kept.participant !== participant || !kept.judged || kept.before === undefined) continue
      found = found === true || nowMs - kept.before.arrivedAtMs < 1_500
    }
    return found
  }

  /** The page stood still: what the counters gained in that time says nothing about a second of it. */
  #startOver(nowMs: number): void {
    for (const kept of [...this.#received.values(), ...this.#sent.values()]) {
      kept.before = undefined
      kept.sinceMs = nowMs
    }
  }
}

interface About {
  look: Look
  nowMs: number
  ms: number
  links: ReadonlyMap<string, MeshLinkStats>
}

function fresh<Before>(nowMs: number): Kept<Before> {
  return { score: new QualityScore(), sinceMs: nowMs, before: undefined, judged: false }
}

function linksByPeer(links: readonly MeshLinkStats[]): ReadonlyMap<string, MeshLinkStats> {
  return new Map(links.flatMap((link) => (link.peer === undefined ? [] : [[link.peer, link] as const])))
}

/** Of the best of several parents. */
function rttOf(peers: readonly string[], links: ReadonlyMap<string, MeshLinkStats>): number | undefined {
  const through = peers.flatMap((peer) => links.get(peer) ?? [])
  return least(through, (link) => link.rttMs)
}

function least(links: readonly MeshLinkStats[], of: (link: MeshLinkStats) => number | undefined): number | undefined {
  const values = links.map(of).filter((value) => value !== undefined)
  return values.length === 0 ? undefined : Math.min(...values)
}

/** A counter that started anew has grown by nothing. */
function grown(now: number | undefined, before: number | undefined): number {
  return Math.max(0, (now ?? 0) - (before ?? 0))
}

function sensible(fps: number | undefined): number | undefined {
  return fps !== undefined && fps > 0 && fps <= MAX_FPS ? fps : undefined
}
