/** Floor records from the network: checked, kept, passed on like announcements (control-plane 1.8, D06). */
import { sha256Sync } from "../crypto/index.ts"
import { type FloorTable, verifyFloorRecord } from "../identity/index.ts"
import { toHex } from "../wire/bytes.ts"
import { AvError, isAvError } from "../wire/errors.ts"
import { decodeFloorPayload, decodeFloorRecord, encodeFloorPayload } from "../wire/floor-record.ts"
import type { Bytes, Milliseconds } from "../wire/types.ts"
import { MAX_HOPS } from "./announcement.ts"
import type { CapabilityCounters } from "./counters.ts"
import { GossipMemory } from "./gossip-memory.ts"

interface FloorResult {
  outcome: string
  /** The entity whose floor rose. */
  rose?: Bytes
  forward?: Bytes
}

export class FloorGossip {
  readonly #floors: FloorTable
  readonly #counters: CapabilityCounters
  readonly #memory = new GossipMemory()

  constructor(floors: FloorTable, counters: CapabilityCounters) {
    this.#floors = floors
    this.#counters = counters
  }

  /** The payload of a FLOOR frame. `mayVerify` is asked before the signature is checked. */
  async receive(payload: Bytes, now: Milliseconds, mayVerify: () => boolean): Promise<FloorResult> {
    try {
      return await this.#receive(payload, now, mayVerify)
    } catch (error) {
      if (!isAvError(error)) throw error
      this.#counters.rejected.add(error.code)
      return { outcome: error.code }
    }
  }

  async #receive(payload: Bytes, now: Milliseconds, mayVerify: () => boolean): Promise<FloorResult> {
    const { hopCount, record } = decodeFloorPayload(payload)
    if (hopCount >= MAX_HOPS) throw new AvError("HopLimit", { hopCount })
    const { entity, generation } = decodeFloorRecord(record).floor
    const key = `${toHex(entity)}/${generation}`
    const hash = () => sha256Sync(record)
    if (this.#memory.knows(key, hopCount === 0, hash, now)) return { outcome: "duplicate" }
    if (!mayVerify()) throw new AvError("NeighbourRateLimited", { what: "floor record" })
    await verifyFloorRecord(record)
    this.#memory.remember(key, hopCount === 0, hash(), now)
    const rose = this.#floors.raise(entity, generation, record)
    // An older floor says nothing that the newer one does not.
    if (generation < this.#floors.get(entity)) return { outcome: "StaleVersion" }
    const hop = this.#memory.forwardHop(key, hopCount, now)
    const result: FloorResult = { outcome: rose ? "accepted" : "duplicate" }
    if (rose) result.rose = entity
    if (hop !== undefined) result.forward = encodeFloorPayload(hop, record)
    return result
  }
}
