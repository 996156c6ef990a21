/** Builds the page of the network benchmark into a temporary folder. */
import { mkdtempSync, rmSync, writeFileSync } from "node:fs"
import { tmpdir } from "node:os"
import { join } from "node:path"
import { bundlePage, copyLibrary, picturePage } from "../../e2e/page-site.ts"

interface Site {
  folder: string
  remove(): void
}

/** The page with the built library beside it. */
export async function buildSite(): Promise<Site> {
  const folder = mkdtempSync(join(tmpdir(), "holomesh-network-"))
  await bundlePage("bench/network/page.ts", folder)
  copyLibrary(folder)
  writeFileSync(join(folder, "index.html"), picturePage("holomesh network benchmark"))
  return { folder, remove: () => rmSync(folder, { recursive: true, force: true }) }
}
