/** The Opus decoder's WASM inside the worker's bundle, as `fountain-wasm.ts` does it. Only the worker entry imports this. */
import dataUrl from "@evan/opus/wasm/simd.wasm?url&inline"
import { fromBase64 } from "../../wire/bytes.ts"
import type { Bytes } from "../../wire/types.ts"

/** The module's bytes. */
export function opusWasm(): Bytes {
  return fromBase64(dataUrl.slice(dataUrl.indexOf(",") + 1))
}
