/** What a room tells about itself: warnings, figures, and the report for a bug tracker. */
import { patiently } from "../link/patience.ts"
import type { AudioEngine } from "../media/index.ts"
import { AvError } from "../wire/errors.ts"
import { diagnosticsText, pageFacts, RoomLog, userAgent } from "./diagnostics.ts"
import type { Emitter } from "./emitter.ts"
import type { RoomAddress } from "./invitation.ts"
import type { MachineDriver } from "./machine-driver.ts"
import type { MediaPlane } from "./media-plane.ts"
import type { DirectAttempts } from "./nat/direct-attempts.ts"
import type { NatWatch } from "./nat/nat-watch.ts"
import type { ParentDirector } from "./parents/director.ts"
import type { PeerHub } from "./peer-hub.ts"
import type { People } from "./people.ts"
import type { QualityWatch } from "./quality-watch.ts"
import type { ControlPlane } from "./rpc/control-plane.ts"
import type { SavingWatch } from "./saving.ts"
import { describeError } from "./sentences.ts"
import type { ServerConnection } from "./server-connection.ts"
import { collectStats } from "./stats.ts"
import type { JoinOptions, RoomEvents, RoomState, RoomStats } from "./types.ts"
import type { RoomWorkers } from "./workers.ts"

/** A worker that says nothing for so long hangs. */
const STATS_MS = 20_000

interface RoomReportParts {
  address: RoomAddress
  options: JoinOptions
  workers: RoomWorkers
  audio: AudioEngine
}

/** The parts of a room that are asked when somebody wants to know. */
interface RoomReportHost {
  readonly events: Emitter<RoomEvents>
  readonly state: RoomState
  readonly driver: MachineDriver
  readonly hub: PeerHub
  readonly media: MediaPlane
  readonly people: People
  readonly server: ServerConnection
  readonly quality: QualityWatch
  readonly parents: ParentDirector
  readonly control: ControlPlane
  readonly nat: NatWatch
  readonly direct: DirectAttempts
  readonly saving: SavingWatch
}

export class RoomReport {
  readonly #host: RoomReportHost
  readonly #parts: RoomReportParts
  readonly #log: RoomLog
  readonly #warned: Record<string, number> = {}

  constructor(host: RoomReportHost, parts: RoomReportParts) {
    this.#host = host
    this.#parts = parts
    this.#log = new RoomLog(host.events)
  }

  count(error: AvError): void {
    this.#warned[error.code] = (this.#warned[error.code] ?? 0) + 1
  }

  warn(error: AvError): void {
    this.count(error)
    this.#host.events.emit("warning", { error, message: describeError(error) })
  }

  /** @throws AvError `RoomClosed` after the end, `WorkerFailed` when a worker says nothing for 20 s. */
  async stats(): Promise<RoomStats> {
    const look = (waitedMs: number) => {
      if (this.#host.state === "left") throw new AvError("RoomClosed")
      if (waitedMs >= STATS_MS) throw new AvError("WorkerFailed", { why: "no answer" })
      return undefined
    }
    return patiently(this.#collect(), look)
  }

  #collect(): Promise<RoomStats> {
    const { driver, hub, media, people, server, quality, parents, control, nat, direct } = this.#host
    return collectStats({
      machine: driver.machine,
      hub,
      media,
      workers: this.#parts.workers,
      local: people.local,
      roomName: this.#parts.address.name,
      serverConnected: server.connected,
      warnings: this.#warned,
      quality: quality.board,
      parents,
      control: control.stats(),
      nat: nat.stats,
      direct: direct.stats,
    })
  }

  async diagnostics(): Promise<string> {
    const { audio, address, options } = this.#parts
    const stats = await this.stats()
    const { state, saving, people } = this.#host
    const page = {
      ...pageFacts(),
      state,
      openRoom: address.open,
      sound: audio.context.state,
      saving: saving.reason,
      forwardMedia: options.forwardMedia ?? false,
    }
    const participants = [people.local, ...people.remote.values()]
    return diagnosticsText(stats, { browser: userAgent(), page, participants, log: this.#log.entries })
  }
}
