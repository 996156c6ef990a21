/** Builds the page of the skew benchmark: once as it is, and once under `/wrong/` with wrong clocks before every script. */
import { cpSync, mkdirSync, mkdtempSync, readdirSync, readFileSync, rmSync, writeFileSync } from "node:fs"
import { tmpdir } from "node:os"
import { join } from "node:path"
import { build } from "vite"
import { fastSystemClock, slowSoundCard } from "./wrong-clocks.ts"

const ROOT = new URL("../..", import.meta.url).pathname
const PAGE = `<!doctype html><html lang="en"><head><meta charset="utf-8" /><title>holomesh skew benchmark</title>
<link rel="icon" href="data:," /></head><body><canvas></canvas><video autoplay muted playsinline></video>
<script src="clock.js"></script><script type="module" src="page.js"></script></body></html>`
const WORKLET = "audio-worklet.js"
/** The worker that reads microphones. */
const PUBLISH_WORKER = "publish.js"

export interface Site {
  folder: string
  remove(): void
}

/** How wrong the clocks under `/wrong/` are, in parts per million. */
export interface ClockErrors {
  systemPpm: number
  soundPpm: number
}

export async function buildSite({ systemPpm, soundPpm }: ClockErrors): Promise<Site> {
  const folder = mkdtempSync(join(tmpdir(), "holomesh-skew-"))
  await bundle("bench/skew/page.ts", "page.js", folder)
  cpSync(join(ROOT, "dist/holomesh.js"), join(folder, "holomesh.js"))
  cpSync(join(ROOT, "dist/workers"), join(folder, "workers"), { recursive: true })
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

async function bundle(entry: string, name: string, outDir: string): Promise<void> {
  await build({
    configFile: false,
    root: ROOT,
    logLevel: "warn",
    define: { "process.env.NODE_ENV": JSON.stringify("production") },
    plugins: [
      {
        name: "library-as-users-load-it",
        enforce: "pre",
        resolveId: (id) => (id === "holomesh" ? { id: "./holomesh.js", external: true } : null),
      },
    ],
    build: {
      outDir,
      emptyOutDir: false,
      copyPublicDir: false,
      target: "es2022",
      lib: { entry: join(ROOT, entry), formats: ["es"], fileName: () => name },
      rollupOptions: { output: { codeSplitting: false } },
    },
  })
}
