/** Loads the codec from the installed package, for Node: tests, the conformance command, a relay. */
import { readFile } from "node:fs/promises"
import { createRequire } from "node:module"
import { initFountain } from "./codec.ts"

export async function initFountainFromPackage(): Promise<void> {
  const path = createRequire(import.meta.url).resolve("raptorq/raptorq_bg.wasm")
  await initFountain(await readFile(path))
}
