/** A room's memory in a Node program: in this thread, in a folder on the disk or as long as the room lasts. */
import { access } from "node:fs/promises"
import { join } from "node:path"
import { MemoryService } from "../pipeline/memory/service.ts"
import type { MemoryApi } from "../pipeline/memory/types.ts"
import type { MemoryPlace } from "../room/memory/memory-part.ts"
import { MemoryHoloStorage } from "../store/holo/memory.ts"
import { openNodeHoloStorage } from "../store/holo/node.ts"
import { AvError } from "../wire/errors.ts"
import { inThread } from "./in-thread.ts"

/** `false`: no part in it, nothing of others is kept here. Without a folder what is kept ends with the room. */
export type NodeMemory = false | { folder?: string }

export function nodeMemory(memory: NodeMemory): MemoryPlace {
  const folder = memory === false ? undefined : memory.folder
  return {
    enabled: memory !== false,
    waits: true,
    isKept: async (meshId) => folder !== undefined && (await exists(placeOf(folder, meshId))),
    start() {
      const service = new MemoryService({
        tabs: undefined,
        openStorage: async (meshId) =>
          folder === undefined
            ? { storage: new MemoryHoloStorage(), persistent: false }
            : { storage: await openNodeHoloStorage(placeOf(folder, meshId)), persistent: true },
      })
      const { remote, end } = inThread<MemoryApi>(service)
      return {
        api: remote,
        end() {
          end()
          // Also one that was still opening: its folder must be free for the next.
          void service.close()
        },
      }
    },
  }
}

/** A folder for each room; the id is made of digits, but a path is nothing to take on trust. */
function placeOf(folder: string, meshId: string): string {
  if (!/^[A-Za-z0-9_-]{1,64}$/.test(meshId)) throw new AvError("UsageError", { why: "mesh id" })
  return join(folder, meshId)
}

async function exists(path: string): Promise<boolean> {
  return access(path).then(
    () => true,
    () => false,
  )
}
