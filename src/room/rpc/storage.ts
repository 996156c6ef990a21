/** What a stored identity keeps of the control plane across restarts: generation, last version, policy, and floors (1.1, 1.8). */
import { OPEN_POLICY, readStoredSelf, type StoredSelf, type StoredSelfJson, writeStoredSelf } from "../../capability/index.ts"
import type { StoredFloor } from "../../identity/index.ts"
import { openIndexedDbStore, type Store } from "../../store/index.ts"
import { type AvError, isAvError } from "../../wire/errors.ts"
import type { NodeId } from "../../wire/types.ts"

export interface ControlRecord {
  self: StoredSelfJson
  floors: StoredFloor[]
}

/** Kept beside the keys, so that both are erased together. */
export class ControlStorage {
  readonly self: StoredSelf | undefined
  readonly floors: readonly StoredFloor[]
  /** What was wrong with the stored record. */
  readonly damage: AvError | undefined
  readonly #store: Store<ControlRecord>
  readonly #key: string

  private constructor(
    store: Store<ControlRecord>,
    key: string,
    self: StoredSelf | undefined,
    floors: readonly StoredFloor[],
    damage?: AvError,
  ) {
    this.damage = damage
    this.#store = store
    this.#key = key
    this.self = self
    this.floors = floors
  }

  /** Undefined where nothing can be kept. A policy that cannot be read must not become an open one: nobody is admitted then. */
  static async open(node: NodeId, store?: Store<ControlRecord>): Promise<ControlStorage | undefined> {
    const key = `control-plane:${node}`
    let opened: Store<ControlRecord>
    let record: ControlRecord | undefined
    try {
      opened = store ?? (await openIndexedDbStore<ControlRecord>("identity"))
      record = await opened.get(key)
    } catch {
      return undefined
    }
    if (record === undefined) return new ControlStorage(opened, key, undefined, [])
    try {
      return new ControlStorage(opened, key, readStoredSelf(record.self), record.floors)
    } catch (error) {
      if (!isAvError(error)) throw error
      const policy = { ...OPEN_POLICY, allowedNodes: [node] }
      return new ControlStorage(opened, key, { generation: 0, lastVersion: 0n, policy }, [], error)
    }
  }

  async save(self: StoredSelf, floors: readonly StoredFloor[]): Promise<void> {
    await this.#store.put(this.#key, { self: writeStoredSelf(self), floors: [...floors] })
  }

  close(): void {
    this.#store.close()
  }
}
