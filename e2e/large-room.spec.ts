/** Five pages that are linked to their neighbours on the ring only, and a stream that needs a link which nobody but a member can make. */
import { rmSync } from "node:fs"
import { type Browser, expect, type Page, test } from "@playwright/test"
import type {} from "./mesh/ring-page.ts"
import { eventually } from "./observe.ts"
import { buildSite, launch } from "./own-site.ts"
import { serveSite } from "./page-site.ts"

const SIZE = 5
/** Links that nothing needs are let go of after 30 s; those made while joining were needed a little longer. */
const SETTLE_MS = 120_000

test.describe.configure({ mode: "serial", timeout: 240_000 })

test("without the server a member introduces two others when a stream needs their link", async () => {
  const folder = await buildSite("e2e/mesh/ring-page.ts")
  const server = await serveSite(folder)
  let serving = true
  const browser: Browser = await launch()
  try {
    const pages: Page[] = []
    const ids: string[] = []
    let url = ""
    for (let i = 0; i < SIZE; i++) {
      const page = await (await browser.newContext()).newPage()
      if (process.env.HOLOMESH_E2E_LOG) page.on("console", (message) => console.log(message.text()))
      await page.goto(`http://localhost:${server.port}/`)
      await page.waitForFunction(() => "ringPage" in globalThis)
      if (i === 0) url = await page.evaluate(() => globalThis.ringPage.newRoom())
      ids.push(await page.evaluate(([to, name]) => globalThis.ringPage.join(to!, name!, 1), [url, `page ${i}`]))
      pages.push(page)
    }
    const seen = () => Promise.all(pages.map((page) => page.evaluate(() => globalThis.ringPage.seen())))
    const members = () => Promise.all(pages.map((page) => page.evaluate(() => globalThis.ringPage.members())))
    await eventually("everybody is in", members, (counts) => counts.every((count) => count === SIZE), 60_000)
    const before = await eventually("two links each", seen, (all) => all.every(({ linked }) => linked.length === 2), SETTLE_MS)
    // Nobody counts as lost or away because there is no link.
    for (const page of pages) {
      const connections = await page.evaluate(() => globalThis.ringPage.connections())
      expect(connections.filter((state) => state === "direct").length).toBe(2)
      expect(connections.filter((state) => state === "routed").length).toBe(SIZE - 1 - 2)
    }

    await server.close()
    serving = false
    await eventually("the server is gone", seen, (all) => all.every((one) => !one.server), 30_000)

    const [ada = ""] = ids
    const far = ids.flatMap((id, index) => (index > 0 && !before[0]!.linked.includes(id) ? [index] : []))
    expect(far.length).toBe(2)
    const began = Date.now()
    await pages[0]!.evaluate(() => globalThis.ringPage.publish())
    const frames = () => Promise.all(pages.slice(1).map((page) => page.evaluate(() => globalThis.ringPage.frames())))
    await eventually("everybody shows the picture", frames, (all) => all.every((count) => count > 15), 60_000)
    console.log(`  five pages, no server: the picture is everywhere ${Date.now() - began} ms after it was published`)
    const after = await seen()
    for (const index of far) {
      expect(after[index]!.linked).toContain(ada)
      expect(after[index]!.from).toContain(ada)
    }
    expect(await members()).toEqual(ids.map(() => SIZE))
  } finally {
    await browser.close()
    if (serving) await server.close()
    rmSync(folder, { recursive: true, force: true })
  }
})
