/** Storage of a room's memory in a real browser: IndexedDB and the private file system, with every case the other back ends pass. */
import { createServer } from "node:http"
import { expect, test } from "@playwright/test"
import { build } from "vite"
import { launch } from "./own-site.ts"
import type { Outcome } from "./storage/worker.ts"

const ROOT = new URL("..", import.meta.url).pathname

async function bundle(): Promise<string> {
  const result = await build({
    configFile: false,
    root: ROOT,
    logLevel: "warn",
    build: {
      write: false,
      target: "es2022",
      lib: { entry: `${ROOT}e2e/storage/worker.ts`, formats: ["es"], fileName: () => "worker.js" },
      rollupOptions: { output: { codeSplitting: false } },
    },
  })
  const [output] = Array.isArray(result) ? result : [result]
  if (output === undefined || !("output" in output)) throw new Error("nothing was built")
  return output.output[0].code
}

test("the browser's storage behaves as every storage does, also when it dies at any write", async () => {
  const script = await bundle()
  const server = createServer(({ url }, response) => {
    const isScript = url === "/worker.js"
    response.setHeader("Content-Type", isScript ? "text/javascript" : "text/html")
    response.end(isScript ? script : "<!doctype html><title>storage</title>")
  })
  await new Promise<void>((resolve) => server.listen(0, "127.0.0.1", resolve))
  const address = server.address()
  const browser = await launch()
  try {
    const page = await browser.newPage()
    await page.goto(`http://127.0.0.1:${typeof address === "object" ? address?.port : 0}/`)
    const outcomes = await page.evaluate(
      () =>
        new Promise<Outcome[]>((resolve, reject) => {
          const worker = new Worker("/worker.js", { type: "module" })
          worker.onmessage = (event: MessageEvent<Outcome[]>) => resolve(event.data)
          worker.onerror = (event) => reject(new Error(event.message))
        }),
    )
    expect(outcomes.length).toBe(15)
    expect(outcomes.filter(({ error }) => error !== undefined)).toEqual([])
  } finally {
    await browser.close()
    server.close()
  }
})
