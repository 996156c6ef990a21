/** The local side of media: tracks become sources and streams in the workers, and descriptors in this member's state. */
import type { AudioEncoding, VideoEncoding } from "../media/types.ts"
import { codecNameOf, codecsBelow, type VideoCodecName } from "../media/video-codecs.ts"
import { type MeshPublish, streamKeyOf } from "../pipeline/index.ts"
import type { AudioPublishOptions, VideoPublishOptions } from "../pipeline/publish/types.ts"
import { deriveStreamId } from "../seal/inner/index.ts"
import { AvError } from "../wire/errors.ts"
import type { StreamDescriptor, TrackState } from "../wire/index.ts"
import { CODEC_AV1_SVC, CODEC_OPUS } from "../wire/layers.ts"
import type { Bytes, PeerKeyId, RandomBytes } from "../wire/types.ts"
import { audioDescriptor, videoDescriptor } from "./descriptors.ts"
import { LocalPublication, type PublicationHost } from "./publication.ts"
import type { PublishOptions, TrackKind, TrackSource } from "./types.ts"

/** RM-19 allows 64 streams per member; every publication here is one. */
const MAX_PUBLICATIONS = 16
const LABELS: Record<TrackSource, string> = { camera: "cam", microphone: "mic", screen: "screen", other: "track" }

/** What publications need from the room around them. */
export interface PublishingHost {
  random: RandomBytes
  ownKeyId: PeerKeyId
  roomId(): Bytes
  /** Puts a track behind a source of the publish worker; returns what lets go of it. */
  addSource(sourceKey: string, track: MediaStreamTrack): Promise<() => void>
  removeSource(sourceKey: string): void
  setSourceMuted(sourceKey: string, muted: boolean): Promise<void>
  meshPublish(stream: MeshPublish): Promise<void>
  meshUnpublish(streamId: Bytes): void
  startVideo(streamKey: string, sourceKey: string, options: VideoPublishOptions): Promise<VideoEncoding>
  startAudio(streamKey: string, sourceKey: string, options: AudioPublishOptions): Promise<AudioEncoding>
  stopStream(streamKey: string): void
  /** The tracks in this member's state changed. */
  changed(urgent: boolean): void
  deviceLost(publication: LocalPublication): void
}

/** All local publications of a room. */
export class Publications implements PublicationHost {
  readonly #host: PublishingHost
  readonly #byLabel = new Map<string, LocalPublication>()
  readonly #options = new WeakMap<LocalPublication, PublishOptions>()
  /** Codecs left for a publication whose first choice was too slow. */
  readonly #codecs = new WeakMap<LocalPublication, readonly VideoCodecName[]>()

  constructor(host: PublishingHost) {
    this.#host = host
  }

  get all(): readonly LocalPublication[] {
    return [...this.#byLabel.values()]
  }

  byLabel(label: string): LocalPublication | undefined {
    return this.#byLabel.get(label)
  }

  byStreamKey(streamKey: string): LocalPublication | undefined {
    return this.all.find((publication) => publication.stream?.streamKey === streamKey)
  }

  /** Publishes every live track of `media`. All or none: a failure takes back what was started. */
  async publish(media: MediaStream | MediaStreamTrack, options: PublishOptions = {}): Promise<LocalPublication[]> {
    const tracks = media instanceof MediaStreamTrack ? [media] : media.getTracks()
    const done: LocalPublication[] = []
    try {
      for (const track of tracks) done.push(await this.#publishTrack(track, options))
      return done
    } catch (error) {
      for (const publication of done) await this.unpublish(publication)
      throw error
    }
  }

  async unpublish(publication: LocalPublication): Promise<void> {
    if (this.#byLabel.get(publication.label) !== publication) return
    this.#byLabel.delete(publication.label)
    publication.ended = true
    this.#stop(publication)
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
    for (const publication of this.all) {
      await this.#startAnew(publication)
    }
    this.#host.changed(true)
  }

  closeAll(): void {
    for (const publication of this.all) {
      publication.ended = true
      this.#stop(publication)
    }
    this.#byLabel.clear()
  }

  /** The `tracks` of this member's state (RM-19). */
  tracks(): TrackState[] {
    return this.all.flatMap(({ label, kind, source, muted, stream }) =>
      stream === undefined ? [] : [{ label, kind, source, muted, streams: [stream.descriptor] }],
    )
  }

  /** The encoder settled on another size: the descriptor follows, the stream stays. */
  encodingChanged(streamKey: string, encoding: VideoEncoding): void {
    const publication = this.byStreamKey(streamKey)
    if (publication?.stream === undefined) return
    const { streamId } = publication.stream
    publication.stream = {
      ...publication.stream,
      codec: encoding.codec,
      descriptor: this.#videoDescriptor(publication, streamId, encoding),
    }
    this.#host.changed(false)
  }

  /** This machine cannot encode with that codec in time: go on with one further down, as a new stream. */
  async codecTooSlow(streamKey: string, codec: string): Promise<void> {
    const publication = this.byStreamKey(streamKey)
    const name = codecNameOf(codec)
    const below = name === undefined ? [] : codecsBelow(name)
    if (publication === undefined || below.length === 0) return
    const before = this.#codecs.get(publication)
    this.#codecs.set(publication, below)
    try {
      await this.#startAnew(publication)
    } catch (error) {
      // Better slow than not at all.
      if (before === undefined) this.#codecs.delete(publication)
      else this.#codecs.set(publication, before)
      if (publication.ended) throw error
      await this.#startAnew(publication)
    }
    this.#host.changed(true)
  }

  /** The same track as another stream. */
  async #startAnew(publication: LocalPublication): Promise<void> {
    this.#stopStream(publication)
    publication.instance = this.#host.random(16)
    await this.#start(publication)
  }

  async #publishTrack(track: MediaStreamTrack, options: PublishOptions): Promise<LocalPublication> {
    if (track.readyState !== "live") throw new AvError("TrackEnded", { track: track.id })
    if (this.#byLabel.size >= MAX_PUBLICATIONS) throw new AvError("TooManyStreams", { max: MAX_PUBLICATIONS })
    if (options.signal?.aborted) throw new AvError("Aborted")
    const kind = track.kind as TrackKind
    const source = options.source ?? guessSource(track)
    const init = { label: this.#freeLabel(source, kind), kind, source, track, instance: this.#host.random(16) }
    const publication = new LocalPublication(init, this)
    this.#byLabel.set(publication.label, publication)
    this.#options.set(publication, options)
    try {
      publication.release = await this.#feed(publication, track)
      await this.#start(publication)
      if (options.signal?.aborted) throw new AvError("Aborted")
      if (publication.ended) throw new AvError("RoomClosed")
    } catch (error) {
      this.#byLabel.delete(publication.label)
      publication.ended = true
      this.#stop(publication)
      throw error
    }
    this.#host.changed(true)
    return publication
  }

  async #feed(publication: LocalPublication, track: MediaStreamTrack): Promise<() => void> {
    const letGo = await this.#host.addSource(publication.label, track)
    const onEnded = () => this.#host.deviceLost(publication)
    track.addEventListener("ended", onEnded)
    return () => {
      track.removeEventListener("ended", onEnded)
      letGo()
    }
  }

  async #start(publication: LocalPublication): Promise<void> {
    const { label, kind, instance, track } = publication
    const inputs = {
      sealProfile: 1 as const,
      roomId: this.#host.roomId(),
      publisherKeyId: this.#host.ownKeyId,
      trackLabel: label,
    }
    const streamId = await deriveStreamId({ ...inputs, subStreamPath: new Uint8Array(0), instance })
    const streamKey = streamKeyOf(streamId)
    const options = this.#options.get(publication) ?? {}
    const codecId = kind === "video" ? CODEC_AV1_SVC : CODEC_OPUS
    await this.#host.meshPublish({ streamId, sealProfile: 1, kind, codecId, fountain: kind === "video" })
    try {
      const bitrate = options.maxBitrate === undefined ? {} : { maxBitrate: options.maxBitrate }
      if (kind === "video") {
        const settings = track?.getSettings() ?? {}
        const left = this.#codecs.get(publication)
        const codecs = left === undefined ? {} : { codecs: left }
        const encoding = await this.#host.startVideo(streamKey, label, {
          width: settings.width ?? 640,
          height: settings.height ?? 360,
          frameRate: Math.min(30, options.frameRate ?? settings.frameRate ?? 30),
          detail: publication.source === "screen",
          ...bitrate,
          ...codecs,
        })
        publication.stream = {
          streamId,
          streamKey,
          codec: encoding.codec,
          descriptor: this.#videoDescriptor(publication, streamId, encoding),
        }
      } else {
        const encoding = await this.#host.startAudio(streamKey, label, { ...bitrate, music: publication.source === "screen" })
        const base = { ...inputs, streamId, instance }
        publication.stream = { streamId, streamKey, codec: encoding.codec, descriptor: audioDescriptor(base, encoding) }
      }
    } catch (error) {
      this.#host.meshUnpublish(streamId)
      throw error
    }
  }

  #videoDescriptor(publication: LocalPublication, streamId: Bytes, encoding: VideoEncoding): StreamDescriptor {
    const { label, instance } = publication
    const base = { sealProfile: 1 as const, roomId: this.#host.roomId(), publisherKeyId: this.#host.ownKeyId, trackLabel: label }
    return videoDescriptor({ ...base, streamId, instance }, encoding)
  }

  #stop(publication: LocalPublication): void {
    this.#stopStream(publication)
    publication.release()
    publication.release = () => {}
    this.#host.removeSource(publication.label)
  }

  #stopStream(publication: LocalPublication): void {
    if (publication.stream === undefined) return
    this.#host.stopStream(publication.stream.streamKey)
    this.#host.meshUnpublish(publication.stream.streamId)
    publication.stream = undefined
  }

  #freeLabel(source: TrackSource, kind: TrackKind): string {
    const stem = source === "screen" && kind === "audio" ? "screen-sound" : LABELS[source]
    for (let n = 1; ; n++) {
      const label = n === 1 ? stem : `${stem}${n}`
      if (!this.#byLabel.has(label)) return label
    }
  }
}

/**
 * A muted camera is switched off. A muted microphone goes on listening, and the publish worker throws away what it hears except
 * for the fact that somebody is talking; an application that wants the device off stops the track and replaces it later.
 */
function isEnabled({ kind, muted }: LocalPublication): boolean {
  return kind === "audio" || !muted
}

/** Without a word from the caller: screens say so in their settings, everything else is the usual device of its kind. */
function guessSource(track: MediaStreamTrack): TrackSource {
  if ("displaySurface" in track.getSettings()) return "screen"
  return track.kind === "audio" ? "microphone" : "camera"
}
