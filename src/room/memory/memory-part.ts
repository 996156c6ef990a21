/** The part that keeps a room's memory: in a page a worker; elsewhere whatever the surroundings give. */
import * as Comlink from "comlink"
import type { MemoryApi } from "../../pipeline/memory/index.ts"
import { memoryDatabase } from "../../store/holo/browser.ts"
import type { WorkerUrls } from "../types.ts"
import { workerEndpoint } from "../worker-endpoint.ts"
import { startWorker } from "../worker-source.ts"

export interface MemoryPart {
  api: Comlink.Remote<MemoryApi>
  /** Nothing is answered after this. */
  end(): void
}

/** Where the memory of a room is kept, and by what. */
export interface MemoryPlace {
  /** @param onFailure called when the part breaks later; the reason is for logs */
  start(onFailure: (reason: string) => void): MemoryPart
  /** Whether something of this memory is here from an earlier visit. */
  isKept(meshId: string): Promise<boolean>
  /** Whoever leaves the room waits until everything is written and closed. A page may be gone before, and loses nothing by it. */
  readonly waits: boolean
  /** False: this member takes no part in the memory. Default true. */
  readonly enabled?: boolean
}

export function memoryOfPage(urls: WorkerUrls): MemoryPlace {
  return {
    waits: false,
    start(onFailure) {
      const worker = workerEndpoint(startWorker("memory", urls), (event) => onFailure(event.message ?? ""))
      return { api: Comlink.wrap<MemoryApi>(worker), end: () => worker.end() }
    },
    async isKept(meshId) {
      if (globalThis.indexedDB?.databases === undefined) return false
      const name = memoryDatabase(meshId)
      return (await indexedDB.databases()).some((one) => one.name === name)
    },
  }
}
