/** A site for one spec: a page of its own beside the built library, served together with a server, and a browser to show it in. */
import { existsSync, mkdtempSync, rmSync, writeFileSync } from "node:fs"
import { tmpdir } from "node:os"
import { join } from "node:path"
import { type Browser, type BrowserContext, chromium, type Page } from "@playwright/test"
import { bundlePage, copyLibrary, picturePage, serveSite } from "./page-site.ts"

const DEBIAN_CHROMIUM = "/usr/bin/chromium"
const FLAGS = [
  "--headless=new",
  "--no-sandbox",
  "--disable-gpu",
  "--disable-background-networking",
  // A process that is made to die would write its memory to disk first, and everybody else would wait for the processor.
  "--disable-breakpad",
  "--disable-crash-reporter",
  "--disable-background-timer-throttling",
  "--disable-renderer-backgrounding",
  "--disable-backgrounding-occluded-windows",
  "--autoplay-policy=no-user-gesture-required",
  "--allow-loopback-in-peer-connection",
  "--disable-features=WebRtcHideLocalIpsWithMdns",
]

export interface OwnSite {
  browser: Browser
  /**
   * A page that has loaded the site.
   *
   * @param context default: a new one, with a storage of its own: nobody finds what another one keeps
   * @param before called before anything of the page runs
   */
  page(context?: BrowserContext, before?: (page: Page) => Promise<void>): Promise<Page>
  close(): Promise<void>
}

/**
 * @param entry script of the page, below the root of the repository
 * @param prepare changes the folder before it is served
 */
export async function openSite(entry: string, prepare: (folder: string) => void = () => {}): Promise<OwnSite> {
  const folder = await buildSite(entry)
  prepare(folder)
  const server = await serveSite(folder)
  const browser = await launch()
  const url = `http://localhost:${server.port}/`
  return {
    browser,
    async page(context, before) {
      const page = await (context ?? (await browser.newContext({ viewport: { width: 300, height: 200 } }))).newPage()
      if (process.env.HOLOMESH_E2E_LOG) page.on("console", (message) => console.log(message.text()))
      page.on("pageerror", (error) => console.log(error.message))
      await before?.(page)
      await page.goto(url)
      return page
    },
    async close() {
      await browser.close()
      await server.close()
      rmSync(folder, { recursive: true, force: true })
    },
  }
}

export async function launch(): Promise<Browser> {
  return chromium.launch({
    ...(existsSync(DEBIAN_CHROMIUM) ? { executablePath: DEBIAN_CHROMIUM } : {}),
    headless: true,
    args: FLAGS,
  })
}

/** @param entry script of the page, below the root of the repository */
export async function buildSite(entry: string): Promise<string> {
  const folder = mkdtempSync(join(tmpdir(), "holomesh-site-"))
  await bundlePage(entry, folder)
  copyLibrary(folder)
  writeFileSync(join(folder, "index.html"), picturePage("holomesh test"))
  return folder
}
