/** Where the workers come from in the ES module build: files beside the library, found by any bundler. */
import { AvError } from "../wire/errors.ts"
import type { WorkerUrls } from "./types.ts"

/** Worker entry files of the library. */
export type WorkerName = "mesh" | "keys" | "publish" | "receive" | "memory" | "av1"

/** Starts a worker. `urls` overrides the built-in place. Each URL is a literal so that bundlers see it. */
export function startWorker(name: WorkerName, urls: WorkerUrls = {}): Worker {
  if (globalThis.Worker === undefined) throw new AvError("WorkerFailed", { worker: name, reason: "no workers here" })
  const own = urls[name]
  if (own !== undefined) return new Worker(own, { type: "module", name: `holomesh-${name}` })
  switch (name) {
    case "mesh":
      return new Worker(new URL("./workers/mesh.js", import.meta.url), { type: "module" })
    case "keys":
      return new Worker(new URL("./workers/keys.js", import.meta.url), { type: "module" })
    case "publish":
      return new Worker(new URL("./workers/publish.js", import.meta.url), { type: "module" })
    case "receive":
      return new Worker(new URL("./workers/receive.js", import.meta.url), { type: "module" })
    case "memory":
      return new Worker(new URL("./workers/memory.js", import.meta.url), { type: "module" })
    case "av1":
      return new Worker(new URL("./workers/av1.js", import.meta.url), { type: "module" })
  }
}

/** URL of the AudioWorklet module. */
export function workletUrl(urls: WorkerUrls = {}): string {
  return String(urls.audio ?? new URL("./workers/audio-worklet.js", import.meta.url))
}
