/** Entry of the AV1 worker: loaded only where the browser has no AV1 decoder and somebody sends nothing else. */
import createModule from "ogv/dist/ogv-decoder-video-av1-simd-wasm.js"
import dataUrl from "ogv/dist/ogv-decoder-video-av1-simd-wasm.wasm?url&inline"
import { Av1Decoder } from "../src/media/av1/index.ts"
import { Av1Service, type ToAv1Worker } from "../src/pipeline/av1/index.ts"
import { fromBase64 } from "../src/wire/bytes.ts"

const wasm = fromBase64(dataUrl.slice(dataUrl.indexOf(",") + 1))

addEventListener("message", ({ ports: [port] }: MessageEvent) => {
  if (port === undefined) return
  const service = new Av1Service(
    () => Av1Decoder.load(createModule, wasm),
    (message, transfer = []) => port.postMessage(message, transfer),
  )
  port.onmessage = (event: MessageEvent<ToAv1Worker>) => void service.take(event.data)
})
