/** The conductor of a room: composes the room machine, the connections, the workers and the media, and routes what each tells. */
import type { GroupView } from "../group/types.ts"
import type { IdentitySigner } from "../identity/index.ts"
import { type ControlSession, GOAWAY } from "../link/index.ts"
import type { AudioEngine } from "../media/index.ts"
import { type RoomOpContext, RoomRights } from "../membership/index.ts"
import { AvError, isAvError } from "../wire/errors.ts"
import { DEFAULT_SETTINGS, toHex } from "../wire/index.ts"
import type { Bytes, PeerKeyId } from "../wire/types.ts"
import { type ActionHost, asAvError } from "./actions.ts"
import { WallClock } from "./clock.ts"
import { Connections } from "./connections.ts"
import { Emitter } from "./emitter.ts"
import { FileSharing } from "./files/room-files.ts"
import { HostTools } from "./host/host-tools.ts"
import type { RoomAddress } from "./invitation.ts"
import { Lifecycle } from "./lifecycle.ts"
import { reconnectBudget } from "./link-care.ts"
import type { MachineDriver } from "./machine-driver.ts"
import type { MediaPlane } from "./media-plane.ts"
import { createMemory } from "./memory/create-memory.ts"
import type { PageMemory } from "./memory/room-memory.ts"
import type { DirectAttempts } from "./nat/direct-attempts.ts"
import type { NatWatch } from "./nat/nat-watch.ts"
import { roomAttempts, roomNat } from "./nat/room-nat.ts"
import { createDirector } from "./parents/create-director.ts"
import type { ParentDirector } from "./parents/director.ts"
import { RoomParticipant } from "./participant.ts"
import type { PeerHub } from "./peer-hub.ts"
import { People } from "./people.ts"
import type { Surroundings } from "./platform.ts"
import { QualityWatch } from "./quality-watch.ts"
import { handOver, relayOptions } from "./relaying.ts"
import { createDriver } from "./room-driver.ts"
import { createRoomHub } from "./room-hub.ts"
import { createMedia } from "./room-media.ts"
import { RoomReport } from "./room-report.ts"
import { roomServer } from "./room-server.ts"
import type { ControlPlane } from "./rpc/control-plane.ts"
import { roomControl } from "./rpc/room-control.ts"
import type { ControlStorage } from "./rpc/storage.ts"
import { SavingWatch } from "./saving.ts"
import { describeError } from "./sentences.ts"
import type { ServerConnection } from "./server-connection.ts"
import { type Simulation, simulate } from "./simulate.ts"
import { SoundWatch } from "./sound-watch.ts"
import type { JoinOptions, JoinStep, LeaveReason, RoomEvents, RoomState } from "./types.ts"
import type { RoomWorkers } from "./workers.ts"

/** Characters of a name (RM-19). */
export const MAX_NAME = 64
/** A graceful leave is over after this time even when nobody answers (RM-15), ms. */
const LEAVE_MS = 2_500
/** A server that was not reached in this time is given up while joining, ms. */
const SERVER_MS = 15_000

/** Everything a room is made of. */
interface RoomParts {
  address: RoomAddress
  /** The link it was joined with. */
  url: string
  options: JoinOptions
  workers: RoomWorkers
  signer: IdentitySigner
  group: RoomOpContext["group"]
  audio: AudioEngine
  /** What a stored identity kept of its announcements. */
  controlStorage?: ControlStorage | undefined
  around: Surroundings
}

export class Conductor implements ActionHost {
  readonly people: People
  readonly events = new Emitter<RoomEvents>()
  readonly #parts: RoomParts
  readonly driver: MachineDriver
  readonly server: ServerConnection
  readonly control: ControlPlane
  readonly nat: NatWatch
  readonly direct: DirectAttempts
  readonly memory: PageMemory
  readonly hostTools: HostTools
  readonly files: FileSharing
  readonly hub: PeerHub
  readonly media: MediaPlane
  readonly parents: ParentDirector
  readonly saving: SavingWatch
  readonly quality: QualityWatch
  readonly report: RoomReport
  readonly #sound: SoundWatch
  readonly connections: Connections
  readonly mesh: RoomWorkers["mesh"]
  readonly clock = new WallClock()
  readonly #lifecycle = new Lifecycle()
  #roomId: Bytes | undefined
  #failure: AvError | undefined
  #ended: LeaveReason | undefined
  #joined: { resolve: () => void; reject: (error: AvError) => void } | undefined
  #finish: () => void = () => {}

  constructor(parts: RoomParts) {
    const { address, options, workers, signer, audio } = parts
    const budget = reconnectBudget(options.reconnect)
    this.#parts = parts
    this.mesh = workers.mesh
    this.report = new RoomReport(this, parts)
    this.saving = new SavingWatch(options.saving ?? "auto")
    this.people = new People(new RoomParticipant(signer.keyId, true), this.events)
    this.people.local.name = [...(options.name ?? "")].slice(0, MAX_NAME).join("")
    const rights = new RoomRights(address.name, (issuer) => this.control.gossip.floors.get(issuer))
    this.driver = createDriver(this, parts, rights)
    this.server = roomServer(this, parts, (error) => this.#end("failed", error))
    this.control = roomControl(this, parts)
    this.nat = roomNat(this, options, parts.around)
    this.direct = roomAttempts(this, options)
    this.memory = createMemory(this, parts)
    this.hub = createRoomHub(this, parts)
    this.connections = new Connections(this, budget)
    this.media = createMedia(this, parts)
    this.hostTools = new HostTools(this, { name: address.name, url: parts.url, root: address.root }, rights)
    this.files = new FileSharing(this)
    this.files.pace.uplink = options.uplinkBitrate
    this.parents = createDirector(this, parts)
    this.#sound = new SoundWatch(audio, this.events, () => this.state === "connected")
    this.quality = new QualityWatch({ workers, media: this.media, people: this.people })
  }

  /** Starts joining; resolves when this page is a member and may send. Rejects with the refusal, after everything is closed. */
  async join(signal: AbortSignal | undefined): Promise<void> {
    const onAbort = () => this.#end("aborted", new AvError("Aborted"))
    const onPageHide = () => this.driver.feed({ type: "pageHide" })
    signal?.addEventListener("abort", onAbort, { once: true })
    // Node has neither, and no page to hide.
    globalThis.addEventListener?.("pagehide", onPageHide)
    const unreachable = setTimeout(() => this.#serverNeverCame(), SERVER_MS)
    this.#finish = () => {
      clearTimeout(unreachable)
      signal?.removeEventListener("abort", onAbort)
      globalThis.removeEventListener?.("pagehide", onPageHide)
    }
    await new Promise<void>((resolve, reject) => {
      this.#joined = { resolve, reject }
      this.#progress("server")
      if (signal?.aborted) onAbort()
      else this.driver.feed({ type: "start" })
    })
    this.sendState(true)
    // Not before the application holds the room and listens.
    setTimeout(() => this.#sound.check())
  }

  get state(): RoomState {
    return this.#lifecycle.state
  }

  get ended(): boolean {
    return this.#ended !== undefined
  }

  /** For recordings, which mix what is heard. */
  get sound(): AudioEngine {
    return this.#parts.audio
  }

  startAudio(): Promise<void> {
    return this.#parts.audio.resume()
  }

  /** Leaves as RM-15 says; resolves when everything is closed. */
  async leave(): Promise<void> {
    if (this.#ended !== undefined) return
    this.media.publications.closeAll()
    if (this.state === "connected") {
      this.parents.leave()
      await handOver({ mesh: this.mesh, tell: (keyId, message) => this.send(this.directSession(keyId), message) })
    }
    if (this.ended) return
    const finished = new Promise<void>((resolve) => {
      const timer = setTimeout(() => this.#end("left"), LEAVE_MS)
      const off = this.events.on("left", () => {
        clearTimeout(timer)
        off()
        resolve()
      })
    })
    this.driver.feed({ type: "leave" })
    await finished
  }

  /** Nobody can be found without the server, so a page that never reached it gives up and says so. */
  #serverNeverCame(): void {
    if (this.state === "joining" && !this.server.seen) this.#end("failed", new AvError("ServerUnreachable"))
  }

  entered({ epoch, roomId, members }: GroupView): void {
    const moved = this.#roomId !== undefined && toHex(this.#roomId) !== toHex(roomId)
    this.#roomId = roomId
    this.parents.desk.entered(roomId, epoch, this.clock.now())
    this.memory.entered()
    this.events.emit("epoch", { epoch, members: members.length })
    if (moved) this.hostTools.settingsChanged(DEFAULT_SETTINGS)
    else this.hostTools.recheck()
    if (moved) this.media.publications.republish().catch((error: unknown) => this.warn(asAvError(error)))
  }

  failed(error: AvError): void {
    this.#failure = error
  }

  finished(): void {
    this.#end(this.#failure === undefined ? "left" : "failed", this.#failure)
  }

  phase(phase: string, detail: string): void {
    const state = this.#lifecycle.enter(phase)
    if (state === undefined) return
    this.stateChanged(detail)
    if (state === "joining") this.#progress(phase === "waiting" ? "admission" : "members")
    if (state === "connected") {
      this.#joined?.resolve()
      this.#joined = undefined
    }
  }

  /** The state for the application: what the room protocol says, and while it is content, whether anybody can be reached. */
  stateChanged(detail: string): void {
    if (this.#ended !== undefined) return
    const state = this.#lifecycle.refresh(() => this.connections.state)
    if (state === undefined) return
    this.people.local.connection = state === "connected" ? "direct" : state === "joining" ? "connecting" : "reconnecting"
    this.events.emit("state", { state, detail })
  }

  simulate(kind: Simulation): void {
    simulate(kind, {
      readyLinks: () => this.hub.readyLinks,
      dropServer: () => this.server.client.interrupt(),
      networkChanged: () => this.connections.networkChanged(),
      rejoin: () => this.driver.feed({ type: "rejoin" }),
    })
  }

  #progress(step: JoinStep): void {
    this.#parts.options.onProgress?.(step)
  }

  sendState(urgent: boolean): void {
    if (this.#ended !== undefined) return
    const { decodes } = this.media
    const tracks = this.media.publications.tracks()
    const relay = relayOptions(this.#parts.options).enabled
    const chain = this.hostTools.publishChain
    const shown = { ...(decodes === undefined ? {} : { decodes }), ...(chain === undefined ? {} : { chain }) }
    const state = { name: this.people.local.name, tracks, relay, ...shown }
    this.driver.feed({ type: "setState", state, urgent })
  }

  directSession(keyId: PeerKeyId): ControlSession | undefined {
    const node = this.driver.machine.nodeOf(keyId)
    return node === undefined ? undefined : this.hub.directSession(node)
  }

  send(session: ControlSession | undefined, message: Parameters<ControlSession["send"]>[0]): boolean {
    if (session === undefined || session.closed) return false
    try {
      session.send(message)
      return true
    } catch (error) {
      this.count(asAvError(error))
      return false
    }
  }

  /** Nobody was reachable for as long as the application allows. */
  giveUp(): void {
    this.#end("failed", new AvError("LinkFailed", { why: "nobody reachable" }))
  }

  /** A worker broke: nothing works without it. */
  workerFailed(error: AvError): void {
    this.#end("failed", error)
  }

  warn(error: AvError): void {
    this.report.warn(error)
  }

  count(error: AvError): void {
    this.report.count(error)
  }

  #end(reason: LeaveReason, error?: AvError): void {
    if (this.#ended !== undefined) return
    const why = isAvError(error, "Removed") ? "removed" : reason
    this.#ended = why
    this.#lifecycle.end()
    this.#finish()
    this.driver.stop()
    this.connections.close()
    this.nat.close()
    this.quality.close()
    this.saving.close()
    this.hostTools.close()
    this.files.close()
    this.memory.close()
    this.parents.close()
    this.media.close()
    this.control.close()
    this.hub.close(GOAWAY.leaving)
    this.server.client.close()
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

  roomId(): Bytes {
    if (this.#roomId === undefined) throw new AvError("RoomClosed", { why: "not in the room yet" })
    return this.#roomId
  }
}
