/** A live room as the application holds it. The work is done by its {@link Conductor}. */
import { secureRandom } from "../crypto/index.ts"
import { AvError } from "../wire/errors.ts"
import { toHex } from "../wire/index.ts"
import { type Conductor, MAX_NAME } from "./conductor.ts"
import type { RoomFiles } from "./files/types.ts"
import type { RoomHost } from "./host/types.ts"
import type { RoomMemory } from "./memory/types.ts"
import type { LocalPublication } from "./publication.ts"
import { recordRoom } from "./record/record-room.ts"
import type { Recording, RecordOptions } from "./record/types.ts"
import { checkedBitrate } from "./relaying.ts"
import { CapabilityFace } from "./rpc/capabilities.ts"
import { createRoomRpc } from "./rpc/room-rpc.ts"
import type { ChannelOptions, RoomCapabilities, RoomChannel, RoomRpc, RoomTokens } from "./rpc/types.ts"
import { publishDefaults } from "./saving.ts"
import type { Simulation } from "./simulate.ts"
import type {
  ChatMessage,
  NatStats,
  Participant,
  Publication,
  PublishOptions,
  Room,
  RoomEvents,
  RoomState,
  RoomStats,
  SavingReason,
} from "./types.ts"

const MAX_CHAT_BYTES = 8 * 1024
const MAX_DATA_BYTES = 32 * 1024
const MAX_TOPIC = 64
/** What the library itself says to the other pages. */
const OWN_TOPICS = "holomesh/"

export class LiveRoom implements Room {
  readonly name: string
  readonly open: boolean
  readonly rpc: RoomRpc
  readonly capabilities: RoomCapabilities
  readonly tokens: RoomTokens
  readonly #conductor: Conductor
  #leaving: Promise<void> | undefined

  constructor(conductor: Conductor, about: { name: string; open: boolean }) {
    this.#conductor = conductor
    const { control } = conductor
    this.rpc = createRoomRpc(control)
    this.capabilities = new CapabilityFace(control)
    this.tokens = control.channels.tokens
    this.name = about.name
    this.open = about.open
  }

  get invitation(): string {
    return this.#conductor.hostTools.invitation
  }

  get host(): RoomHost {
    return this.#conductor.hostTools
  }

  get memory(): RoomMemory {
    return this.#conductor.memory
  }

  async record(options: RecordOptions = {}): Promise<Recording> {
    this.#requireOpen()
    return recordRoom(this.#conductor, this.name, options)
  }

  get files(): RoomFiles {
    return this.#conductor.files
  }

  get mayPublish(): boolean {
    return this.#conductor.hostTools.own.mayPublish
  }

  get state(): RoomState {
    return this.#conductor.state
  }

  get epoch(): bigint {
    return this.#conductor.driver.machine.view?.epoch ?? 0n
  }

  get code(): string {
    return this.#conductor.driver.machine.view?.roomCode ?? ""
  }

  get local(): Participant {
    return this.#conductor.people.local
  }

  get participants(): ReadonlyMap<string, Participant> {
    return this.#conductor.people.remote
  }

  get isHost(): boolean {
    return this.#conductor.driver.machine.isHost
  }

  get saving(): SavingReason {
    return this.#conductor.saving.reason
  }

  get publications(): readonly Publication[] {
    return this.#conductor.media.publications.all
  }

  on<K extends keyof RoomEvents>(event: K, handler: (value: RoomEvents[K]) => void): () => void {
    return this.#conductor.events.on(event, handler)
  }

  async publish(media: MediaStream | MediaStreamTrack, options: PublishOptions = {}): Promise<LocalPublication[]> {
    this.#requireOpen()
    if (!this.mayPublish) throw new AvError("NotAllowed", { right: "publish" })
    if (globalThis.MediaStreamTrack === undefined) throw new AvError("MediaUnsupported", { missing: "MediaStreamTrack" })
    const { publications } = this.#conductor.media
    if (this.saving === "none") return publications.publish(media, options)
    const tracks = media instanceof MediaStreamTrack ? [media] : media.getTracks()
    const done: LocalPublication[] = []
    try {
      for (const track of tracks) done.push(...(await publications.publish(track, cheaper(this.saving, track, options))))
      return done
    } catch (error) {
      for (const publication of done) await publication.unpublish()
      throw error
    }
  }

  async unpublish(publication: Publication): Promise<void> {
    await publication.unpublish()
  }

  async setName(name: string): Promise<void> {
    this.#requireOpen()
    if ([...name].length > MAX_NAME) throw new AvError("MessageTooLarge", { max: MAX_NAME })
    this.#conductor.people.rename(name)
    this.#conductor.sendState(true)
  }

  async setUplinkLimit(bitrate: number | undefined): Promise<void> {
    this.#requireOpen()
    const limit = checkedBitrate(bitrate)
    this.#conductor.parents.desk.limitUplink(limit, this.#conductor.clock.now())
    this.#conductor.files.pace.uplink = limit
    this.#conductor.memory.uplink = limit
    await this.#conductor.mesh.limitUplink(limit)
  }

  channel(name: string, options?: ChannelOptions): RoomChannel {
    this.#requireOpen()
    return this.#conductor.control.channels.channel(name, options)
  }

  async sendMessage(text: string): Promise<ChatMessage> {
    this.#requireOpen()
    const size = new TextEncoder().encode(text).length
    if (size === 0) throw new AvError("UsageError", { why: "empty message" })
    if (size > MAX_CHAT_BYTES) throw new AvError("MessageTooLarge", { got: size, max: MAX_CHAT_BYTES })
    const id = secureRandom(16)
    this.#conductor.driver.feed({ type: "chat", id, text })
    const message = { id: toHex(id), from: this.local, text, at: Date.now() }
    this.#conductor.events.emit("message", message)
    return message
  }

  async sendData(topic: string, bytes: Uint8Array): Promise<void> {
    this.#requireOpen()
    if (topic.startsWith(OWN_TOPICS)) throw new AvError("UsageError", { why: "topics of the library" })
    if ([...topic].length > MAX_TOPIC) throw new AvError("MessageTooLarge", { max: MAX_TOPIC })
    if (bytes.length > MAX_DATA_BYTES) throw new AvError("MessageTooLarge", { got: bytes.length, max: MAX_DATA_BYTES })
    this.#conductor.driver.feed({ type: "data", topic, bytes: bytes.slice() })
  }

  async remove(participant: Participant | string): Promise<void> {
    this.#requireOpen()
    await this.host.remove(participant)
  }

  stats(): Promise<RoomStats> {
    return this.#conductor.report.stats()
  }

  reclassifyNat(): Promise<NatStats> {
    return this.#conductor.nat.reclassify()
  }

  diagnostics(): Promise<string> {
    return this.#conductor.report.diagnostics()
  }

  simulate(kind: Simulation): void {
    this.#requireOpen()
    this.#conductor.simulate(kind)
  }

  startAudio(): Promise<void> {
    return this.#conductor.startAudio()
  }

  leave(): Promise<void> {
    this.#leaving ??= this.#conductor.leave().then(() => this.#conductor.memory.closed())
    return this.#leaving
  }

  [Symbol.asyncDispose](): Promise<void> {
    return this.leave()
  }

  #requireOpen(): void {
    if (this.#conductor.ended || this.#leaving !== undefined) throw new AvError("RoomClosed")
  }
}

function cheaper(reason: SavingReason, track: MediaStreamTrack, options: PublishOptions): PublishOptions {
  const screen = options.source === "screen" || "displaySurface" in track.getSettings()
  return screen ? options : publishDefaults(reason, track.kind, options)
}
