/** The conductor of a room: composes the room machine, the connections, the workers and the media, and routes what each tells. */
import * as Comlink from "comlink"
import { secureRandom } from "../crypto/index.ts"
import { type IdentitySigner, PinTable } from "../identity/index.ts"
import { type ControlSession, GOAWAY, laneTransferables } from "../link/index.ts"
import type { AudioEngine } from "../media/index.ts"
import { RoomMachine, type RoomNotice, type RoomOpContext } from "../membership/index.ts"
import { AvError, isAvError } from "../wire/errors.ts"
import { DEFAULT_SETTINGS, type RoomSettings, toHex } from "../wire/index.ts"
import type { Bytes, PeerKeyId } from "../wire/types.ts"
import { Emitter } from "./emitter.ts"
import type { RoomAddress } from "./invitation.ts"
import { type DriverAction, MachineDriver } from "./machine-driver.ts"
import { MediaPlane } from "./media-plane.ts"
import { RoomParticipant } from "./participant.ts"
import { PeerHub } from "./peer-hub.ts"
import { People } from "./people.ts"
import { describeError } from "./sentences.ts"
import { ServerConnection } from "./server-connection.ts"
import { collectStats } from "./stats.ts"
import type { JoinOptions, JoinStep, LeaveReason, RoomEvents, RoomState, RoomStats } from "./types.ts"
import type { RoomWorkers } from "./workers.ts"

/** Characters of a name (RM-19). */
export const MAX_NAME = 64
/** A graceful leave is over after this time even when nobody answers (RM-15), ms. */
const LEAVE_MS = 2_500
/** A server that was not reached in this time is given up while joining, ms. */
const SERVER_MS = 15_000
const DEFAULT_VIDEO_LANES = 2
/** Keys a room can bar (RM-18); the oldest gives way. */
const MAX_BARRED = 256

/** Everything a room is made of. */
export interface RoomParts {
  address: RoomAddress
  options: JoinOptions
  workers: RoomWorkers
  signer: IdentitySigner
  group: RoomOpContext["group"]
  audio: AudioEngine
}

export class Conductor {
  readonly people: People
  readonly events = new Emitter<RoomEvents>()
  readonly #parts: RoomParts
  readonly driver: MachineDriver
  readonly #server: ServerConnection
  readonly #hub: PeerHub
  readonly media: MediaPlane
  readonly #warned: Record<string, number> = {}
  state: RoomState = "joining"
  #roomId: Bytes | undefined
  #failure: AvError | undefined
  #ended: LeaveReason | undefined
  #joined: { resolve: () => void; reject: (error: AvError) => void } | undefined
  #finish: () => void = () => {}
  #settings: RoomSettings = DEFAULT_SETTINGS

  constructor(parts: RoomParts) {
    const { address, options, workers, signer, group, audio } = parts
    this.#parts = parts
    this.people = new People(new RoomParticipant(signer.keyId, true), this.events)
    this.people.local.name = [...(options.name ?? "")].slice(0, MAX_NAME).join("")
    const machine = new RoomMachine({
      name: address.name,
      self: signer,
      inviteKey: address.inviteKey,
      relayKey: address.relayKey,
      ...(address.root === undefined ? {} : { root: address.root }),
      ...(this.people.local.name === "" ? {} : { displayName: this.people.local.name }),
      random: secureRandom,
    })
    this.driver = new MachineDriver(machine, { group, signer }, (action) => this.#perform(action))
    this.#server = new ServerConnection(
      { url: address.server, namespace: address.name, signer },
      {
        feed: (event) => this.driver.feed(event),
        connected: (connected) => this.events.emit("server", { connected }),
        // While joining, a server that cannot be used at all ends the attempt; later the call goes on without it.
        trouble: (error, final) => (final && this.state === "joining" ? this.#end("failed", error) : this.#warn(error)),
      },
    )
    this.#hub = this.#makeHub()
    this.media = new MediaPlane({
      workers,
      audio,
      random: secureRandom,
      ownKeyId: signer.keyId,
      roomId: () => this.#requireRoomId(),
      send: (keyId, message) => this.#send(this.#directSession(keyId), message),
      reply: (session, message) => this.#send(this.#hub.session(session), message),
      linkTo: (keyId) => {
        const session = this.#directSession(keyId)
        return session && { id: session.id, send: (message) => this.#send(session, message) }
      },
      events: {
        tracksChanged: (urgent) => this.sendState(urgent),
        subscriptionStarted: (subscription) => {
          const { participant } = subscription
          this.events.emit("track", { participant, subscription, track: subscription.track })
        },
        subscriptionEnded: (subscription) =>
          this.events.emit("trackEnded", { participant: subscription.participant, subscription }),
        subscriptionMuted: (subscription) => {
          const { participant, muted } = subscription
          this.events.emit("muted", { participant, subscription, muted })
        },
        level: (participant, level, speaking) => this.people.level(participant ?? this.people.local, level, speaking),
        lanesWanted: (wish) => {
          const link = this.#hub.link(wish.link)
          if (wish.action === "add") link?.addVideoLane()
          else if (wish.action === "remove") link?.closeLane(wish.laneId)
          else link?.replaceLane(wish.laneId)
        },
        deviceLost: (publication) => this.events.emit("deviceLost", { publication }),
        speakingWhileMuted: (publication) => this.events.emit("speakingWhileMuted", { publication }),
        heard: (keyId) => this.#fromSession(keyId, (session) => this.driver.feed({ type: "heard", session })),
        epochSeen: (keyId, epoch) =>
          this.#fromSession(keyId, (session) => this.driver.feed({ type: "epochSeen", session, epoch })),
        warning: (error) => this.#warn(error),
      },
    })
    audio.onStateChange(() => this.#audioState())
  }

  /** Starts joining; resolves when this page is a member and may send. Rejects with the refusal, after everything is closed. */
  async join(signal: AbortSignal | undefined): Promise<void> {
    const onAbort = () => this.#end("aborted", new AvError("Aborted"))
    const onPageHide = () => this.driver.feed({ type: "pageHide" })
    signal?.addEventListener("abort", onAbort, { once: true })
    globalThis.addEventListener("pagehide", onPageHide)
    const unreachable = setTimeout(() => this.#serverNeverCame(), SERVER_MS)
    this.#finish = () => {
      clearTimeout(unreachable)
      signal?.removeEventListener("abort", onAbort)
      globalThis.removeEventListener("pagehide", onPageHide)
    }
    await new Promise<void>((resolve, reject) => {
      this.#joined = { resolve, reject }
      this.#progress("server")
      if (signal?.aborted) onAbort()
      else this.driver.feed({ type: "start" })
    })
    this.sendState(true)
    this.#audioState()
  }

  get ended(): boolean {
    return this.#ended !== undefined
  }

  stats(): Promise<RoomStats> {
    return collectStats({
      machine: this.driver.machine,
      hub: this.#hub,
      media: this.media,
      workers: this.#parts.workers,
      local: this.people.local,
      roomName: this.#parts.address.name,
      serverConnected: this.#server.connected,
      warnings: this.#warned,
    })
  }

  /** Bars the member's key, so that a second click on its link does not bring it back, and has it removed. */
  remove(keyId: PeerKeyId): void {
    const barred = [...this.#settings.barred.filter((barredId) => barredId !== keyId), keyId].slice(-MAX_BARRED)
    this.driver.feed({ type: "settings", settings: { ...this.#settings, barred } })
    this.driver.feed({ type: "remove", keyId })
  }

  startAudio(): Promise<void> {
    return this.#parts.audio.resume()
  }

  /** Leaves as RM-15 says; resolves when everything is closed. */
  async leave(): Promise<void> {
    if (this.#ended !== undefined) return
    this.media.publications.closeAll()
    const finished = new Promise<void>((resolve) => {
      const off = this.events.on("left", () => {
        off()
        resolve()
      })
      setTimeout(() => this.#end("left"), LEAVE_MS)
    })
    this.driver.feed({ type: "leave" })
    await finished
  }

  #makeHub(): PeerHub {
    const { options, workers, signer } = this.#parts
    const { mesh } = workers
    return new PeerHub({
      signer,
      pins: ownPin(signer),
      laneSink: {
        add: (lane) => void mesh.addLane(Comlink.transfer(lane, laneTransferables(lane.source))),
        remove: ({ link, laneId }) => void mesh.removeLane(link, laneId),
      },
      rendezvous: this.#server.client,
      videoLanes: options.videoLanes ?? DEFAULT_VIDEO_LANES,
      forwardMedia: options.forwardMedia ?? false,
      iceServers: () => [...this.#server.iceServers, ...(options.iceServers ?? [])],
      accepts: (session, frame) => this.driver.machine.accepts(session, frame),
      events: {
        sessionOpen: (session) => {
          const { id, kind, peer, bind } = session
          this.driver.feed({ type: "sessionOpen", session: id, kind, peer, bind })
          if (kind === "direct") this.media.subscriptions.linkReady(peer.keyId)
        },
        sessionClosed: (session) => {
          this.driver.feed({ type: "sessionClosed", session: session.id })
          if (session.kind === "direct" && this.#hub.directSession(session.peer.nodeId) === undefined) {
            this.media.subscriptions.linkLost(session.peer.keyId)
          }
        },
        linkKey: (link, session, sessionKey) =>
          void mesh.setLinkKey(link.id, session.peer.keyId, Comlink.transfer(sessionKey, [sessionKey.buffer])),
        linkClosed: (link) => void mesh.removeLink(link.id),
        pathChanged: (link) => void mesh.pathChanged(link.id),
        message: (session, message) => this.driver.feed({ type: "message", session: session.id, message }),
        heard: (session) => this.driver.feed({ type: "heard", session: session.id }),
        goaway: (session, code) => this.driver.feed({ type: "goaway", session: session.id, code }),
        connectFailed: (node) => this.driver.feed({ type: "connectFailed", node }),
        routedFailed: (node) => this.driver.feed({ type: "routedFailed", node }),
        dropped: (error) => this.#count(error),
      },
    })
  }

  /** Nobody can be found without the server, so a page that never reached it gives up and says so. */
  #serverNeverCame(): void {
    if (this.state === "joining" && !this.#server.seen) this.#end("failed", new AvError("ServerUnreachable"))
  }

  #perform(action: DriverAction): void {
    switch (action.type) {
      case "connect":
        this.#hub.connect(action.node, action.via)
        return
      case "openRouted":
        this.#hub.openRouted(action.node, action.via)
        return
      case "send":
        this.#send(this.#hub.session(action.session), action.message)
        return
      case "goaway":
        this.#hub.session(action.session)?.close(action.code)
        return
      case "deliver":
        this.media.deliver(action.session, action.keyId, action.message).catch((error: unknown) => this.#count(asAvError(error)))
        return
      case "peerClass":
        if (action.peerClass !== "stranger") this.#hub.link(action.session)?.allowLaneControl()
        return
      case "epoch":
        this.#enterEpoch(action.epoch, action.view.roomId, action.view.members.length)
        return
      case "seal":
        void this.#parts.workers.mesh.setSealEpoch(action.epoch)
        return
      case "unregister":
        this.#server.client.close()
        return
      case "serverGoaway":
        this.#server.client.close()
        return
      case "retryServer":
        this.#server.client.retryNow()
        return
      case "emit":
        this.#notice(action.event)
        return
      case "finished":
        this.#end(this.#failure === undefined ? "left" : "failed", this.#failure)
    }
  }

  #enterEpoch(epoch: bigint, roomId: Bytes, members: number): void {
    const moved = this.#roomId !== undefined && toHex(this.#roomId) !== toHex(roomId)
    this.#roomId = roomId
    this.events.emit("epoch", { epoch, members })
    if (moved) this.media.publications.republish().catch((error: unknown) => this.#warn(asAvError(error)))
  }

  #notice(notice: RoomNotice): void {
    switch (notice.type) {
      case "phase":
        this.#enterPhase(notice.phase, notice.detail)
        return
      case "memberJoined":
        this.people.joined(notice.keyId)
        return
      case "memberLeft":
        this.media.subscriptions.forget(notice.keyId)
        this.people.left(notice.keyId, notice.reason)
        return
      case "connection":
        this.people.update(notice.keyId, (participant) => {
          participant.connection = notice.connection
        })
        return
      case "stateGone":
        this.media.subscriptions.forget(notice.keyId)
        return
      case "state":
        this.people.update(notice.keyId, (participant) => {
          participant.name = notice.state.name
          this.media.applyState(participant, notice.state)
        })
        return
      case "chat":
        this.#said(notice.keyId, (from) =>
          this.events.emit("message", { id: toHex(notice.id), from, text: notice.text, at: Date.now() }),
        )
        return
      case "data":
        this.#said(notice.keyId, (from) => this.events.emit("data", { from, topic: notice.topic, bytes: notice.bytes }))
        return
      case "settings":
        this.#settings = notice.settings
        return
      case "muteAsked":
        for (const publication of this.media.publications.all) void publication.mute()
        return
      case "warning":
        this.#warn(notice.error)
        return
      case "failed":
        this.#failure = notice.error
        return
      default:
        return
    }
  }

  #enterPhase(phase: string, detail: string): void {
    const state = STATES[phase]
    if (state === undefined) return
    this.state = state
    this.events.emit("state", { state, detail })
    if (state === "joining") this.#progress(phase === "waiting" ? "admission" : "members")
    if (state === "connected") {
      this.#joined?.resolve()
      this.#joined = undefined
    }
  }

  #progress(step: JoinStep): void {
    this.#parts.options.onProgress?.(step)
  }

  #said(keyId: PeerKeyId, tell: (from: RoomParticipant) => void): void {
    const from = this.people.remote.get(keyId)
    if (from !== undefined) tell(from)
  }

  sendState(urgent: boolean): void {
    if (this.#ended !== undefined) return
    const state = { name: this.people.local.name, tracks: this.media.publications.tracks(), relay: false }
    this.driver.feed({ type: "setState", state, urgent })
  }

  #directSession(keyId: PeerKeyId): ControlSession | undefined {
    const node = this.driver.machine.nodeOf(keyId)
    return node === undefined ? undefined : this.#hub.directSession(node)
  }

  #send(session: ControlSession | undefined, message: Parameters<ControlSession["send"]>[0]): boolean {
    if (session === undefined || session.closed) return false
    try {
      session.send(message)
      return true
    } catch (error) {
      this.#count(asAvError(error))
      return false
    }
  }

  #fromSession(keyId: PeerKeyId, tell: (session: string) => void): void {
    const session = this.#directSession(keyId)
    if (session !== undefined) tell(session.id)
  }

  #audioState(): void {
    const { audio, workers } = this.#parts
    if (audio.blocked && this.state === "connected") {
      audio.resume().catch(() => undefined)
      this.events.emit("audioBlocked", {})
    }
    void workers.receive.setOutputLatency(audio.outputLatencyMs)
  }

  /** A worker broke: nothing works without it. */
  workerFailed(error: AvError): void {
    this.#end("failed", error)
  }

  #warn(error: AvError): void {
    this.#count(error)
    this.events.emit("warning", { error, message: describeError(error) })
  }

  #count(error: AvError): void {
    this.#warned[error.code] = (this.#warned[error.code] ?? 0) + 1
  }

  #end(reason: LeaveReason, error?: AvError): void {
    if (this.#ended !== undefined) return
    const why = isAvError(error, "Removed") ? "removed" : reason
    this.#ended = why
    this.state = "left"
    this.#finish()
    this.driver.stop()
    this.media.close()
    this.#hub.close(GOAWAY.leaving)
    this.#server.client.close()
    const { keys } = this.#parts.workers
    // The keys worker erases the group and lets another tab use the identity before it ends.
    Promise.race([keys.close(), new Promise((resolve) => setTimeout(resolve, 500))]).finally(() => this.#parts.workers.close())
    this.people.clear()
    this.#joined?.reject(error ?? new AvError(reason === "aborted" ? "Aborted" : "RoomClosed"))
    this.#joined = undefined
    this.events.emit("state", { state: "left", detail: error === undefined ? "" : describeError(error) })
    this.events.emit("left", error === undefined ? { reason: why } : { reason: why, error })
    queueMicrotask(() => this.events.clear())
  }

  #requireRoomId(): Bytes {
    if (this.#roomId === undefined) throw new AvError("RoomClosed", { why: "not in the room yet" })
    return this.#roomId
  }
}

function ownPin(signer: IdentitySigner): PinTable {
  const pins = new PinTable()
  pins.pinForever(signer.nodeId, signer.entityId)
  return pins
}

/** Phases of the machine as the application knows them. */
const STATES: Readonly<Record<string, RoomState>> = {
  joining: "joining",
  waiting: "joining",
  connected: "connected",
  reconnecting: "reconnecting",
}

function asAvError(error: unknown): AvError {
  return isAvError(error) ? error : new AvError("WorkerFailed", {}, { cause: error })
}
