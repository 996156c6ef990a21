/** Append logs in a real browser: everything that was acknowledged is there again after the page died in the middle of appending. */
import { readFile } from "node:fs/promises"
import { createServer, type Server } from "node:http"
import { type Browser, type BrowserContext, expect, test } from "@playwright/test"
import type { openLog } from "../src/store/log/remote-log.ts"
import { launch } from "./own-site.ts"

const DIST = new URL("../dist/", import.meta.url)
const FILES = ["/holomesh.js", "/workers/log.js"]
const NAME = "00000000000000c4"
const BATCH = 16
const DEATHS = 4

let server: Server
let origin: string
let browser: Browser
let context: BrowserContext

test.beforeAll(async () => {
  server = createServer(async ({ url = "/" }, response) => {
    const isFile = FILES.includes(url)
    response.setHeader("Content-Type", isFile ? "text/javascript" : "text/html")
    response.end(isFile ? await readFile(new URL(`.${url}`, DIST)) : "<!doctype html><title>log</title>")
  })
  await new Promise<void>((resolve) => server.listen(0, "127.0.0.1", resolve))
  const address = server.address()
  origin = `http://127.0.0.1:${typeof address === "object" ? address?.port : 0}/`
  browser = await launch()
  context = await browser.newContext()
})
test.afterAll(async () => {
  await browser?.close()
  server?.close()
})

/** A page with the library and a log worker of its own. */
async function openPage() {
  const page = await context.newPage()
  await page.goto(origin)
  await page.evaluate(async () => {
    const library = "/holomesh.js"
    const { openLog } = (await import(library)) as { openLog: typeof import("../src/store/log/remote-log.ts").openLog }
    const open: typeof openLog = async (worker, name, options) => {
      // The files of a page that died are given free a moment later.
      for (let tries = 0; ; tries++) {
        try {
          return await openLog(worker, name, options)
        } catch (error) {
          const { what } = (error as { details?: { what?: string } }).details ?? {}
          if (what !== "locked" || tries > 100) throw error
          await new Promise((resolve) => setTimeout(resolve, 100))
        }
      }
    }
    Object.assign(globalThis, { open, worker: () => new Worker("/workers/log.js", { type: "module" }) })
  })
  return page
}

interface LogPage {
  open: typeof openLog
  worker(): Worker
  acknowledged: number
}

/** Everything in the log: the numbers, and whether each record holds its own number. */
async function readAll() {
  const page = await openPage()
  const found = await page.evaluate(async (name) => {
    const { open, worker } = globalThis as unknown as LogPage
    const log = await open(worker(), name)
    let count = 0
    let wrong = 0
    for (;;) {
      const records = await log.read(BigInt(count))
      if (records.length === 0) break
      for (const { seq, payload } of records) {
        if (seq !== BigInt(count) || new TextDecoder().decode(payload.subarray(0, 12)).trim() !== `${count}`) wrong++
        count++
      }
    }
    await log.close()
    return { count, wrong }
  }, NAME)
  await page.close()
  return found
}

test("LOG-R1, LOG-R5: a page that dies while it appends loses nothing that was acknowledged, and leaves no half record", async () => {
  let known = 0
  for (let death = 0; death < DEATHS; death++) {
    const page = await openPage()
    await page.evaluate(
      async ({ name, from, batch, durability }) => {
        const self = globalThis as unknown as LogPage
        const log = await self.open(self.worker(), name, { durability } as Parameters<LogPage["open"]>[2])
        self.acknowledged = from
        const append = async () => {
          for (let next = from; ; next += batch) {
            const record = (i: number) => new TextEncoder().encode(`${next + i}`.padEnd(100 + ((next + i) % 900)))
            await log.append(Array.from({ length: batch }, (_, i) => record(i)))
            self.acknowledged = next + batch
          }
        }
        void append()
      },
      { name: NAME, from: known, batch: BATCH, durability: death % 2 === 0 ? "never" : { everyN: 40 } },
    )
    await page.waitForFunction((least) => (globalThis as unknown as LogPage).acknowledged > least, known + 10 * BATCH)
    const acknowledged = await page.evaluate(() => (globalThis as unknown as LogPage).acknowledged)
    if (death === DEATHS - 1) {
      const session = await context.newCDPSession(page)
      const crashed = new Promise<void>((resolve) => page.once("crash", () => resolve()))
      session.send("Page.crash").catch(() => undefined)
      await crashed
    } else await page.close()
    const { count, wrong } = await readAll()
    expect(wrong).toBe(0)
    expect(count).toBeGreaterThanOrEqual(acknowledged)
    // Batches are written whole or not at all, unless the page died within the write itself.
    known = count
  }
  expect(known).toBeGreaterThan(DEATHS * 10 * BATCH)
})

test("LOG-R7: a second tab is refused by name, until the first has closed", async () => {
  const [first, second] = [await openPage(), await openPage()]
  await first.evaluate(async (name) => {
    const self = globalThis as unknown as LogPage & { log: Awaited<ReturnType<LogPage["open"]>> }
    self.log = await self.open(self.worker(), name)
  }, "00000000000000d5")
  const attempt = () =>
    second.evaluate(async (name) => {
      const library = "/holomesh.js"
      const { openLog: once } = (await import(library)) as { openLog: LogPage["open"] }
      try {
        const log = await once((globalThis as unknown as LogPage).worker(), name)
        await log.append([new TextEncoder().encode("mine")], { durable: true })
        await log.close()
        return "open"
      } catch (error) {
        return (error as { details: { what: string } }).details.what
      }
    }, "00000000000000d5")
  expect(await attempt()).toBe("locked")
  await first.evaluate(() => (globalThis as unknown as { log: { close(): Promise<void> } }).log.close())
  expect(await attempt()).toBe("open")
})
