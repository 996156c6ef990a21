/** A browser without an AV1 decoder shows AV1 all the same, when nothing else is sent. */
import { cpSync, mkdtempSync, rmSync, writeFileSync } from "node:fs"
import { tmpdir } from "node:os"
import { join } from "node:path"
import { type BrowserContext, expect, type Page, test } from "@playwright/test"
import { eventually } from "./observe.ts"
import { launch } from "./own-site.ts"
import { bundlePage, copyLibrary, picturePage, serveSite } from "./page-site.ts"

const CODE = 91

test.describe("without a decoder for AV1", () => {
  let folder: string
  let site: Awaited<ReturnType<typeof serveSite>>
  let browser: Awaited<ReturnType<typeof launch>>
  let room: string

  test.beforeAll(async () => {
    folder = mkdtempSync(join(tmpdir(), "holomesh-av1-"))
    await bundlePage("e2e/mesh/page.ts", folder)
    copyLibrary(folder)
    cpSync(new URL("../dist/holomesh.iife.js", import.meta.url), join(folder, "holomesh.iife.js"))
    writeFileSync(join(folder, "index.html"), picturePage("holomesh AV1 test"))
    writeFileSync(join(folder, "one-file.js"), "export const { joinRoom, createInvitation } = globalThis.holomesh\n")
    await bundlePage("e2e/mesh/page.ts", folder, "one-file-page.js", "/one-file.js")
    writeFileSync(
      join(folder, "one-file.html"),
      picturePage("holomesh AV1 test, one file", `<script src="/holomesh.iife.js"></script>`, "/one-file-page.js"),
    )
    site = await serveSite(folder)
    browser = await launch()
    const ada = await open("index.html")
    room = await ada.evaluate(() => globalThis.meshPage.newRoom())
    await ada.evaluate(([to, code]) => globalThis.meshPage.publish(to, code, 4, { codecs: ["av1"] }), [room, CODE] as const)
  })
  test.afterAll(async () => {
    await browser?.close()
    await site?.close()
    rmSync(folder, { recursive: true, force: true })
  })

  for (const [build, page] of [
    ["the ES module", "index.html"],
    ["the one-file build", "one-file.html"],
  ] as const) {
    test(`${build} decodes it in a worker of its own`, async () => {
      const bob = await open(page, withoutAv1)
      const asked: string[] = []
      bob.context().on("request", (request) => asked.push(new URL(request.url()).pathname))
      await watch(bob)
      const before = (await bob.evaluate(() => globalThis.meshPage.sight())).frames
      const sight = await eventually(
        "the moving picture",
        () => bob.evaluate(() => globalThis.meshPage.sight()),
        ({ code, frames }) => code === CODE && frames > before + 20,
        30_000,
      )
      expect(sight.code).toBe(CODE)
      expect(asked).toContain("/workers/av1.js")
      await bob.context().close()
    })
  }

  test("a worker that cannot be loaded is said to be missing, and the room goes on", async () => {
    const bob = await open("index.html", withoutAv1)
    await bob.route("**/workers/av1.js", (route) => route.abort())
    await watch(bob)
    const warned = await eventually(
      "a warning",
      () => bob.evaluate(() => globalThis.meshPage.warnings()),
      (codes) => codes.includes("MediaUnsupported"),
      90_000,
    )
    expect(warned).toContain("MediaUnsupported")
    expect(await bob.evaluate(() => globalThis.meshPage.state())).toBe("connected")
    await bob.context().close()
  })

  /** Neither the page nor its receive worker finds a decoder for AV1 in the browser. */
  async function withoutAv1(context: BrowserContext): Promise<void> {
    await context.addInitScript(hideAv1)
    await context.route("**/workers/receive.js", async (route) => {
      const response = await route.fetch()
      await route.fulfill({ response, body: `(${hideAv1.toString()})();\n${await response.text()}` })
    })
  }

  async function watch(page: Page): Promise<void> {
    // The file in place of the text in the script, so that the test can get at it.
    const workers = { receive: "/workers/receive.js" }
    await page.evaluate(([to, from]) => globalThis.meshPage.watch(to, "bob", false, { workers: from }), [room, workers] as const)
  }

  async function open(path: string, prepare?: (context: BrowserContext) => Promise<void>): Promise<Page> {
    const context = await browser.newContext({ viewport: { width: 400, height: 300 } })
    await prepare?.(context)
    const page = await context.newPage()
    await page.goto(`http://localhost:${site.port}/${path}`)
    await page.waitForFunction(() => "meshPage" in globalThis)
    return page
  }
})

function hideAv1(): void {
  if (typeof VideoDecoder === "undefined") return
  const ask = VideoDecoder.isConfigSupported.bind(VideoDecoder)
  VideoDecoder.isConfigSupported = async (config) =>
    config.codec.startsWith("av01") ? { supported: false, config } : ask(config)
}
