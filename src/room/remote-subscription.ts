/** One remote track as the application holds it: chooses among the streams of the track and changes between them without a gap. */
import type { VideoCodecName } from "../media/video-codecs.ts"
import { AvError, isAvError } from "../wire/errors.ts"
import { UNCAPPED } from "../wire/layers.ts"
import type { PeerKeyId, ReceiverLayerPolicy } from "../wire/types.ts"
import type { RemoteStream } from "./descriptors.ts"
import { LayerChoice, type LayerWish } from "./layer-choice.ts"
import type { RoomParticipant } from "./participant.ts"
import { choosable, type RemoteTrack } from "./remote-track.ts"
import type { RequestHost } from "./stream-request.ts"
import type { LayerInfo, LayerReason, Subscription, TrackKind, TrackSource } from "./types.ts"
import type { ParentWish, Upstream } from "./upstream.ts"
import type { Upstreams } from "./upstreams.ts"

/** A larger rung that has shown nothing after this time does not fit, ms. */
const START_MS = 8_000
/** A publisher gets this long to make something that we can show before we say that it does not, ms. */
const UNSHOWABLE_MS = 5_000

/** A track made of a remote stream, and how to let go of it. */
export interface RemoteOutput {
  track: MediaStreamTrack
  setVolume(volume: number): void
  close(): void
}

/** What a subscription needs from the room around it. */
export interface SubscriptionHost extends RequestHost {
  /** Monotonic milliseconds. */
  now(): number
  /** Video codecs that this page shows; undefined: not known yet. */
  decodes(): readonly VideoCodecName[] | undefined
  /** Codecs that a decoder of ours shows. */
  ownDecoders(): readonly VideoCodecName[]
  /** Makes decoder and track. Throws `MediaUnsupported` when this browser cannot decode it. */
  openOutput(keyId: PeerKeyId, stream: RemoteStream): Promise<RemoteOutput>
  /** Another decoder for the track of `ofStreamKey`: beside what writes to it, or in its place from its first picture on. */
  addToOutput(keyId: PeerKeyId, stream: RemoteStream, ofStreamKey: string, how: "beside" | "instead"): Promise<void>
  /** Ends a decoder; the track lives while another one writes to it. */
  removeFromOutput(streamKey: string): void
  setOutputMuted(streamKey: string, muted: boolean): void
  setMaxTemporal(streamKey: string, maxTemporal: number): void
  started(subscription: RemoteSubscription): void
  ended(subscription: RemoteSubscription): void
  mutedChanged(subscription: RemoteSubscription): void
  layerChanged(subscription: RemoteSubscription, layer: LayerInfo): void
  warn(error: AvError): void
}

/** A stream of the track that is being received, or is to be. */
interface Leg {
  stream: RemoteStream
  upstream: Upstream
  /** Its pictures are on the track, or nothing was there before it. */
  showing: boolean
  startedAt: number
}

export class RemoteSubscription implements Subscription {
  readonly id: string
  readonly kind: TrackKind
  readonly source: TrackSource
  readonly participant: RoomParticipant
  readonly #host: SubscriptionHost
  readonly #upstreams: Upstreams
  readonly #choice = new LayerChoice()
  readonly #legs = new Map<string, Leg>()
  /** Streams that no decoder takes. */
  readonly #failed = new Set<string>()
  #track: RemoteTrack
  #parents: readonly ParentWish[] = []
  #output: RemoteOutput | undefined
  #policy: ReceiverLayerPolicy = UNCAPPED
  #pinned: number | undefined
  #size: LayerWish["size"]
  #descriptions: readonly number[] | undefined
  #layer: LayerInfo | undefined
  #settling = false
  #again = false
  #closed = false
  #timer: ReturnType<typeof setTimeout> | undefined
  #unshowableSince: number | undefined

  constructor(participant: RoomParticipant, track: RemoteTrack, upstreams: Upstreams, host: SubscriptionHost) {
    this.id = `${participant.id}/${track.label}`
    this.kind = track.kind
    this.source = track.source
    this.participant = participant
    this.#track = track
    this.#host = host
    this.#upstreams = upstreams
  }

  get track(): MediaStreamTrack {
    if (this.#output === undefined) throw new AvError("TrackUnknown", { subscription: this.id })
    return this.#output.track
  }

  get muted(): boolean {
    return this.#track.muted
  }

  get layer(): LayerInfo | undefined {
    return this.#layer
  }

  /** The stream shown now, or the first one offered. */
  get stream(): RemoteStream {
    const showing = [...this.#legs.values()].find((leg) => leg.showing) ?? this.#legs.values().next().value
    return showing?.stream ?? this.#track.streams[0]!
  }

  setVolume(volume: number): void {
    this.#output?.setVolume(volume)
  }

  setPolicy(policy: ReceiverLayerPolicy): void {
    this.#policy = policy
    for (const { stream, upstream } of this.#legs.values()) {
      this.#host.setMaxTemporal(stream.streamKey, policy.maxTemporal)
      upstream.policyChanged()
    }
    this.settle()
  }

  pinLayer(spatial: number | undefined): void {
    this.#pinned = spatial
    this.settle()
  }

  setDisplaySize(size: { width: number; height: number } | "hidden" | undefined): void {
    this.#size = size === "hidden" ? { width: 0, height: 0 } : size
    this.settle()
  }

  setDescriptions(numbers: readonly number[] | undefined): void {
    this.#descriptions = numbers
    this.settle()
  }

  /** The publisher's state names the track like this now. */
  update(track: RemoteTrack): void {
    const { muted } = this
    this.#track = track
    for (const key of this.#failed) if (!track.streams.some(({ streamKey }) => streamKey === key)) this.#failed.delete(key)
    if (track.muted !== muted) {
      this.#muteLegs()
      if (this.#output !== undefined) this.#host.mutedChanged(this)
    }
    this.settle()
  }

  get policy(): ReceiverLayerPolicy {
    return this.#policy
  }

  has(streamKey: string): boolean {
    return this.#legs.has(streamKey)
  }

  /** A stream that is received or about to be. */
  streamOf(streamKey: string): RemoteStream | undefined {
    return this.#legs.get(streamKey)?.stream
  }

  /**
   * Where the streams of this track are taken from, in place of the publisher. Not for applications: whoever plans the tree of a stream
   * calls it.
   */
  setParents(parents: readonly ParentWish[]): void {
    this.#parents = [...parents]
    for (const { upstream } of this.#legs.values()) upstream.setParents(parents)
  }

  /** The publisher can be reached (again): what did not fit before is tried once more. */
  linkReady(): void {
    this.#choice.forget()
    this.settle()
  }

  /** The publisher says that the stream does not fit. */
  tooLarge(streamKey: string): void {
    const leg = this.#legs.get(streamKey)
    if (leg === undefined) return
    this.#choice.refused(leg.stream.spatial, this.#host.now())
    this.settle()
  }

  /** Its decoder does not keep up. The lowest rung stays: a picture that comes late is better than none. */
  tooSlow(streamKey: string): void {
    const leg = this.#legs.get(streamKey)
    if (leg === undefined || !leg.showing) return
    this.#choice.refused(leg.stream.spatial, this.#host.now(), "cpu")
    this.settle()
  }

  /** The first picture of a stream is on the track. */
  pictureCame(streamKey: string): void {
    const leg = this.#legs.get(streamKey)
    if (leg === undefined) return
    leg.showing = true
    this.settle()
  }

  close(tell: boolean): void {
    if (this.#closed) return
    this.#closed = true
    clearTimeout(this.#timer)
    if (this.participant.tracks.get(this.id) === this) this.participant.tracks.delete(this.id)
    for (const leg of [...this.#legs.values()]) this.#drop(leg, tell)
    if (this.#output === undefined) return
    this.#host.ended(this)
    this.#output.close()
  }

  /** Brings what is received in line with what is wanted. Steps that wait are taken one after the other. */
  settle(): void {
    this.#again = true
    if (this.#settling || this.#closed) return
    this.#settling = true
    void this.#run()
  }

  async #run(): Promise<void> {
    while (this.#again && !this.#closed) {
      this.#again = false
      await this.#step()
    }
    this.#settling = false
  }

  async #step(): Promise<void> {
    const now = this.#host.now()
    const offered = choosable(this.#track, this.#host.decodes(), this.#host.ownDecoders()).filter(
      ({ streamKey }) => !this.#failed.has(streamKey),
    )
    this.#sayUnshowable(offered.length === 0, now)
    const { wanted, reason } = this.#choose(offered, now)
    for (const stream of wanted) {
      if (this.#legs.has(stream.streamKey)) continue
      const opened = await this.#open(stream)
      if (this.#closed) return
      if (!opened) {
        this.#again = true
        return
      }
    }
    for (const stream of wanted) this.#legs.get(stream.streamKey)?.upstream.start(() => this.#policy)
    if (reason === "hidden") for (const leg of this.#legs.values()) leg.upstream.stop(true)
    else if (wanted.length > 0) this.#dropOthers(wanted)
    this.#muteLegs()
    this.#tellLayer(wanted, offered, reason)
    this.#wakeLater(offered, now)
  }

  #choose(offered: readonly RemoteStream[], now: number): { wanted: RemoteStream[]; reason: LayerReason } {
    if (offered.length === 0) return { wanted: [], reason: "best" }
    if (this.kind === "audio") return { wanted: [offered[0]!], reason: "best" }
    this.#refuseSlow(offered, now)
    const wish: LayerWish = { maxSpatial: this.#policy.maxSpatial }
    if (this.#pinned !== undefined) wish.pinned = this.#pinned
    if (this.#size !== undefined) wish.size = this.#size
    const { spatial, reason } = this.#choice.choose(offered, wish, now)
    if (spatial === undefined) return { wanted: [], reason }
    if (offered[0]!.description === undefined) return { wanted: offered.filter((stream) => stream.spatial === spatial), reason }
    const numbers = this.#descriptions
    const some = offered.filter(({ description = 0 }) => numbers?.includes(description) ?? true)
    return { wanted: some, reason: some.length < offered.length ? "policy" : reason }
  }

  /** A larger rung that does not begin is one that does not fit. */
  #refuseSlow(offered: readonly RemoteStream[], now: number): void {
    const shown = [...this.#legs.values()].find((leg) => leg.showing)
    if (shown === undefined || !offered.includes(shown.stream)) return
    for (const { stream, showing, startedAt } of this.#legs.values()) {
      if (showing || stream.spatial <= shown.stream.spatial || now - startedAt < START_MS) continue
      this.#choice.refused(stream.spatial, now)
    }
  }

  /** False when no decoder takes the stream. */
  async #open(stream: RemoteStream): Promise<boolean> {
    const { id: keyId } = this.participant
    const { streamKey } = stream
    try {
      const anchor = [...this.#legs.values()].find((leg) => leg.showing) ?? this.#legs.values().next().value
      if (this.#output === undefined || anchor === undefined) {
        const output = await this.#host.openOutput(keyId, stream)
        if (this.#closed) {
          output.close()
          return false
        }
        this.#output = output
        output.setVolume(this.participant.volume)
        this.#addLeg(stream, true)
        this.participant.tracks.set(this.id, this)
        this.#host.started(this)
        return true
      }
      const beside = stream.description !== undefined && anchor.stream.description !== undefined
      await this.#host.addToOutput(keyId, stream, anchor.stream.streamKey, beside ? "beside" : "instead")
      if (this.#closed) this.#host.removeFromOutput(streamKey)
      else this.#addLeg(stream, false)
      return true
    } catch (error) {
      if (this.#closed) return false
      this.#failed.add(streamKey)
      this.#host.warn(isAvError(error) ? error : new AvError("MediaDecodeFailed", { stream: this.id }, { cause: error }))
      return false
    }
  }

  #addLeg(stream: RemoteStream, showing: boolean): void {
    const upstream = this.#upstreams.claim(stream, this.participant.id)
    if (this.#parents.length > 0) upstream.setParents(this.#parents)
    this.#legs.set(stream.streamKey, { stream, upstream, showing, startedAt: this.#host.now() })
    if (this.#policy.maxTemporal < UNCAPPED.maxTemporal) this.#host.setMaxTemporal(stream.streamKey, this.#policy.maxTemporal)
  }

  /** What is shown goes only when its successor shows something; what was on its way goes at once. */
  #dropOthers(wanted: readonly RemoteStream[]): void {
    const isWanted = ({ stream }: Leg) => wanted.some(({ streamKey }) => streamKey === stream.streamKey)
    const legs = [...this.#legs.values()]
    const replaced = legs.some((leg) => isWanted(leg) && leg.showing)
    for (const leg of legs) if (!isWanted(leg) && (replaced || !leg.showing)) this.#drop(leg, true)
  }

  #drop({ stream }: Leg, tell: boolean): void {
    this.#legs.delete(stream.streamKey)
    this.#upstreams.release(stream.streamKey, tell)
    this.#host.removeFromOutput(stream.streamKey)
  }

  /** A picture that is hidden or muted makes no gap when it does not come. */
  #muteLegs(): void {
    const muted = this.muted || (this.kind === "video" && this.#size !== undefined && this.#size.width <= 0)
    for (const leg of this.#legs.values()) this.#host.setOutputMuted(leg.stream.streamKey, muted)
  }

  #tellLayer(wanted: readonly RemoteStream[], offered: readonly RemoteStream[], reason: LayerReason): void {
    if (this.kind !== "video" || this.#output === undefined) return
    const shown = [...this.#legs.values()].flatMap(({ stream, showing }) => (showing && wanted.includes(stream) ? [stream] : []))
    const first = shown[0] ?? (reason === "hidden" ? this.stream : undefined)
    if (first === undefined) return
    const numbers = shown.flatMap(({ description }) => (description === undefined ? [] : [description])).sort()
    const layer: LayerInfo = {
      spatial: reason === "hidden" ? undefined : first.spatial,
      spatialLayers: new Set(offered.map(({ spatial }) => spatial)).size,
      width: first.width,
      height: first.height,
      codec: first.codec,
      ...(numbers.length > 0 ? { descriptions: numbers } : {}),
      reason,
    }
    const changed = JSON.stringify(layer) !== JSON.stringify(this.#layer)
    this.#layer = layer
    if (changed) this.#host.layerChanged(this, layer)
  }

  #sayUnshowable(unshowable: boolean, now: number): void {
    if (!unshowable || this.#track.streams.length === 0) {
      this.#unshowableSince = undefined
      return
    }
    this.#unshowableSince ??= now
    if (now - this.#unshowableSince < UNSHOWABLE_MS) return
    this.#unshowableSince = Number.POSITIVE_INFINITY
    const missing = `a decoder for ${this.#track.streams.map(({ codec }) => codec).join(", ")}`
    this.#host.warn(new AvError("MediaUnsupported", { missing, subscription: this.id }))
  }

  #wakeLater(offered: readonly RemoteStream[], now: number): void {
    clearTimeout(this.#timer)
    const times: (number | undefined)[] = []
    if (offered.length > 1) times.push(this.#choice.wake(now))
    if (this.#unshowableSince !== undefined) times.push(this.#unshowableSince + UNSHOWABLE_MS)
    for (const { showing, startedAt } of this.#legs.values()) if (!showing) times.push(startedAt + START_MS)
    const due = times.filter((time) => time !== undefined && time > now && Number.isFinite(time)) as number[]
    if (due.length > 0) this.#timer = setTimeout(() => this.settle(), Math.min(...due) - now + 1)
  }
}
