/** Where the workers come from in the one-file script-tag build: their text travels inside it. */
import sources from "virtual:worker-sources"
import { AvError } from "../wire/errors.ts"
import type { WorkerUrls } from "./types.ts"
import type { WorkerName } from "./worker-source.ts"

const blobUrls = new Map<string, string>()
/** Known only while the script itself runs. */
const script = globalThis.document?.currentScript
const scriptUrl = script instanceof HTMLScriptElement && script.src !== "" ? script.src : undefined

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
    const text = sources[name] ?? besideScript(name)
    url = URL.createObjectURL(new Blob([text], { type: "text/javascript" }))
    blobUrls.set(name, url)
  }
  return url
}

/** A worker that few pages need is no part of the script: it lies where the package has it, on whatever host the script came from. */
function besideScript(name: string): string {
  if (scriptUrl === undefined) throw new AvError("WorkerFailed", { worker: name, reason: "the script has no address" })
  return `import ${JSON.stringify(new URL(`./workers/${name}.js`, scriptUrl).href)}`
}
