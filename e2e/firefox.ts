/** A stock Firefox for the tests, where one is installed. It is driven over WebDriver BiDi. */
import { existsSync } from "node:fs"
import { type Browser, firefox, type Page } from "@playwright/test"

const DEBIAN_FIREFOX = "/usr/bin/firefox-esr"

/** Why Firefox cannot be tested here; undefined when it can. */
export function firefoxMissing(): string | undefined {
  return existsSync(DEBIAN_FIREFOX) ? undefined : `${DEBIAN_FIREFOX} is not there (apt-get install firefox-esr)`
}

/** Firefox with its made-up camera (a changing colour) and microphone (1 kHz), on `url`. */
export async function openFirefox(url: string): Promise<{ browser: Browser; page: Page; errors: string[] }> {
  const browser = await firefox.launch({
    channel: "moz-firefox",
    executablePath: DEBIAN_FIREFOX,
    headless: true,
    firefoxUserPrefs: {
      "media.navigator.streams.fake": true,
      "media.navigator.permission.disabled": true,
      "media.autoplay.default": 0,
      "media.autoplay.blocking_policy": 0,
      "media.peerconnection.ice.loopback": true,
      "media.peerconnection.ice.obfuscate_host_addresses": false,
    },
  })
  const page = await (await browser.newContext()).newPage()
  const errors: string[] = []
  page.on("pageerror", (error) => errors.push(error.message))
  await page.goto(url)
  return { browser, page, errors }
}

/** False where the machine has no sound device: then Firefox plays and records nothing, and its microphone stays silent. */
export async function hasSound(page: Page): Promise<boolean> {
  return page.evaluate(async () => {
    const context = new AudioContext()
    await Promise.race([context.resume(), new Promise((resolve) => setTimeout(resolve, 3_000))])
    const running = context.state === "running"
    await context.close()
    return running
  })
}
