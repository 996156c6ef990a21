/** The local side of media: tracks become sources and streams in the workers, and descriptors in this member's state. */
import type { VideoEncoding } from "../media/types.ts"
import { codecNameOf, codecsBelow, VIDEO_CODECS, type VideoCodecName } from "../media/video-codecs.ts"
import { AvError } from "../wire/errors.ts"
import type { TrackState } from "../wire/index.ts"
import { type CodecMix, chooseMix } from "./codec-mix.ts"
import { LocalPublication, type PublicationHost, type PublishedStream } from "./publication.ts"
import { type StarterHost, StreamStarter, withEncoding } from "./stream-starter.ts"
import type { PublishOptions, TrackKind, TrackSource } from "./types.ts"

const MAX_PUBLICATIONS = 16
/** A state of 16 KiB (RM-19) holds some 22 descriptors: from so many streams on tracks get one size only, and one codec. */
const ROOMY_STREAMS = 7
const LABELS: Record<TrackSource, string> = { camera: "cam", microphone: "mic", screen: "screen", other: "track" }
/** An encoding that was replaced goes on for this time, so that nobody sees a gap, ms. */
const RETIRE_MS = 3_000
/** A better codec is taken when the audience has allowed it for this time, ms: people who come back do not change it twice. */
const BETTER_AFTER_MS = 5_000
/** Share of the time between two frames that encoding may take for a second encoding to be affordable. */
const SECOND_SHARE = 0.4
/** The tracks of a share end one after the other within this time, ms. */
const SHARE_END_MS = 50

/** What publications need from the room around them. */
interface PublishingHost extends StarterHost {
  /** Puts a track behind a source of the publish worker; returns what lets go of it. */
  addSource(sourceKey: string, track: MediaStreamTrack): Promise<() => void>
  removeSource(sourceKey: string): void
  setSourceMuted(sourceKey: string, muted: boolean): Promise<void>
  /** The tracks in this member's state changed. */
  changed(urgent: boolean): void
  deviceLost(publication: LocalPublication): void
  /** The browser ended a share; these have been unpublished. */
  shareEnded(publications: readonly LocalPublication[]): void
  warn(error: unknown): void
}

/** What is remembered of a publication beside what the application sees. */
interface Work {
  options: PublishOptions
  /** Tracks that were published together. */
  group: object
  mix: CodecMix
  /** Codecs left after one turned out too slow. */
  left: readonly VideoCodecName[]
  affordsSecond: boolean
  /** Changes of the encodings, one after the other. */
  line: Promise<void>
  timer: ReturnType<typeof setTimeout> | undefined
  retired: Set<PublishedStream>
}

/** All local publications of a room. */
export class Publications implements PublicationHost {
  readonly #host: PublishingHost
  readonly #starter: StreamStarter
  readonly #byLabel = new Map<string, LocalPublication>()
  readonly #work = new WeakMap<LocalPublication, Work>()
  #audience: readonly (readonly VideoCodecName[] | undefined)[] = []

  constructor(host: PublishingHost) {
    this.#host = host
    this.#starter = new StreamStarter(host)
  }

  get all(): readonly LocalPublication[] {
    return [...this.#byLabel.values()]
  }

  byLabel(label: string): LocalPublication | undefined {
    return this.#byLabel.get(label)
  }

  byStreamKey(streamKey: string): LocalPublication | undefined {
    return this.all.find(({ streams }) => streams.some((stream) => stream.streamKey === streamKey))
  }

  stream(streamKey: string): PublishedStream | undefined {
    return this.byStreamKey(streamKey)?.streams.find((stream) => stream.streamKey === streamKey)
  }

  /** Publishes every live track of `media`. All or none: a failure takes back what was started. */
  async publish(media: MediaStream | MediaStreamTrack, options: PublishOptions = {}): Promise<LocalPublication[]> {
    const tracks = media instanceof MediaStreamTrack ? [media] : media.getTracks()
    // The sound of a screen does not say that it is one.
    const source = options.source ?? (tracks.some(isScreen) ? "screen" : undefined)
    const group = {}
    const done: LocalPublication[] = []
    try {
      for (const track of tracks) done.push(await this.#publishTrack(track, source ?? usualSource(track), options, group))
      return done
    } catch (error) {
      for (const publication of done) await this.unpublish(publication)
      throw error
    }
  }

  async unpublish(publication: LocalPublication): Promise<void> {
    if (this.#byLabel.get(publication.label) !== publication) return
    this.#end(publication)
    this.#host.changed(true)
  }

  async setMuted(publication: LocalPublication, muted: boolean): Promise<void> {
    if (publication.ended) throw new AvError("TrackUnknown", { publication: publication.id })
    if (publication.muted === muted) return
    publication.muted = muted
    // The encoder is told first, so that the black pictures of a disabled track are never sent as if they were ours.
    if (muted) await this.#host.setSourceMuted(publication.label, true)
    if (publication.track !== undefined) publication.track.enabled = isEnabled(publication)
    if (!muted) await this.#host.setSourceMuted(publication.label, false)
    this.#host.changed(true)
  }

  async replaceTrack(publication: LocalPublication, track: MediaStreamTrack): Promise<void> {
    if (publication.ended) throw new AvError("TrackUnknown", { publication: publication.id })
    if (track.kind !== publication.kind) throw new AvError("UsageError", { expected: publication.kind, actual: track.kind })
    if (track.readyState !== "live") throw new AvError("TrackEnded", { track: track.id })
    publication.release()
    track.enabled = isEnabled(publication)
    publication.track = track
    publication.release = await this.#feed(publication, track)
  }

  /** The room got another id: stream ids contain it, so everything is published anew. */
  async republish(): Promise<void> {
    for (const publication of this.all) await this.#inLine(publication, () => this.#startAnew(publication, "at once"))
    this.#host.changed(true)
  }

  closeAll(): void {
    for (const publication of this.all) this.#end(publication)
  }

  /** The `tracks` of this member's state (RM-19). */
  tracks(): TrackState[] {
    return this.all.flatMap(({ label, kind, source, muted, streams }) =>
      streams.length === 0 ? [] : [{ label, kind, source, muted, streams: streams.map(({ descriptor }) => descriptor) }],
    )
  }

  /** What each of the other members can show; undefined: it did not say. */
  setAudience(audience: readonly (readonly VideoCodecName[] | undefined)[]): void {
    this.#audience = audience
    for (const publication of this.all) if (publication.kind === "video") this.#follow(publication)
  }

  /** The encoder settled on another size: the descriptor follows, the stream stays. */
  encodingChanged(streamKey: string, encoding: VideoEncoding): void {
    const publication = this.byStreamKey(streamKey)
    if (publication === undefined) return
    publication.streams = publication.streams.map((stream) =>
      stream.streamKey === streamKey ? withEncoding(stream, encoding) : stream,
    )
    this.#host.changed(false)
  }

  /** This machine cannot encode with that codec in time: go on with one further down, as new streams. */
  async codecTooSlow(streamKey: string, codec: string): Promise<void> {
    const publication = this.byStreamKey(streamKey)
    const work = publication && this.#work.get(publication)
    const name = codecNameOf(codec)
    if (publication === undefined || work === undefined || name === undefined) return
    await this.#inLine(publication, async () => {
      if (this.byStreamKey(streamKey) !== publication) return
      work.affordsSecond = false
      if (publication.streams.some(({ second }) => second)) return this.#change(publication)
      const before = work.left
      const below = codecsBelow(name).filter((each) => before.includes(each))
      if (below.length === 0) return
      work.left = below
      try {
        await this.#startAnew(publication, "at once")
      } catch (error) {
        // Better slow than not at all.
        work.left = before
        if (publication.ended) throw error
        await this.#startAnew(publication, "at once")
      }
    })
  }

  async #publishTrack(
    track: MediaStreamTrack,
    source: TrackSource,
    options: PublishOptions,
    group: object,
  ): Promise<LocalPublication> {
    if (track.readyState !== "live") throw new AvError("TrackEnded", { track: track.id })
    if (this.#byLabel.size >= MAX_PUBLICATIONS) throw new AvError("TooManyStreams", { max: MAX_PUBLICATIONS })
    if (options.signal?.aborted) throw new AvError("Aborted")
    const kind = track.kind as TrackKind
    const publication = new LocalPublication({ label: this.#freeLabel(source, kind), kind, source, track }, this)
    const left = VIDEO_CODECS.map(({ name }) => name).filter((name) => options.codecs?.includes(name) ?? true)
    const work = { options: this.#roomFor(options), group, mix: { main: left }, left, affordsSecond: true }
    this.#byLabel.set(publication.label, publication)
    this.#work.set(publication, { ...work, line: Promise.resolve(), timer: undefined, retired: new Set() })
    try {
      publication.release = await this.#feed(publication, track)
      await this.#inLine(publication, () => this.#start(publication))
      if (options.signal?.aborted) throw new AvError("Aborted")
    } catch (error) {
      this.#end(publication)
      throw error
    }
    this.#host.changed(true)
    return publication
  }

  /** Members of many tracks get one size of each: their descriptors must fit into a state. */
  #roomFor(options: PublishOptions): PublishOptions {
    return this.#crowded && (options.mode ?? "layers") === "layers" ? { ...options, mode: "single" } : options
  }

  get #crowded(): boolean {
    return this.all.reduce((sum, { streams }) => sum + streams.length, 0) >= ROOMY_STREAMS
  }

  async #feed(publication: LocalPublication, track: MediaStreamTrack): Promise<() => void> {
    const letGo = await this.#host.addSource(publication.label, track)
    const onEnded = () => {
      if (publication.source === "screen") setTimeout(() => this.#shareEnded(publication), SHARE_END_MS)
      else this.#host.deviceLost(publication)
    }
    track.addEventListener("ended", onEnded)
    return () => {
      track.removeEventListener("ended", onEnded)
      letGo()
    }
  }

  /** With its picture the whole share is over, its sound as well; told once. */
  #shareEnded(publication: LocalPublication): void {
    if (publication.ended) return
    const { group } = this.#work.get(publication)!
    const together = this.all.filter((other) => this.#work.get(other)?.group === group)
    const isOver = ({ track }: LocalPublication) => track?.readyState === "ended"
    const picture = together.some((other) => other.kind === "video" && isOver(other))
    const over = together.filter((other) => picture || isOver(other))
    for (const each of over) this.#end(each)
    this.#host.changed(true)
    this.#host.shareEnded(over)
  }

  async #start(publication: LocalPublication): Promise<void> {
    const work = this.#work.get(publication)!
    let streams: PublishedStream[]
    if (publication.kind === "video") {
      work.mix = this.#mixFor(work)
      const video = await this.#starter.video(publication, work.options, work.mix.main)
      streams = video.streams
      if (video.msPerFrame !== undefined && (video.msPerFrame * video.frameRate) / 1_000 > SECOND_SHARE)
        work.affordsSecond = false
    } else streams = [await this.#starter.audio(publication, work.options)]
    if (publication.ended) {
      for (const stream of streams) this.#starter.stop(stream)
      throw new AvError("RoomClosed")
    }
    publication.streams = streams
    if (publication.kind === "video") this.#follow(publication)
  }

  /** The same track as other streams; what went before ends at once, or when the others have had time to change over. */
  async #startAnew(publication: LocalPublication, end: "at once" | "later"): Promise<void> {
    if (publication.ended) return
    const work = this.#work.get(publication)!
    const before = publication.streams
    if (end === "at once") {
      for (const stream of before) this.#starter.stop(stream)
      publication.streams = []
    }
    await this.#start(publication)
    if (end === "later") {
      for (const stream of before) work.retired.add(stream)
      setTimeout(() => this.#stopRetired(work, before), RETIRE_MS)
    }
    this.#host.changed(true)
  }

  #stopRetired(work: Work, streams: readonly PublishedStream[]): void {
    for (const stream of streams) if (work.retired.delete(stream)) this.#starter.stop(stream)
  }

  #mixFor(work: Work): CodecMix {
    return chooseMix(work.left, this.#audience, work.affordsSecond && !this.#crowded)
  }

  /** Looks whether the audience can show what is sent, and could show something better. */
  #follow(publication: LocalPublication): void {
    const work = this.#work.get(publication)
    const running = publication.streams.find(({ second }) => !second)
    if (work === undefined || running === undefined) return
    clearTimeout(work.timer)
    const mix = this.#mixFor(work)
    const name = codecNameOf(running.codec)
    const change = () => this.#inLine(publication, () => this.#change(publication)).catch((error) => this.#host.warn(error))
    if (name !== undefined && !mix.main.includes(name)) void change()
    else if (wantsBetter(mix, work.mix, name)) work.timer = setTimeout(change, BETTER_AFTER_MS)
    else if ((mix.second === undefined) !== !publication.streams.some(({ second }) => second)) void change()
  }

  async #change(publication: LocalPublication): Promise<void> {
    const work = this.#work.get(publication)!
    const running = publication.streams.find(({ second }) => !second)
    if (publication.ended || running === undefined) return
    const mix = this.#mixFor(work)
    const name = codecNameOf(running.codec)
    if ((name !== undefined && !mix.main.includes(name)) || wantsBetter(mix, work.mix, name)) {
      await this.#startAnew(publication, "later")
      return
    }
    work.mix = mix
    const second = publication.streams.find((stream) => stream.second)
    if (mix.second === undefined && second !== undefined) {
      publication.streams = publication.streams.filter((stream) => stream !== second)
      this.#starter.stop(second)
    } else if (mix.second !== undefined && second === undefined) {
      const started = await this.#starter.second(publication, work.options, mix.second)
      if (publication.ended) {
        this.#starter.stop(started)
        return
      }
      publication.streams = [...publication.streams, started]
    } else return
    this.#host.changed(true)
  }

  /** Starts and changes of one publication do not overlap. */
  async #inLine(publication: LocalPublication, step: () => Promise<void>): Promise<void> {
    const work = this.#work.get(publication)!
    const next = work.line.then(step)
    work.line = next.catch(() => undefined)
    await next
  }

  #end(publication: LocalPublication): void {
    if (publication.ended) return
    this.#byLabel.delete(publication.label)
    publication.ended = true
    const work = this.#work.get(publication)
    clearTimeout(work?.timer)
    if (work !== undefined) this.#stopRetired(work, [...work.retired])
    for (const stream of publication.streams) this.#starter.stop(stream)
    publication.streams = []
    publication.release()
    publication.release = () => {}
    this.#host.removeSource(publication.label)
  }

  #freeLabel(source: TrackSource, kind: TrackKind): string {
    const stem = source === "screen" && kind === "audio" ? "screen-sound" : LABELS[source]
    for (let n = 1; ; n++) {
      const label = n === 1 ? stem : `${stem}${n}`
      if (!this.#byLabel.has(label)) return label
    }
  }
}

/** Now a codec is allowed that was not when the streams were started, and is better than what runs. */
function wantsBetter(now: CodecMix, then: CodecMix, running: VideoCodecName | undefined): boolean {
  const better = now.main.slice(0, running === undefined ? 0 : Math.max(0, now.main.indexOf(running)))
  return better.some((name) => !then.main.includes(name))
}

/**
 * A muted camera is switched off. A muted microphone goes on listening, and the publish worker throws away what it hears except
 * for the fact that somebody is talking; an application that wants the device off stops the track and replaces it later.
 */
function isEnabled({ kind, muted }: LocalPublication): boolean {
  return kind === "audio" || !muted
}

function isScreen(track: MediaStreamTrack): boolean {
  return "displaySurface" in track.getSettings()
}

/** Without a word from the caller a track comes from the usual device of its kind. */
function usualSource(track: MediaStreamTrack): TrackSource {
  return track.kind === "audio" ? "microphone" : "camera"
}
