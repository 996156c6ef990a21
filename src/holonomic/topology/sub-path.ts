/** Sub-stream paths as map keys: one character per byte, so that text order is byte order. */
import type { Bytes } from "../../wire/types.ts"

export type PathKey = string

/** The whole stream. */
export const WHOLE_STREAM: PathKey = ""

export function pathKey(path: Bytes): PathKey {
  return path.length === 0 ? WHOLE_STREAM : String.fromCharCode(...path)
}

export function pathBytes(key: PathKey): Bytes {
  return Uint8Array.from(key, (character) => character.charCodeAt(0))
}

/** Ascending bytewise, each once. */
export function sortedPaths(keys: Iterable<PathKey>): PathKey[] {
  return [...new Set(keys)].sort((a, b) => (a < b ? -1 : a > b ? 1 : 0))
}
