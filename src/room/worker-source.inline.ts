/** Where the workers come from in the one-file script-tag build: their text travels inside it. */
import sources from "virtual:worker-sources"
import type { WorkerUrls } from "./types.ts"
import type { WorkerName } from "./worker-source.ts"

const blobUrls = new Map<string, string>()

/** Starts a worker from its inlined text (a `blob:` URL), or from `urls` where a policy forbids that. */
export function startWorker(name: WorkerName, urls: WorkerUrls = {}): Worker {
  return new Worker(urls[name] ?? inlineUrl(name), { type: "module", name: `holomesh-${name}` })
}

/** URL of the AudioWorklet module. */
export function workletUrl(urls: WorkerUrls = {}): string {
  return String(urls.audio ?? inlineUrl("audio-worklet"))
}

function inlineUrl(name: string): string {
  let url = blobUrls.get(name)
  if (url === undefined) {
    const text = sources[name]
    if (text === undefined) throw new Error(`no inlined source for ${name}`)
    url = URL.createObjectURL(new Blob([text], { type: "text/javascript" }))
    blobUrls.set(name, url)
  }
  return url
}
