/** Received streams as a whole: which chunk belongs where, and what waits for its epoch. */
import { AvError, isAvError } from "../../wire/errors.ts"
import type { Bytes, PeerKeyId, U64 } from "../../wire/types.ts"
import type { ChunkVerdict } from "../relay/core.ts"
import type { MeshIo } from "./core.ts"
import { DropCounter } from "./drops.ts"
import type { EpochKeys } from "./epoch-keys.ts"
import { HoldQueue } from "./hold.ts"
import type { Inflow } from "./hop/inbound.ts"
import type { ReceivedStream } from "./received-stream.ts"
import type { MeshReceiveStats, MeshStats } from "./types.ts"

/** An epoch we lack is told this often, in ms. */
const UNKNOWN_EVERY_MS = 1_000
/** Epochs remembered for that; hostile numbers must not pile up. */
const MAX_UNKNOWN = 32

export class Receiving {
  readonly #keys: EpochKeys
  readonly #io: MeshIo
  readonly #streams = new Map<string, ReceivedStream>()
  readonly #hold = new HoldQueue()
  readonly #holdDrops = new DropCounter()
  readonly #innerDrops = new DropCounter()
  readonly #payloadDrops = new DropCounter()
  readonly #fountainDrops = new DropCounter()
  readonly #unknownToldAt = new Map<U64, number>()

  constructor(keys: EpochKeys, io: MeshIo) {
    this.#keys = keys
    this.#io = io
  }

  get size(): number {
    return this.#streams.size
  }

  get(streamKey: string): ReceivedStream | undefined {
    return this.#streams.get(streamKey)
  }

  add(streamKey: string, stream: ReceivedStream): void {
    this.#streams.set(streamKey, stream)
  }

  remove(streamKey: string): void {
    this.#streams.get(streamKey)?.close()
    this.#streams.delete(streamKey)
    this.#hold.forget(streamKey)
  }

  /** An authentic chunk from a neighbour: open it, or keep it until its key comes (av-mesh 4.2, steps 6-9). */
  async chunk(inflow: Inflow, innerChunk: Bytes): Promise<ChunkVerdict> {
    const stream = this.#streams.get(inflow.streamKey)
    if (stream === undefined) return "unread"
    const result = await stream.open(innerChunk)
    if (result.kind === "opened") {
      const awaitedMs = this.#deliver(stream, result.header.layer.temporal, result.plaintext, this.#io.now())
      inflow.link.partCame(awaitedMs)
      return "opened"
    }
    if (result.kind === "duplicate") {
      stream.countDuplicate()
      return "duplicate"
    }
    if (result.kind === "unknown-epoch") {
      this.#wait(inflow, result.header.epoch, innerChunk)
      return "held"
    }
    this.#innerDrops.add(result.error)
    // Whoever handed it on may have made it up: counted against this neighbour (av-mesh 4.2, step 8).
    inflow.link.drops.add(result.error)
    return "forged"
  }

  /** The key of `epoch` came: open what waited for it. */
  epochInstalled(epoch: U64): void {
    this.#unknownToldAt.delete(epoch)
    for (const { streamKey, innerChunk, heldAt } of this.#hold.release(epoch)) {
      const stream = this.#streams.get(streamKey)
      if (stream !== undefined) void this.#openHeld(stream, innerChunk, heldAt)
    }
  }

  tick(now: number): void {
    for (const _ of this.#hold.expire(now)) this.#holdDrops.add("UnknownEpoch")
  }

  /** Streams with a frame whose end seems lost. */
  tailsLost(): string[] {
    return [...this.#streams].flatMap(([streamKey, stream]) => (stream.tailLost() ? [streamKey] : []))
  }

  /** Forgets what waits; the streams stay. */
  erase(): void {
    for (const streamKey of this.#streams.keys()) this.#hold.forget(streamKey)
  }

  close(): void {
    for (const streamKey of [...this.#streams.keys()]) this.remove(streamKey)
  }

  stats(from: (streamKey: string) => PeerKeyId[]): MeshReceiveStats[] {
    return [...this.#streams].map(([key, stream]) => stream.stats(from(key), this.#hold.count(key)))
  }

  drops(): Pick<MeshStats["stages"], "hold" | "inner" | "payload" | "fountain"> {
    return {
      hold: this.#holdDrops.snapshot(),
      inner: this.#innerDrops.snapshot(),
      payload: this.#payloadDrops.snapshot(),
      fountain: this.#fountainDrops.snapshot(),
    }
  }

  /** Its key came late, not the chunk: how long it waited here says nothing about the path. */
  async #openHeld(stream: ReceivedStream, innerChunk: Bytes, cameAt: number): Promise<void> {
    const result = await stream.open(innerChunk)
    if (result.kind === "opened") this.#deliver(stream, result.header.layer.temporal, result.plaintext, cameAt)
    else if (result.kind === "duplicate") stream.countDuplicate()
    else this.#innerDrops.add(result.kind === "dropped" ? result.error : "UnknownEpoch")
  }

  #deliver(stream: ReceivedStream, temporalId: number, plaintext: Bytes, cameAt: number): number {
    try {
      return stream.deliver(temporalId, plaintext, cameAt)
    } catch (error) {
      if (!isAvError(error)) throw error
      const fountain = error instanceof AvError && error.code === "DecodeFailed"
      ;(fountain ? this.#fountainDrops : this.#payloadDrops).add(error.code)
      return 0
    }
  }

  #wait(inflow: Inflow, epoch: U64, innerChunk: Bytes): void {
    const expected = this.#keys.isExpected(epoch)
    const heldAt = this.#io.now()
    if (expected) this.#tellUnknown(inflow, epoch, heldAt)
    const held = expected && this.#hold.add({ streamKey: inflow.streamKey, epoch, innerChunk, heldAt })
    if (!held) this.#holdDrops.add("UnknownEpoch")
  }

  #tellUnknown(inflow: Inflow, epoch: U64, now: number): void {
    const told = this.#unknownToldAt.get(epoch)
    if (told !== undefined && now - told < UNKNOWN_EVERY_MS) return
    this.#unknownToldAt.set(epoch, now)
    if (this.#unknownToldAt.size > MAX_UNKNOWN) this.#unknownToldAt.delete(this.#unknownToldAt.keys().next().value!)
    this.#io.emit({ type: "unknown-epoch", epoch, from: inflow.peer })
  }
}
