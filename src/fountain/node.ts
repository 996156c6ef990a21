/** Loads the codec from the installed package, for Node: tests, the conformance command, a relay. */
import { readFile } from "node:fs/promises"
import { createRequire } from "node:module"
import { initFountain } from "./codec.ts"

/** The codec's WASM as the package has it. */
export async function readFountainWasm(): Promise<Uint8Array<ArrayBuffer>> {
  const path = createRequire(import.meta.url).resolve("raptorq/raptorq_bg.wasm")
  return new Uint8Array(await readFile(path))
}

export async function initFountainFromPackage(): Promise<void> {
  await initFountain(await readFountainWasm())
}
