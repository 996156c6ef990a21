/** The storage of a room's memory in this browser. One page of an origin opens it: see `TabWriter`. */
import { openBrowserHoloStorage } from "../../store/holo/browser.ts"
import { MemoryHoloStorage } from "../../store/holo/memory.ts"
import type { HoloStorage } from "../../store/holo/storage.ts"
import { isAvError } from "../../wire/errors.ts"

export interface OpenedStorage {
  storage: HoloStorage
  persistent: boolean
}

/** @param persistent false: nothing outlives the page */
export async function openMemoryStorage(meshId: string, persistent: boolean): Promise<OpenedStorage> {
  if (!persistent) return { storage: new MemoryHoloStorage(), persistent: false }
  try {
    return { storage: await openBrowserHoloStorage(meshId), persistent: true }
  } catch (error) {
    // Private windows of some browsers have none. What is damaged is told: silence would look like loss.
    if (!isAvError(error, "StorageUnavailable")) throw error
    return { storage: new MemoryHoloStorage(), persistent: false }
  }
}
