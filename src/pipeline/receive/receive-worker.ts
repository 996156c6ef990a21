/** The receive worker: streams by name, the sync groups, and the port to the mesh worker. */
import type { Opus } from "../../media/opus/opus.ts"
import { picturesTo } from "../../media/picture-port.ts"
import { SyncGroup } from "../../media/sync-group.ts"
import { AUDIO_SAMPLE_RATE, type MeshToReceive, type ReceiveToMesh } from "../../media/types.ts"
import { codecNameOf } from "../../media/video-codecs.ts"
import { AvError } from "../../wire/errors.ts"
import { Av1Client, type Av1Port } from "../av1/index.ts"
import { AudioReceiver } from "./audio-stream.ts"
import { browserDecoder, type MakePictureDecoder } from "./picture-decoder.ts"
import { PictureOutput } from "./picture-output.ts"
import type { AudioReceiveOptions, ReceiveApi, ReceiveEvent, ReceiveStats, VideoReceiveOptions } from "./types.ts"
import { type ReceiveSink, VideoReceiver } from "./video-stream.ts"

/** Every stream owns a decoder. */
const MAX_STREAMS = 64
/** Frames of a stream that was not added yet are kept this many at most: the key frame may be faster than the main thread. */
const MAX_EARLY = 64
const MAX_EARLY_STREAMS = 16
const MAX_LATENCY_MS = 300

/** Runs inside a worker; `workers/receive.ts` exposes one instance. */
export class ReceiveWorker implements ReceiveApi {
  readonly #streams = new Map<string, VideoReceiver | AudioReceiver>()
  /** Sync groups by name, with the streams in them. */
  readonly #groups = new Map<string, { clock: SyncGroup; streams: Set<string> }>()
  readonly #early = new Map<string, MeshToReceive[]>()
  /** Tracks by the streams that write to them. */
  readonly #outputs = new Map<string, PictureOutput>()
  #mesh: MessagePort | undefined
  #events: MessagePort | undefined
  #av1: Av1Client | undefined
  readonly #loadOpus: (() => Promise<Opus>) | undefined
  #opus: Promise<Opus | undefined> | undefined
  #latencyMs = 20
  #closed = false

  /** @param loadOpus loads the decoder that hides losses; where it fails or is not given, the browser's is used */
  constructor(loadOpus?: () => Promise<Opus>) {
    this.#loadOpus = loadOpus
  }

  setMeshPort(port: MessagePort): void {
    this.#check()
    this.#mesh?.close()
    this.#mesh = port
    port.onmessage = (event: MessageEvent<MeshToReceive>) => this.#fromMesh(event.data)
  }

  setEventPort(port: MessagePort): void {
    this.#check()
    this.#events?.close()
    this.#events = port
  }

  setAv1Port(port: Av1Port): void {
    this.#check()
    this.#av1?.close()
    this.#av1 = new Av1Client(port)
  }

  endAv1(): void {
    this.#av1?.close()
    this.#av1 = undefined
  }

  async addVideo(streamKey: string, options: VideoReceiveOptions, sink: WritableStream<VideoFrame> | MessagePort): Promise<void> {
    this.#checkNew(streamKey)
    const newDecoder = await this.#videoDecoder(options.codec)
    this.#checkNew(streamKey)
    const clock = this.#join(options.group, streamKey)
    const output = new PictureOutput(sink instanceof MessagePort ? picturesTo(sink) : sink)
    this.#outputs.set(streamKey, output)
    this.#add(streamKey, new VideoReceiver(streamKey, options, output, clock, this.#sink, newDecoder))
  }

  addDescription(streamKey: string, options: VideoReceiveOptions, ofStreamKey: string): Promise<void> {
    return this.#addBeside(streamKey, options, ofStreamKey)
  }

  async addReplacement(streamKey: string, options: VideoReceiveOptions, ofStreamKey: string): Promise<void> {
    // Not when it is written: both have the same pictures at the same times, and the old one might always be first.
    await this.#addBeside(streamKey, options, ofStreamKey, { firstDue: () => this.#endOthers(streamKey) })
  }

  /** A stream that writes to the track of another one. */
  async #addBeside(
    streamKey: string,
    options: VideoReceiveOptions,
    ofStreamKey: string,
    more: Partial<ReceiveSink> = {},
  ): Promise<void> {
    this.#checkNew(streamKey)
    const newDecoder = await this.#videoDecoder(options.codec)
    this.#checkNew(streamKey)
    const output = this.#outputs.get(ofStreamKey)
    if (output === undefined) throw new AvError("TrackUnknown", { streamKey: ofStreamKey })
    const clock = this.#join(options.group, streamKey)
    this.#outputs.set(streamKey, output)
    this.#add(streamKey, new VideoReceiver(streamKey, options, output, clock, { ...this.#sink, ...more }, newDecoder))
  }

  /** This stream begins to show: what the track showed before must not come between. */
  #endOthers(streamKey: string): void {
    const output = this.#outputs.get(streamKey)
    for (const [key, other] of this.#outputs) {
      if (key !== streamKey && other === output) this.#streams.get(key)?.close()
    }
  }

  async addAudio(streamKey: string, options: AudioReceiveOptions, port: MessagePort): Promise<void> {
    this.#checkNew(streamKey)
    const opus = options.codec === "opus" ? await this.#loadedOpus() : undefined
    if (opus === undefined) await requireAudioDecoder(options)
    this.#checkNew(streamKey)
    const clock = this.#join(options.group, streamKey)
    this.#add(streamKey, new AudioReceiver(streamKey, options, port, clock, this.#sink, this.#latencyMs, opus))
  }

  setMaxTemporal(streamKey: string, maxTemporal: number): void {
    this.#check()
    const stream = this.#streams.get(streamKey)
    if (stream instanceof VideoReceiver) stream.setMaxTemporal(maxTemporal)
  }

  setMuted(streamKey: string, muted: boolean): void {
    this.#check()
    this.#streams.get(streamKey)?.setMuted(muted)
  }

  setOutputLatency(ms: number): void {
    this.#check()
    if (!Number.isFinite(ms)) return
    this.#latencyMs = Math.min(MAX_LATENCY_MS, Math.max(0, ms))
    for (const stream of this.#streams.values()) if (stream instanceof AudioReceiver) stream.setOutputLatency(this.#latencyMs)
  }

  removeStream(streamKey: string): void {
    this.#check()
    this.#early.delete(streamKey)
    this.#streams.get(streamKey)?.close()
    this.#streams.delete(streamKey)
    this.#outputs.delete(streamKey)
    for (const [name, { streams }] of this.#groups) {
      streams.delete(streamKey)
      if (streams.size === 0) this.#groups.delete(name)
    }
  }

  resetGaps(streamKey?: string): void {
    this.#check()
    for (const [key, stream] of this.#streams) if (streamKey === undefined || key === streamKey) stream.resetGaps()
  }

  stats(): ReceiveStats[] {
    this.#check()
    return [...this.#streams.values()].map((stream) => stream.stats())
  }

  close(): void {
    if (this.#closed) return
    for (const stream of this.#streams.values()) stream.close()
    this.#streams.clear()
    this.#outputs.clear()
    this.#groups.clear()
    this.#early.clear()
    this.#mesh?.close()
    this.#events?.close()
    this.#av1?.close()
    this.#closed = true
  }

  readonly #sink: ReceiveSink = {
    event: (event: ReceiveEvent): void => this.#events?.postMessage(event),
    needKeyframe: (streamKey: string): void => {
      const message: ReceiveToMesh = { type: "need-keyframe", streamKey }
      this.#mesh?.postMessage(message)
    },
  }

  #fromMesh(message: MeshToReceive): void {
    if (this.#closed) return
    const stream = this.#streams.get(message.streamKey)
    if (stream === undefined) this.#keepEarly(message)
    else if (message.type === "frame") stream.receive(message)
    else stream.lost(message.frameId)
  }

  #keepEarly(message: MeshToReceive): void {
    let kept = this.#early.get(message.streamKey)
    if (kept === undefined) {
      if (this.#early.size >= MAX_EARLY_STREAMS) return
      kept = []
      this.#early.set(message.streamKey, kept)
    }
    kept.push(message)
    if (kept.length > MAX_EARLY) kept.shift()
  }

  #add(streamKey: string, stream: VideoReceiver | AudioReceiver): void {
    this.#streams.set(streamKey, stream)
    const early = this.#early.get(streamKey) ?? []
    this.#early.delete(streamKey)
    for (const message of early) this.#fromMesh(message)
  }

  /** The browser's decoder where it has one, else ours. */
  async #videoDecoder(codec: string): Promise<MakePictureDecoder> {
    if (await decodes(codec)) return browserDecoder
    const av1 = codecNameOf(codec) === "av1" ? this.#av1 : undefined
    if (av1 === undefined) throw unsupported(`VideoDecoder for ${codec}`, "show this video")
    await av1.check()
    return (_, sink) => av1.decoder(sink)
  }

  /** Loaded with the first audio stream; a policy that forbids WebAssembly is no reason to be silent. */
  #loadedOpus(): Promise<Opus | undefined> {
    this.#opus ??= this.#loadOpus === undefined ? Promise.resolve(undefined) : this.#loadOpus().catch(() => undefined)
    return this.#opus
  }

  #join(name: string, streamKey: string): SyncGroup {
    let group = this.#groups.get(name)
    if (group === undefined) {
      group = { clock: new SyncGroup(), streams: new Set() }
      this.#groups.set(name, group)
    }
    group.streams.add(streamKey)
    return group.clock
  }

  #checkNew(streamKey: string): void {
    this.#check()
    if (this.#streams.has(streamKey)) throw new AvError("UsageError", { streamKey }, { message: "This stream is added already." })
    if (this.#streams.size >= MAX_STREAMS) throw new AvError("LimitExceeded", { limit: MAX_STREAMS, what: "received streams" })
  }

  #check(): void {
    if (this.#closed) throw new AvError("HandleClosedError", { handle: "receive worker" })
  }
}

async function decodes(codec: string): Promise<boolean> {
  if (typeof VideoDecoder === "undefined") return false
  const support = await VideoDecoder.isConfigSupported({ codec }).catch(() => undefined)
  return support?.supported === true
}

async function requireAudioDecoder({ codec, channels }: AudioReceiveOptions): Promise<void> {
  const config = { codec, sampleRate: AUDIO_SAMPLE_RATE, numberOfChannels: channels === 2 ? 2 : 1 }
  const support =
    typeof AudioDecoder === "undefined" ? undefined : await AudioDecoder.isConfigSupported(config).catch(() => undefined)
  if (support?.supported !== true) throw unsupported(`AudioDecoder for ${codec}`, "play this sound")
}

function unsupported(missing: string, purpose: string): AvError {
  return new AvError("MediaUnsupported", { missing }, { message: `This browser cannot ${purpose}: it lacks ${missing}.` })
}
