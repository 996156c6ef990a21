/** Serves the benchmark worker cross-origin isolated, which gives it a clock of 5 µs instead of 100, and runs it. */
import { createReadStream } from "node:fs"
import { createServer } from "node:http"
import type { AddressInfo } from "node:net"
import { join } from "node:path"
import type { Stage } from "../../e2e/browsers.ts"
import type { Effort } from "../measure.ts"
import type { Result } from "../subject.ts"
import type { WorkerAnswer, WorkerTask } from "./worker.ts"

const FILES: Record<string, string> = { "/worker.html": "text/html", "/worker.js": "text/javascript" }

export async function runInWorker(
  stage: Stage,
  folder: string,
  effort: Effort,
  only: string[] | undefined,
  done: (result: Result) => void,
): Promise<void> {
  const server = await serveIsolated(folder)
  const { browser, page } = await stage.open("bench", 1, "/script-tag/")
  try {
    await page.goto(`http://localhost:${server.port}/worker.html`)
    await page.exposeFunction("reportResult", done)
    await page.evaluate(startWorker, { effort, only } satisfies WorkerTask)
  } finally {
    await browser.close()
    server.close()
  }
}

/** Runs in the page; resolves when the worker is finished. */
async function startWorker(task: WorkerTask): Promise<void> {
  if (!globalThis.crossOriginIsolated) throw new Error("the page is not isolated: its clock would be too coarse")
  const report = (globalThis as unknown as { reportResult(result: Result): Promise<void> }).reportResult
  await new Promise<void>((resolve, reject) => {
    const worker = new Worker("/worker.js", { type: "module" })
    worker.onerror = (event) => reject(new Error(event.message))
    const reports: Promise<void>[] = []
    worker.onmessage = ({ data }: MessageEvent<WorkerAnswer>) => {
      if ("done" in data) reports.push(report(data.done))
      else if ("failed" in data) reject(new Error(data.failed))
      else Promise.all(reports).then(() => resolve(), reject)
    }
    worker.postMessage(task)
  })
}

async function serveIsolated(folder: string): Promise<{ port: number; close(): void }> {
  const server = createServer((request, response) => {
    const type = FILES[request.url ?? ""]
    if (type === undefined) {
      response.writeHead(404).end()
      return
    }
    response.writeHead(200, {
      "content-type": type,
      "cross-origin-opener-policy": "same-origin",
      "cross-origin-embedder-policy": "require-corp",
    })
    createReadStream(join(folder, request.url ?? "")).pipe(response)
  })
  await new Promise<void>((resolve) => server.listen(0, "127.0.0.1", resolve))
  return { port: (server.address() as AddressInfo).port, close: () => server.close() }
}
