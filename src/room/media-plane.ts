/** Media of a room on the page's side: tracks in and out, the workers' events, and the subscription messages of the members. */
import * as Comlink from "comlink"
import type { AudioEngine } from "../media/index.ts"
import { captureVideo, createVideoOutput } from "../media/index.ts"
import {
  codecNameOf,
  codecsNamed,
  decodableCodecs,
  familyOf,
  softwareCodecs,
  type VideoCodecName,
} from "../media/video-codecs.ts"
import { type MeshEvent, streamKeyOf } from "../pipeline/index.ts"
import type { PublishEvent } from "../pipeline/publish/types.ts"
import type { ReceiveEvent } from "../pipeline/receive/types.ts"
import { type SignedRelayCapacity, withCommitments } from "../wire/capacity.ts"
import { AvError, type ErrorCode, isAvError } from "../wire/errors.ts"
import type { KnownControlMessage, ParticipantState } from "../wire/index.ts"
import type { Bytes, PeerKeyId, RandomBytes, U64 } from "../wire/types.ts"
import type { RemoteStream } from "./descriptors.ts"
import type { RoomParticipant } from "./participant.ts"
import type { LocalPublication } from "./publication.ts"
import { Publications } from "./publications.ts"
import type { RemoteOutput, RemoteSubscription, SubscriptionHost } from "./remote-subscription.ts"
import { readRemoteTrack } from "./remote-track.ts"
import { SubscriberDesk, type SubscriberDeskHost } from "./subscriber-desk.ts"
import { Subscriptions } from "./subscriptions.ts"
import type { LayerInfo } from "./types.ts"
import type { RoomWorkers } from "./workers.ts"

/** What the media plane tells the room. */
export interface MediaPlaneEvents {
  /** This member's tracks changed: its state must be sent again. */
  tracksChanged(urgent: boolean): void
  subscriptionStarted(subscription: RemoteSubscription): void
  subscriptionEnded(subscription: RemoteSubscription): void
  subscriptionMuted(subscription: RemoteSubscription): void
  layerChanged(subscription: RemoteSubscription, layer: LayerInfo): void
  /** Level of a remote (`participant`) or the local microphone (undefined), 0..1. */
  level(participant: RoomParticipant | undefined, level: number, speaking: boolean): void
  deviceLost(publication: LocalPublication): void
  shareEnded(publications: readonly LocalPublication[]): void
  speakingWhileMuted(publication: LocalPublication): void
  heard(keyId: PeerKeyId): void
  epochSeen(keyId: PeerKeyId, epoch: U64): void
  /** A member takes a stream from this page, by this request, or does so no more. */
  child(keyId: PeerKeyId, streamKey: string, request: string, takes: boolean): void
  /** The mesh worker wants a link to have another number of lanes. */
  lanesWanted(wish: LaneWishEvent): void
  /** A link as a whole is in trouble. */
  linkAlarm(link: string, type: "path-silent" | "lanes-suspect"): void
  warning(error: AvError): void
}

type LaneWishEvent = Extract<MeshEvent, { type: "lanes-wanted" }>

interface MediaPlaneOptions {
  workers: RoomWorkers
  audio: AudioEngine
  random: RandomBytes
  ownKeyId: PeerKeyId
  roomId(): Bytes
  /** Sends over the member's direct session; false when there is none. */
  send(keyId: PeerKeyId, message: KnownControlMessage): boolean
  linkTo: SubscriptionHost["linkTo"]
  /** What this page is willing to show, see `JoinOptions`. */
  videoCodecs?: readonly VideoCodecName[]
  /** Nothing of the others is shown. */
  headless?: boolean | undefined
  /** Answers on the session that asked. */
  reply(session: string, message: KnownControlMessage): void
  mayServe: SubscriberDeskHost["mayServe"]
  makePlace: SubscriberDeskHost["makePlace"]
  isKept: SubscriberDeskHost["isKept"]
  /** An advertisement came from a neighbour. */
  capacity(from: PeerKeyId, signed: SignedRelayCapacity): void
  events: MediaPlaneEvents
}

export class MediaPlane {
  readonly publications: Publications
  readonly subscriptions: Subscriptions
  readonly #desk: SubscriberDesk
  readonly #options: MediaPlaneOptions
  /** Video codecs this page shows, once it has found out. */
  #decodes: readonly VideoCodecName[] | undefined
  /** Codecs that the browser does not show and we do, at the cost of the processor: only for streams that come in nothing else. */
  #ownDecoders: readonly VideoCodecName[] = []
  /** What the other members show. */
  readonly #audience = new Map<PeerKeyId, readonly VideoCodecName[] | undefined>()

  constructor(options: MediaPlaneOptions) {
    this.#options = options
    const { workers, random, ownKeyId, events, send } = options
    const { mesh, publish, receive } = workers
    this.publications = new Publications({
      random,
      ownKeyId,
      roomId: options.roomId,
      addSource: (sourceKey, track) => this.#addSource(sourceKey, track),
      removeSource: (sourceKey) => void publish.removeSource(sourceKey),
      setSourceMuted: (sourceKey, muted) => publish.setMuted(sourceKey, muted),
      meshPublish: async (stream) => refuseUnlessOk(await mesh.publishStream(stream)),
      meshUnpublish: (streamId) => void mesh.unpublishStream(streamId),
      startVideo: (streamKey, sourceKey, wanted) => publish.startVideo(streamKey, sourceKey, wanted),
      startAudio: (streamKey, sourceKey, wanted) => publish.startAudio(streamKey, sourceKey, wanted),
      stopStream: (streamKey) => void publish.stopStream(streamKey),
      changed: events.tracksChanged,
      deviceLost: events.deviceLost,
      shareEnded: events.shareEnded,
      warn: (error) => {
        if (isAvError(error)) events.warning(error)
      },
    })
    this.subscriptions = new Subscriptions({
      random,
      send,
      linkTo: options.linkTo,
      meshSubscribe: (request) => mesh.subscribeStream(request),
      meshUnsubscribe: (streamId, from) => void mesh.unsubscribeStream(streamId, from),
      meshDeliver: (streamId, deliver) => void mesh.deliverStream(streamId, deliver),
      now: () => performance.now(),
      decodes: () => this.#decodes,
      ownDecoders: () => this.#ownDecoders,
      openOutput: (keyId, stream) => this.#openOutput(keyId, stream),
      addToOutput: (keyId, stream, ofStreamKey, how) => {
        const { streamKey, codec, temporalLayers } = stream
        const add = how === "beside" ? receive.addDescription : receive.addReplacement
        this.#prepareDecoder(codec)
        return add(streamKey, { group: keyId, codec, temporalLayers }, ofStreamKey)
      },
      removeFromOutput: (streamKey) => void receive.removeStream(streamKey),
      setOutputMuted: (streamKey, muted) => void receive.setMuted(streamKey, muted),
      setMaxTemporal: (streamKey, maxTemporal) => void receive.setMaxTemporal(streamKey, maxTemporal),
      started: events.subscriptionStarted,
      ended: events.subscriptionEnded,
      mutedChanged: events.subscriptionMuted,
      layerChanged: events.layerChanged,
      warn: events.warning,
    })
    const { mayServe, makePlace, isKept } = options
    this.#desk = new SubscriberDesk({ mesh, send, mayServe, makePlace, isKept, child: events.child })
    this.#findDecoders()
    workers.events.mesh.onmessage = (event: MessageEvent<MeshEvent>) => this.#meshEvent(event.data)
    workers.events.publish.onmessage = (event: MessageEvent<PublishEvent>) => this.#publishEvent(event.data)
    workers.events.receive.onmessage = (event: MessageEvent<ReceiveEvent>) => this.#receiveEvent(event.data)
  }

  /** A member's state was accepted: its streams are what it lists now. */
  applyState(participant: RoomParticipant, state: ParticipantState): void {
    const { roomId, events } = this.#options
    const tracks = state.tracks.map((track) => readRemoteTrack(track, participant.id, roomId(), events.warning))
    if (this.#options.headless) {
      const streams = tracks.flatMap((track) => track.streams)
      this.subscriptions.upstreams.offered(participant.id, streams)
    } else this.subscriptions.update(participant, tracks)
    this.#audience.set(participant.id, state.decodes === undefined ? undefined : codecsNamed(state.decodes))
    this.#tellAudience()
  }

  /** The member left, or is not heard of any more. */
  forget(keyId: PeerKeyId): void {
    this.subscriptions.forget(keyId)
    if (this.#audience.delete(keyId)) this.#tellAudience()
  }

  /** What this member's state says it can show; undefined while it is not known. */
  get decodes(): string[] | undefined {
    return this.#decodes?.map(familyOf)
  }

  #tellAudience(): void {
    this.publications.setAudience([...this.#audience.values()])
  }

  #findDecoders(): void {
    const { videoCodecs, events } = this.#options
    decodableCodecs().then((names) => {
      const wanted = (name: VideoCodecName) => videoCodecs?.includes(name) ?? true
      this.#decodes = names.filter(wanted)
      this.#ownDecoders = softwareCodecs().filter((name) => wanted(name) && !names.includes(name))
      this.subscriptions.decodesChanged()
      events.tracksChanged(false)
    })
  }

  /** A message of the subscription family from a member that may send it; `link` brought it. */
  async deliver(link: string, keyId: PeerKeyId, message: KnownControlMessage): Promise<void> {
    if (await this.#desk.take(link, keyId, message)) return
    switch (message.t) {
      case "av.subscribed":
        this.subscriptions.granted(keyId, message.streamId, message.subNonce)
        return
      case "av.refused":
        this.subscriptions.refused(keyId, streamKeyOf(message.streamId), message.subNonce, message.error)
        return
      case "av.leaving":
        this.subscriptions.upstreams.parentLeaving(keyId, message.inMs)
        return
      case "av.capacity":
        this.#options.capacity(keyId, withCommitments(message))
        return
      default:
        return
    }
  }

  close(): void {
    this.publications.closeAll()
    this.subscriptions.closeAll()
    this.#options.audio.close()
  }

  async #addSource(sourceKey: string, track: MediaStreamTrack): Promise<() => void> {
    const { publish } = this.#options.workers
    if (track.kind === "video") {
      const { source, close } = captureVideo(track)
      await publish.addVideoSource(sourceKey, Comlink.transfer(source, [source]))
      return close
    }
    const capture = await this.#options.audio.capture(track)
    await publish.addAudioSource(sourceKey, Comlink.transfer(capture.port, [capture.port]))
    return () => capture.close()
  }

  async #openOutput(group: PeerKeyId, stream: RemoteStream): Promise<RemoteOutput> {
    const { receive } = this.#options.workers
    const { streamKey, codec, temporalLayers, channels } = stream
    if (stream.kind === "video") {
      this.#prepareDecoder(codec)
      const { track, sink } = createVideoOutput()
      await receive.addVideo(streamKey, { group, codec, temporalLayers }, Comlink.transfer(sink, [sink]))
      return { ...closable(track, () => void receive.removeStream(streamKey)), setVolume: () => undefined }
    }
    const output = await this.#options.audio.createOutput()
    await receive.addAudio(streamKey, { group, codec, channels }, Comlink.transfer(output.port, [output.port]))
    const close = () => {
      void receive.removeStream(streamKey)
      output.close()
    }
    return { ...closable(output.track, close), setVolume: output.setVolume }
  }

  /** Where the browser decodes no AV1, a worker of ours does: it has to run before the stream is added. */
  #prepareDecoder(codec: string): void {
    const name = codecNameOf(codec)
    if (name !== undefined && this.#ownDecoders.includes(name)) this.#options.workers.startAv1()
  }

  #meshEvent(event: MeshEvent): void {
    const { events, send } = this.#options
    switch (event.type) {
      case "keyframe-wanted":
        send(event.from, { t: "av.keyframe", streamId: event.streamId })
        return
      case "heard":
        events.heard(event.peer)
        return
      case "unknown-epoch":
        events.epochSeen(event.from, event.epoch)
        return
      case "lanes-wanted":
        events.lanesWanted(event)
        return
      case "path-silent":
      case "lanes-suspect":
        events.linkAlarm(event.link, event.type)
        return
      case "stream-silent":
        this.subscriptions.silent(streamKeyOf(event.streamId), event.from, event.silentMs)
        return
      case "stream-started":
        this.subscriptions.upstreams.get(streamKeyOf(event.streamId))?.started(event.from)
        return
      case "relay-demand":
        this.subscriptions.upstreams.demand(streamKeyOf(event.streamId), event.policy)
        return
      case "no-upstream":
        for (const { peer, subNonce } of event.children) {
          send(peer, { t: "av.refused", streamId: event.streamId, subNonce, error: "StreamNotFound" })
        }
        return
      case "rung-too-large": {
        const { streamId, subNonce, peer } = event
        send(peer, { t: "av.refused", streamId, subNonce, error: "CapacityExceeded" })
        return
      }
      case "exhausted":
        this.subscriptions.ask(streamKeyOf(event.streamId))
        return
      default:
        return
    }
  }

  #publishEvent(event: PublishEvent): void {
    const { events } = this.#options
    if (event.type === "level") events.level(undefined, event.level, event.speaking)
    else if (event.type === "encoding") this.publications.encodingChanged(event.streamKey, event.encoding)
    else if (event.type === "muted-speech") {
      const publication = this.publications.byLabel(event.sourceKey)
      if (publication?.muted) events.speakingWhileMuted(publication)
    } else if (event.type === "codec-too-slow")
      this.publications.codecTooSlow(event.streamKey, event.codec).catch((error: unknown) => {
        if (isAvError(error)) events.warning(error)
      })
    else if (event.type === "encoder-error") events.warning(codecError(event.error, event.message, event.fatal))
  }

  #receiveEvent(event: ReceiveEvent): void {
    const { events } = this.#options
    if (event.type === "level") {
      const participant = this.subscriptions.byStreamKey(event.streamKey)?.participant
      if (participant !== undefined) events.level(participant, event.level, event.speaking)
    } else if (event.type === "started") this.subscriptions.pictureCame(event.streamKey)
    else if (event.type === "decoder-error") events.warning(codecError(event.error, event.message, event.fatal))
  }
}

function closable(track: MediaStreamTrack, release: () => void): Omit<RemoteOutput, "setVolume"> {
  return {
    track,
    close() {
      track.stop()
      release()
    },
  }
}

function codecError(code: ErrorCode, message: string, fatal: boolean): AvError {
  return new AvError(code, { fatal }, { message })
}

function refuseUnlessOk(answer: { ok: true } | { ok: false; error: ErrorCode }): void {
  if (!answer.ok) throw new AvError(answer.error)
}
