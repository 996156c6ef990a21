/** Builds the pages of the browser benchmarks into a temporary folder. */
import { cpSync, mkdtempSync, rmSync, writeFileSync } from "node:fs"
import { tmpdir } from "node:os"
import { join } from "node:path"
import { build } from "vite"

const ROOT = new URL("../..", import.meta.url).pathname

export interface Site {
  folder: string
  remove(): void
}

/** `index.html` for the calls with the built library beside it, and `worker.js` with the benchmarks. */
export async function buildSite(): Promise<Site> {
  const folder = mkdtempSync(join(tmpdir(), "holomesh-bench-"))
  await bundle("bench/browser/page.ts", "page.js", folder)
  await bundle("bench/browser/worker.ts", "worker.js", folder)
  cpSync(join(ROOT, "dist/holomesh.js"), join(folder, "holomesh.js"))
  cpSync(join(ROOT, "dist/workers"), join(folder, "workers"), { recursive: true })
  writeFileSync(
    join(folder, "index.html"),
    page('<canvas></canvas><video autoplay muted playsinline></video><script type="module" src="/page.js"></script>'),
  )
  writeFileSync(join(folder, "worker.html"), page(""))
  return { folder, remove: () => rmSync(folder, { recursive: true, force: true }) }
}

function page(body: string): string {
  return `<!doctype html><html lang="en"><head><meta charset="utf-8" /><title>holomesh benchmark</title><link rel="icon" href="data:," /></head><body>${body}</body></html>`
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
        resolveId: (id) => (id === "holomesh" ? { id: "/holomesh.js", external: true } : null),
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
