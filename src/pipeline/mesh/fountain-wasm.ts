/**
 * The fountain codec's WASM, carried inside the worker's bundle. Only the worker entry imports this: in Node the bytes come
 * from the package. Decoded by hand because a strict Content-Security-Policy forbids to fetch `data:`.
 */
import dataUrl from "raptorq/raptorq_bg.wasm?url&inline"
import { fromBase64 } from "../../wire/bytes.ts"
import type { Bytes } from "../../wire/types.ts"

/** The module's bytes. */
export function fountainWasm(): Bytes {
  return fromBase64(dataUrl.slice(dataUrl.indexOf(",") + 1))
}
