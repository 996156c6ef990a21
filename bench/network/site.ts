/** Builds the page of the network benchmark into a temporary folder. */
import { cpSync, mkdtempSync, rmSync, writeFileSync } from "node:fs"
import { tmpdir } from "node:os"
import { join } from "node:path"
import { build } from "vite"

const ROOT = new URL("../..", import.meta.url).pathname
const PAGE = `<!doctype html><html lang="en"><head><meta charset="utf-8" /><title>holomesh network benchmark</title>
<link rel="icon" href="data:," /></head><body><canvas></canvas><video autoplay muted playsinline></video>
<script type="module" src="/page.js"></script></body></html>`

export interface Site {
  folder: string
  remove(): void
}

/** The page with the built library beside it, loaded as users load it. */
export async function buildSite(): Promise<Site> {
  const folder = mkdtempSync(join(tmpdir(), "holomesh-network-"))
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
      outDir: folder,
      emptyOutDir: false,
      copyPublicDir: false,
      target: "es2022",
      lib: { entry: join(ROOT, "bench/network/page.ts"), formats: ["es"], fileName: () => "page.js" },
      rollupOptions: { output: { codeSplitting: false } },
    },
  })
  cpSync(join(ROOT, "dist/holomesh.js"), join(folder, "holomesh.js"))
  cpSync(join(ROOT, "dist/workers"), join(folder, "workers"), { recursive: true })
  writeFileSync(join(folder, "index.html"), PAGE)
  return { folder, remove: () => rmSync(folder, { recursive: true, force: true }) }
}
