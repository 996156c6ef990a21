/** Sites for tests and benchmarks: pages that are bundled for them, with the built library beside, loaded as its users load it. */
import { cpSync } from "node:fs"
import { join } from "node:path"
import type { RendezvousServer, RendezvousServerOptions } from "../server/rendezvous.ts"

const ROOT = new URL("..", import.meta.url).pathname

/**
 * Bundles one script of the repository into a folder.
 *
 * @param entry below the root of the repository
 * @param library where the page finds the library; a page below another folder than the root needs `./holomesh.js`
 */
export async function bundlePage(entry: string, folder: string, name = "page.js", library = "/holomesh.js"): Promise<void> {
  // Most tests serve what is built already.
  const { build } = await import("vite")
  await build({
    configFile: false,
    root: ROOT,
    logLevel: "warn",
    define: { "process.env.NODE_ENV": JSON.stringify("production") },
    plugins: [
      {
        name: "library-as-users-load-it",
        enforce: "pre",
        resolveId: (id) => (id === "holomesh" ? { id: library, external: true } : null),
      },
    ],
    build: {
      outDir: folder,
      emptyOutDir: false,
      copyPublicDir: false,
      target: "es2022",
      lib: { entry: join(ROOT, entry), formats: ["es"], fileName: () => name },
      rollupOptions: { output: { codeSplitting: false } },
    },
  })
}

/** Puts the built library and its workers into a folder. */
export function copyLibrary(folder: string): void {
  cpSync(join(ROOT, "dist/holomesh.js"), join(folder, "holomesh.js"))
  cpSync(join(ROOT, "dist/workers"), join(folder, "workers"), { recursive: true })
}

/** A page for one picture and the script `page.js`. */
export function picturePage(title: string, before = "", script = "/page.js"): string {
  return `<!doctype html><html lang="en"><head><meta charset="utf-8" /><title>${title}</title>
<link rel="icon" href="data:," /></head><body><canvas></canvas><video autoplay muted playsinline></video>
${before}<script type="module" src="${script}"></script></body></html>`
}

/** Serves a folder together with the rendezvous of the built package, on this machine only; on any free port unless `more` says which. */
export async function serveSite(folder: string, more: Partial<RendezvousServerOptions> = {}): Promise<RendezvousServer> {
  const { createRendezvousServer } = (await import(
    new URL("../dist/server/rendezvous.js", import.meta.url).href
  )) as typeof import("../server/rendezvous.ts")
  return createRendezvousServer({ port: 0, host: "127.0.0.1", staticDir: folder, logLevel: "silent", ...more })
}
