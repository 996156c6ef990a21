/** The storage of a room's memory in this browser: one page of an origin keeps it, others remember as long as they are open. */
import { openBrowserHoloStorage } from "../../store/holo/browser.ts"
import { MemoryHoloStorage } from "../../store/holo/memory.ts"
import type { HoloStorage } from "../../store/holo/storage.ts"
import { isAvError } from "../../wire/errors.ts"

export interface OpenedStorage {
  storage: HoloStorage
  persistent: boolean
  /** Lets another page of this origin keep it. */
  release(): void
}

/** @param persistent false: nothing outlives the page */
export async function openMemoryStorage(meshId: string, persistent: boolean): Promise<OpenedStorage> {
  const release = persistent ? await takeLock(`holomesh-memory-${meshId}`) : undefined
  if (release === undefined) return { storage: new MemoryHoloStorage(), persistent: false, release: () => {} }
  try {
    return { storage: await openBrowserHoloStorage(meshId), persistent: true, release }
  } catch (error) {
    release()
    // Private windows of some browsers have none. What is damaged is told: silence would look like loss.
    if (!isAvError(error, "StorageUnavailable")) throw error
    return { storage: new MemoryHoloStorage(), persistent: false, release: () => {} }
  }
}

/** Undefined when another page of this origin has it, or where there are no locks. */
function takeLock(name: string): Promise<(() => void) | undefined> {
  if (globalThis.navigator?.locks === undefined) return Promise.resolve(undefined)
  return new Promise((resolve, reject) => {
    navigator.locks
      .request(name, { ifAvailable: true }, (lock) => {
        if (lock === null) return resolve(undefined)
        return new Promise<void>((release) => resolve(release))
      })
      .catch(reject)
  })
}
