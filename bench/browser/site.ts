/** Builds the pages of the browser benchmarks into a temporary folder. */
import { mkdtempSync, rmSync, writeFileSync } from "node:fs"
import { tmpdir } from "node:os"
import { join } from "node:path"
import { bundlePage, copyLibrary, picturePage } from "../../e2e/page-site.ts"

const WORKER_PAGE =
  '<!doctype html><html lang="en"><head><meta charset="utf-8" /><title>holomesh benchmark</title><link rel="icon" href="data:," /></head><body></body></html>'

interface Site {
  folder: string
  remove(): void
}

/** `index.html` for the calls with the built library beside it, and `worker.js` with the benchmarks. */
export async function buildSite(): Promise<Site> {
  const folder = mkdtempSync(join(tmpdir(), "holomesh-bench-"))
  await bundlePage("bench/browser/page.ts", folder)
  await bundlePage("bench/browser/worker.ts", folder, "worker.js")
  copyLibrary(folder)
  writeFileSync(join(folder, "index.html"), picturePage("holomesh benchmark"))
  writeFileSync(join(folder, "worker.html"), WORKER_PAGE)
  return { folder, remove: () => rmSync(folder, { recursive: true, force: true }) }
}
