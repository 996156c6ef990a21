/** A layered storage whose process dies at each of its writes in turn. Not part of the product. */
import type { Bytes } from "../../wire/types.ts"
import { type HoloFiles, type HoloIndex, LayeredHoloStorage } from "./layered.ts"
import type { HoloStorage, StorageOp } from "./storage.ts"
import { expectSame, filled, type StorageCase } from "./storage-suite.ts"

/** The two parts of a storage in a place that can be opened again. */
interface LayeredPlace {
  parts(): Promise<{ index: HoloIndex; files: HoloFiles }>
  /** Leaves half of what is written there, as a crash in the middle of writing does. */
  tear(name: string, bytes: Bytes): Promise<void>
}

/** `before`: nothing of the write that dies happens; `torn`: half of a file; `after`: all of it. */
const DEATHS = ["before", "torn", "after"] as const
type Death = (typeof DEATHS)[number]

class Died extends Error {}

/** Counts writes, and lets the one numbered `at` be the last. */
class Life {
  readonly #at: number
  readonly #death: Death
  writes = 0

  constructor(at: number, death: Death) {
    this.#at = at
    this.#death = death
  }

  async write(run: () => Promise<void>, tear?: () => Promise<void>): Promise<void> {
    this.writes += 1
    if (this.writes > this.#at) throw new Died("dead")
    if (this.writes < this.#at) return run()
    if (this.#death === "torn") await tear?.()
    if (this.#death === "after") await run()
    throw new Died(this.#death)
  }
}

function dying(life: Life, { parts, tear }: LayeredPlace): () => Promise<HoloStorage> {
  return async () => {
    const { index, files } = await parts()
    const mortalIndex: HoloIndex = {
      get: (key) => index.get(key),
      list: (prefix, options) => index.list(prefix, options),
      commit: (ops) => life.write(() => index.commit(ops)),
      close: () => index.close(),
    }
    const mortalFiles: HoloFiles = {
      read: (name) => files.read(name),
      write: (name, bytes) =>
        life.write(
          () => files.write(name, bytes),
          () => tear(name, bytes),
        ),
      remove: (name) => life.write(() => files.remove(name)),
      names: () => files.names(),
      close: () => files.close(),
    }
    return LayeredHoloStorage.open(mortalIndex, mortalFiles, async () => ({ quotaBytes: 1e9, usageBytes: 0 }))
  }
}

const LARGE = 6_000
const START: StorageOp[] = [
  { put: ["kept", filled(LARGE, 1)] },
  { put: ["replaced", filled(LARGE, 2)] },
  { put: ["shrunk", filled(LARGE, 3)] },
  { put: ["deleted", filled(LARGE, 4)] },
  { put: ["small", filled(9, 5)] },
]
const CHANGE: StorageOp[] = [
  { put: ["kept", filled(LARGE, 1)] },
  { put: ["replaced", filled(LARGE, 6)] },
  { put: ["shrunk", filled(3, 7)] },
  { del: "deleted" },
  { put: ["small", filled(LARGE, 8)] },
  { put: ["new", filled(LARGE, 9)] },
]

async function contents(storage: HoloStorage): Promise<string> {
  const found = []
  for (const key of await storage.list("")) found.push([key, (await storage.get(key))?.join()])
  return JSON.stringify(found)
}

/** @param fresh a new place each time */
export function crashCase(fresh: () => Promise<LayeredPlace>): Omit<StorageCase, "run"> & { run(): Promise<number> } {
  return {
    name: "a process that dies at any write leaves the old batch or the new one, and nothing else",
    async run() {
      let deaths = 0
      for (const death of DEATHS) {
        for (let at = 1; ; at++) {
          const place = await fresh()
          const life = dying(new Life(Number.POSITIVE_INFINITY, "after"), place)
          const first = await life()
          await first.batch(START)
          const old = await contents(first)
          await first.close()

          const mortal = new Life(at, death)
          const second = await dying(mortal, place)()
          const done = await second.batch(CHANGE).then(
            () => true,
            () => false,
          )
          await second.close()

          const third = await life()
          const seen = await contents(third)
          if (done) {
            await third.batch(CHANGE)
            expectSame(await contents(third), seen, "acknowledged")
          } else if (seen !== old) {
            await third.batch(CHANGE)
            expectSame(await contents(third), seen, `${death} write ${at}`)
          } else expectSame((await third.list("")).length, START.length)
          // It goes on as if nothing had happened.
          await third.batch(CHANGE)
          expectSame(await third.get("new"), filled(LARGE, 9))
          await third.close()
          const { index, files: left } = await place.parts()
          expectSame((await left.names()).length, 4, "files")
          await left.close()
          await index.close()
          deaths += 1
          if (mortal.writes < at) break
        }
      }
      return deaths
    },
  }
}
