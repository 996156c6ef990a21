/** Builds the page of the skew benchmark: once as it is, and once under `/wrong/` with wrong clocks before every script. */
import { cpSync, mkdirSync, mkdtempSync, readdirSync, readFileSync, rmSync, writeFileSync } from "node:fs"
import { tmpdir } from "node:os"
import { join } from "node:path"
import { bundlePage, copyLibrary, picturePage } from "../../e2e/page-site.ts"
import { fastSystemClock, slowSoundCard } from "./wrong-clocks.ts"

const PAGE = picturePage("holomesh skew benchmark", '<script src="clock.js"></script>', "page.js")
const WORKLET = "audio-worklet.js"
/** The worker that reads microphones. */
const PUBLISH_WORKER = "publish.js"

interface Site {
  folder: string
  remove(): void
}

/** How wrong the clocks under `/wrong/` are, in parts per million. */
interface ClockErrors {
  systemPpm: number
  soundPpm: number
}

export async function buildSite({ systemPpm, soundPpm }: ClockErrors): Promise<Site> {
  const folder = mkdtempSync(join(tmpdir(), "holomesh-skew-"))
  await bundlePage("bench/skew/page.ts", folder, "page.js", "./holomesh.js")
  copyLibrary(folder)
  writeFileSync(join(folder, "index.html"), PAGE)
  writeFileSync(join(folder, "clock.js"), "")
  const wrong = join(folder, "wrong")
  mkdirSync(wrong)
  for (const part of ["page.js", "holomesh.js", "workers", "index.html"]) {
    cpSync(join(folder, part), join(wrong, part), { recursive: true })
  }
  writeFileSync(join(wrong, "clock.js"), fastSystemClock(systemPpm))
  for (const script of readdirSync(join(wrong, "workers")).filter((name) => name.endsWith(".js") && name !== WORKLET)) {
    const file = join(wrong, "workers", script)
    const prefix = fastSystemClock(systemPpm) + (script === PUBLISH_WORKER ? slowSoundCard(soundPpm) : "")
    writeFileSync(file, prefix + readFileSync(file, "utf8"))
  }
  return { folder, remove: () => rmSync(folder, { recursive: true, force: true }) }
}
