/** One received audio stream: order → Opus decoder → playout worklet, which is steered to the common delay. */

import { nowUs } from "../../media/capture-clock.ts"
import { FrameOrder } from "../../media/frame-order.ts"
import { JitterEstimator } from "../../media/jitter-estimator.ts"
import type { Opus, SoundPlanes } from "../../media/opus/opus.ts"
import { RateMeter } from "../../media/rate-meter.ts"
import { SpeakingDetector } from "../../media/speaking.ts"
import type { SyncGroup } from "../../media/sync-group.ts"
import {
  AUDIO_PACKET_MS,
  AUDIO_SAMPLE_RATE,
  type EncodedFrame,
  type MeshToReceive,
  type PlayoutCommand,
  type PlayoutReport,
} from "../../media/types.ts"
import { BrowserSoundDecoder, OpusSoundDecoder, type SoundDecoder, type SoundOrigin } from "./sound-decoder.ts"
import type { AudioReceiveOptions, ReceiveStats } from "./types.ts"
import type { ReceiveSink } from "./video-stream.ts"

/** What an even path needs beside the packet that is being played. */
const MIN_BUFFER_MS = 8
/** Blocks on their way to the worklet at most (one second): a suspended AudioContext takes none. */
const MAX_UNDER_WAY = 50
const MAX_IN_DECODER = 25
/**
 * Decoding, two thread borders and one render quantum: so much on an even path, where the buffer's target stays under the first
 * bound, and so much on an uneven one, over the second; ms.
 */
const HANDLING_MS = { even: 3, uneven: 8 }
const TARGET_MS = { even: 20, uneven: 30 }
/** Before so many packets, two seconds, a path is not known to be even. */
const KNOWN_AFTER = 100
/**
 * The delay is corrected when it is off by more than this, every so often, until it is off by less than the small limit. Sound that is
 * later than it need be holds up the picture too, and is brought forward sooner.
 */
const CORRECT_EARLY_MS = 15
const CORRECT_LATE_MS = 7
const CORRECT_UNTIL_MS = 3
const CORRECT_EVERY_MS = 250
const JUMP_BELOW_MS = -250
/** What the ring must still hold when waiting for a missing packet ends. */
const RESERVE_MS = 10
const AUDIO_PACKET_US = AUDIO_PACKET_MS * 1_000
const LEVEL_EVERY_MS = 100
const MAX_ERRORS = 5

type FrameMessage = Extract<MeshToReceive, { type: "frame" }>

interface Arrived {
  frame: EncodedFrame
  arrivalUs: number
}

export class AudioReceiver {
  readonly #key: string
  readonly #options: AudioReceiveOptions
  readonly #group: SyncGroup
  readonly #sink: ReceiveSink
  readonly #port: MessagePort
  readonly #order = new FrameOrder<Arrived>({ temporalLayers: 1 })
  readonly #jitter = new JitterEstimator({ minMs: MIN_BUFFER_MS })
  readonly #rate = new RateMeter()
  readonly #speaking = new SpeakingDetector()
  readonly #opus: Opus | undefined
  #decoder: SoundDecoder
  #report: PlayoutReport | undefined
  #reportAtMs = 0
  #posted = 0
  #sentTargetMs = 0
  #correcting = false
  #correctedAtMs = 0
  #levelAtMs = 0
  #levelWas = 0
  #outputLatencyMs: number
  #muted = false
  #closed = false
  #errorsInARow = 0
  #timer: ReturnType<typeof setTimeout> | undefined
  #longestBase = 0
  #started = false
  #lastPtsUs: number | undefined
  #madeUpMs = 0
  readonly #stats = {
    frames: 0,
    repairedFrames: 0,
    recoveredFrames: 0,
    decodedFrames: 0,
    renderedFrames: 0,
    dropped: 0,
    decoderErrors: 0,
  }

  /** @param opus decodes and hides losses; without it the browser's decoder is used, and holes stay holes */
  constructor(
    key: string,
    options: AudioReceiveOptions,
    port: MessagePort,
    group: SyncGroup,
    sink: ReceiveSink,
    latencyMs: number,
    opus?: Opus,
  ) {
    this.#key = key
    this.#options = options
    this.#group = group
    this.#sink = sink
    this.#port = port
    this.#outputLatencyMs = latencyMs
    this.#opus = opus
    this.#decoder = this.#makeDecoder()
    port.onmessage = (event: MessageEvent<PlayoutReport>) => {
      if (event.data.type === "played") this.#onReport(event.data)
    }
  }

  receive({ frame, frameId, arrivalUs, repaired }: FrameMessage): void {
    if (this.#closed) return
    // The first packet after a pause is often faster than the news that the publisher unmuted.
    if (frame.discontinuity) this.#muted = false
    const nowMs = performance.now()
    const meta = { frameId, keyframe: true, temporalId: 0, bytes: frame.data.byteLength }
    if (this.#order.push(meta, nowMs, { frame, arrivalUs }) === "duplicate") return
    this.#stats.frames++
    if (repaired) this.#stats.repairedFrames++
    if (frame.discontinuity) this.#jitter.rebase()
    this.#rate.add(nowMs, frame.data.byteLength)
    this.#jitter.add(frame.ptsUs, arrivalUs)
    const fastest = this.#jitter.fastestUs
    if (fastest !== undefined) {
      const { targetMs } = this.#jitter
      // From now on less may do: the delay is brought there at once.
      if (this.#stats.frames === KNOWN_AFTER) this.#correcting = true
      const handling = this.#stats.frames < KNOWN_AFTER ? HANDLING_MS.uneven : handlingMs(targetMs)
      const delayMs = targetMs + handling + this.#outputLatencyMs
      this.#group.wish(this.#key, "audio", fastest + delayMs * 1_000)
    }
    this.#pump()
  }

  lost(frameId: number): void {
    this.#order.giveUp(frameId)
    this.#pump()
  }

  setMuted(muted: boolean): void {
    if (muted === this.#muted) return
    this.#muted = muted
    if (!muted) return
    this.#send({ type: "clear" })
    this.#group.forget(this.#key)
    this.#speaking.mute()
    this.#tellLevel(performance.now(), true)
  }

  setOutputLatency(ms: number): void {
    this.#outputLatencyMs = ms
  }

  resetGaps(): void {
    this.#longestBase = this.#report?.longestGapMs ?? 0
  }

  stats(): ReceiveStats {
    const nowMs = performance.now()
    const report = this.#report
    const longest = report?.longestGapMs ?? 0
    const heard = this.#group.heardUs(this.#key, nowUs())
    const fastest = this.#jitter.fastestUs
    const { dropped, ...counts } = this.#stats
    return {
      streamKey: this.#key,
      kind: "audio",
      codec: this.#options.codec,
      ...counts,
      duplicates: this.#order.duplicates,
      lostFrames: this.#order.lost,
      skippedFrames: this.#order.skipped + dropped,
      keyframeRequests: 0,
      bitrate: Math.round(this.#rate.amount(nowMs) * 8),
      jitterMs: heard === undefined || fastest === undefined ? this.#jitter.jitterMs : (heard - fastest) / 1_000,
      bufferMs: this.#jitter.targetMs,
      longestGapMs: longest > this.#longestBase ? longest : 0,
      concealedMs: (report?.concealedMs ?? 0) + this.#madeUpMs,
      ...(report?.ptsUs === undefined ? {} : { lastPtsUs: report.ptsUs }),
    }
  }

  close(): void {
    if (this.#closed) return
    this.#closed = true
    clearTimeout(this.#timer)
    this.#decoder.close()
    this.#group.remove(this.#key)
    this.#port.close()
  }

  #pump(): void {
    if (this.#closed) return
    const nowMs = performance.now()
    const depthMs = this.#depthMs(nowMs)
    // A missing packet may come as long as the ring has something else to play.
    const waitMs = depthMs === undefined ? this.#jitter.targetMs : depthMs > RESERVE_MS ? Number.POSITIVE_INFINITY : 0
    for (const arrived of this.#order.take(nowMs, waitMs)) this.#decode(arrived)
    clearTimeout(this.#timer)
    const deadline = this.#order.deadline(waitMs)
    if (deadline === undefined) return
    const inMs = depthMs === undefined ? deadline - nowMs : depthMs - RESERVE_MS
    this.#timer = setTimeout(() => this.#pump(), Math.max(1, Math.ceil(inMs)))
  }

  /** What the ring and the decoder hold now, as far as the last report allows to say; undefined while nothing plays. */
  #depthMs(nowMs: number): number | undefined {
    const report = this.#report
    if (report?.ptsUs === undefined) return undefined
    const underWay = this.#posted - report.received + this.#decoder.pending
    return report.bufferedMs - (nowMs - this.#reportAtMs) + underWay * AUDIO_PACKET_MS
  }

  #decode({ frame, arrivalUs }: Arrived): void {
    const previousUs = frame.ptsUs - AUDIO_PACKET_US
    const lostOne = this.#lastPtsUs !== undefined && this.#lastPtsUs < previousUs - AUDIO_PACKET_US / 2
    if (lostOne && !frame.discontinuity && this.#opus !== undefined)
      this.#jitter.recovered(previousUs, arrivalUs + RESERVE_MS * 1_000)
    this.#lastPtsUs = frame.ptsUs
    if (this.#decoder.pending >= MAX_IN_DECODER) {
      this.#stats.dropped++
      return
    }
    const bridge = (this.#depthMs(performance.now()) ?? 0) > 0
    this.#decoder.decode({ ptsUs: frame.ptsUs, data: frame.data, discontinuity: frame.discontinuity === true, bridge })
  }

  #sound(ptsUs: number, planes: SoundPlanes, origin: SoundOrigin, discontinuity: boolean): void {
    if (this.#closed || this.#muted) return
    if (origin === "decoded") {
      this.#errorsInARow = 0
      this.#stats.decodedFrames++
    }
    if (this.#posted - (this.#report?.received ?? 0) >= MAX_UNDER_WAY) {
      if (origin === "decoded") this.#stats.dropped++
      return
    }
    if (origin === "recovered") this.#stats.recoveredFrames++
    if (origin === "concealed") this.#madeUpMs += (planes[0]!.length / AUDIO_SAMPLE_RATE) * 1_000
    this.#sendTarget()
    this.#posted++
    this.#stats.renderedFrames++
    const transfer = planes.map((plane) => plane.buffer)
    this.#send({ type: "pcm", ptsUs, channels: planes, discontinuity }, transfer)
  }

  /** What to gather before playing: the common delay, less what the fastest packet has used up already. */
  #sendTarget(): void {
    const target = this.#group.targetUs()
    const fastest = this.#jitter.fastestUs
    if (target === undefined || fastest === undefined) return
    const ms = Math.max(AUDIO_PACKET_MS, (target - fastest) / 1_000 - this.#outputLatencyMs)
    if (Math.abs(ms - this.#sentTargetMs) < 5) return
    this.#sentTargetMs = ms
    this.#send({ type: "target", ms })
  }

  #onReport(report: PlayoutReport): void {
    if (this.#closed) return
    const nowMs = performance.now()
    if (!this.#started && report.ptsUs !== undefined) {
      this.#started = true
      this.#sink.event({ type: "started", streamKey: this.#key })
    }
    this.#report = report
    this.#reportAtMs = nowMs
    if (report.ptsUs !== undefined) {
      const atUs = nowUs()
      this.#group.heard(this.#key, report.ptsUs, atUs + this.#outputLatencyMs * 1_000)
      this.#correct(atUs, nowMs)
    }
    if (!this.#muted) this.#speaking.update(report.rms, nowMs)
    this.#tellLevel(nowMs, false)
  }

  #correct(atUs: number, nowMs: number): void {
    if (nowMs - this.#correctedAtMs < CORRECT_EVERY_MS) return
    this.#correctedAtMs = nowMs
    const target = this.#group.targetUs()
    const heard = this.#group.heardUs(this.#key, atUs)
    if (target === undefined || heard === undefined) return
    const errorMs = (target - heard) / 1_000
    const limit = this.#correcting ? CORRECT_UNTIL_MS : errorMs < 0 ? CORRECT_LATE_MS : CORRECT_EARLY_MS
    const correcting = Math.abs(errorMs) > limit
    if (correcting || this.#correcting) this.#send({ type: "adjust", ms: correcting ? errorMs : 0 })
    if (errorMs < JUMP_BELOW_MS) this.#group.forget(this.#key)
    this.#correcting = correcting
  }

  #tellLevel(nowMs: number, atOnce: boolean): void {
    if (!atOnce && nowMs - this.#levelAtMs < LEVEL_EVERY_MS) return
    this.#levelAtMs = nowMs
    const { speaking } = this.#speaking
    const level = this.#speaking.level < 0.001 ? 0 : this.#speaking.level
    if (level === 0 && this.#levelWas === 0 && !atOnce) return
    this.#levelWas = level
    this.#sink.event({ type: "level", streamKey: this.#key, level, speaking })
  }

  #send(command: PlayoutCommand, transfer: Transferable[] = []): void {
    this.#port.postMessage(command, transfer)
  }

  #makeDecoder(): SoundDecoder {
    const { codec, channels } = this.#options
    const sink = {
      sound: this.#sound.bind(this),
      failed: (cause: unknown) => this.#failed(cause, true),
      garbage: (cause: unknown) => this.#failed(cause, false),
    }
    const numberOfChannels = channels === 2 ? 2 : 1
    if (this.#opus !== undefined) return new OpusSoundDecoder(this.#opus, numberOfChannels, sink)
    return new BrowserSoundDecoder({ codec, sampleRate: AUDIO_SAMPLE_RATE, numberOfChannels }, sink)
  }

  #failed(cause: unknown, useless: boolean): void {
    if (this.#closed) return
    this.#stats.decoderErrors++
    const fatal = ++this.#errorsInARow > MAX_ERRORS
    const message = cause instanceof Error ? cause.message : String(cause)
    this.#sink.event({ type: "decoder-error", streamKey: this.#key, error: "MediaDecodeFailed", message, fatal })
    try {
      if (fatal) this.close()
      else if (useless) this.#decoder = this.#makeDecoder()
    } catch {
      this.close()
    }
  }
}

function handlingMs(targetMs: number): number {
  const share = (targetMs - TARGET_MS.even) / (TARGET_MS.uneven - TARGET_MS.even)
  return HANDLING_MS.even + (HANDLING_MS.uneven - HANDLING_MS.even) * Math.min(1, Math.max(0, share))
}
