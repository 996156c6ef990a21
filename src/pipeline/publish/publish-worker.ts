/** The publish worker: sources and streams by name, and the port to the mesh worker. */
import { picturesFrom } from "../../media/picture-port.ts"
import type { AudioEncoding, EncodedFrame, MeshToPublish, PublishToMesh, VideoEncoding } from "../../media/types.ts"
import { AvError } from "../../wire/errors.ts"
import { AudioSource } from "./audio-source.ts"
import { AudioStream, chooseAudio } from "./audio-stream.ts"
import type { AudioPublishOptions, PublishApi, PublishEvent, PublishStreamStats, VideoPublishOptions } from "./types.ts"
import { chooseVideo } from "./video-choice.ts"
import { VideoSource } from "./video-source.ts"
import { VideoStream } from "./video-stream.ts"

interface Running {
  sourceKey: string
  stream: VideoStream | AudioStream
}

/** Runs inside a worker; `workers/publish.ts` exposes one instance. */
export class PublishWorker implements PublishApi {
  readonly #videoSources = new Map<string, VideoSource>()
  readonly #audioSources = new Map<string, AudioSource>()
  readonly #streams = new Map<string, Running>()
  /** Streams whose encoder is being chosen; `false` once they were stopped meanwhile. */
  readonly #starting = new Map<string, { wanted: boolean }>()
  #mesh: MessagePort | undefined
  #events: MessagePort | undefined
  #closed = false

  setMeshPort(port: MessagePort): void {
    this.#check()
    this.#mesh?.close()
    this.#mesh = port
    port.onmessage = (event: MessageEvent<MeshToPublish>) => this.#fromMesh(event.data)
  }

  setEventPort(port: MessagePort): void {
    this.#check()
    this.#events?.close()
    this.#events = port
  }

  addVideoSource(sourceKey: string, source: ReadableStream<VideoFrame> | MessagePort): void {
    this.#check()
    const readable = source instanceof MessagePort ? picturesFrom(source) : source
    const known = this.#videoSources.get(sourceKey)
    if (known !== undefined) known.replace(readable)
    else {
      const fresh = new VideoSource(readable, () => this.#emit({ type: "source-ended", sourceKey }))
      this.#videoSources.set(sourceKey, fresh)
    }
  }

  addAudioSource(sourceKey: string, port: MessagePort): void {
    this.#check()
    const known = this.#audioSources.get(sourceKey)
    if (known !== undefined) known.replace(port)
    else {
      const source = new AudioSource(
        port,
        (level, speaking) => this.#emit({ type: "level", sourceKey, level, speaking }),
        () => this.#emit({ type: "muted-speech", sourceKey }),
      )
      this.#audioSources.set(sourceKey, source)
    }
  }

  setMuted(sourceKey: string, muted: boolean): void {
    this.#check()
    this.#videoSources.get(sourceKey)?.setMuted(muted)
    this.#audioSources.get(sourceKey)?.setMuted(muted)
  }

  removeSource(sourceKey: string): void {
    this.#check()
    for (const [key, running] of this.#streams) if (running.sourceKey === sourceKey) this.#streams.delete(key)
    this.#videoSources.get(sourceKey)?.close()
    this.#videoSources.delete(sourceKey)
    this.#audioSources.get(sourceKey)?.close()
    this.#audioSources.delete(sourceKey)
  }

  async startVideo(streamKey: string, sourceKey: string, options: VideoPublishOptions): Promise<VideoEncoding> {
    this.#check()
    this.#source(this.#videoSources, sourceKey)
    const chosen = await this.#choose(streamKey, chooseVideo(options))
    const source = this.#source(this.#videoSources, sourceKey)
    const stream = new VideoStream(streamKey, options, chosen, this.#sink)
    source.streams.add(stream)
    this.#streams.set(streamKey, { sourceKey, stream })
    return chosen.encoding
  }

  async startAudio(streamKey: string, sourceKey: string, options: AudioPublishOptions): Promise<AudioEncoding> {
    this.#check()
    this.#source(this.#audioSources, sourceKey)
    const chosen = await this.#choose(streamKey, chooseAudio(options))
    const source = this.#source(this.#audioSources, sourceKey)
    const stream = new AudioStream(streamKey, chosen.config, this.#sink)
    source.streams.add(stream)
    this.#streams.set(streamKey, { sourceKey, stream })
    return chosen.encoding
  }

  stopStream(streamKey: string): void {
    this.#check()
    const starting = this.#starting.get(streamKey)
    if (starting !== undefined) starting.wanted = false
    const running = this.#streams.get(streamKey)
    if (running === undefined) return
    this.#streams.delete(streamKey)
    const { sourceKey, stream } = running
    stream.close()
    if (stream instanceof VideoStream) this.#videoSources.get(sourceKey)?.streams.delete(stream)
    else this.#audioSources.get(sourceKey)?.streams.delete(stream)
  }

  stats(): PublishStreamStats[] {
    this.#check()
    const nowMs = performance.now()
    return [...this.#streams.values()].map(({ stream }) => stream.stats(nowMs))
  }

  close(): void {
    if (this.#closed) return
    for (const key of [...this.#videoSources.keys(), ...this.#audioSources.keys()]) this.removeSource(key)
    this.#mesh?.close()
    this.#events?.close()
    this.#closed = true
  }

  readonly #sink = {
    frame: (streamKey: string, frameId: number, frame: EncodedFrame): void => {
      const message: PublishToMesh = { type: "frame", streamKey, frameId, frame }
      this.#mesh?.postMessage(message, [frame.data])
    },
    event: (event: PublishEvent): void => this.#emit(event),
  }

  #emit(event: PublishEvent): void {
    this.#events?.postMessage(event)
  }

  #fromMesh(message: MeshToPublish): void {
    const stream = this.#streams.get(message.streamKey)?.stream
    if (stream === undefined) return
    if (message.type === "active") stream.setActive(message.active)
    else if (message.type === "bitrate") stream.setBitrate(message.bps)
    else if (!(stream instanceof VideoStream)) return
    else if (message.type === "keyframe") stream.requestKeyframe(performance.now())
    else if (message.type === "wait") stream.wait(message.ms, performance.now())
  }

  /** Waits for the encoder's trial; the stream may be stopped and the worker closed meanwhile. */
  async #choose<T>(streamKey: string, trial: Promise<T>): Promise<T> {
    if (this.#streams.has(streamKey) || this.#starting.has(streamKey)) {
      throw new AvError("UsageError", { streamKey }, { message: "This stream is started already." })
    }
    const state = { wanted: true }
    this.#starting.set(streamKey, state)
    try {
      const chosen = await trial
      this.#check()
      if (!state.wanted) throw new AvError("TrackEnded", { streamKey })
      return chosen
    } finally {
      this.#starting.delete(streamKey)
    }
  }

  #source<S>(sources: ReadonlyMap<string, S>, sourceKey: string): S {
    const source = sources.get(sourceKey)
    if (source === undefined) throw new AvError("TrackUnknown", { sourceKey })
    return source
  }

  #check(): void {
    if (this.#closed) throw new AvError("HandleClosedError", { handle: "publish worker" })
  }
}
