/** The capacity calculator: computes while one types, explains what cannot be, and can be used by keyboard, in the dark and on a phone. */
import { createServer } from "node:http"
import type { AddressInfo } from "node:net"
import { join } from "node:path"
import { type Browser, chromium, expect, test } from "@playwright/test"
import sirv from "sirv"

const SITE = join(import.meta.dirname, "../dist/site")

test.describe("capacity calculator", () => {
  const serve = sirv(SITE)
  const server = createServer((request, response) => serve(request, response))
  let browser: Browser
  let url: string

  test.beforeAll(async () => {
    await new Promise<void>((resolve) => server.listen(0, "127.0.0.1", resolve))
    url = `http://127.0.0.1:${(server.address() as AddressInfo).port}/capacity/`
    browser = await chromium.launch({ executablePath: "/usr/bin/chromium", args: ["--no-sandbox", "--disable-gpu"] })
  })
  test.afterAll(async () => {
    await browser.close()
    server.close()
  })

  test("answers while one types, and says what cannot be", async () => {
    const page = await browser.newPage()
    const errors: string[] = []
    page.on("pageerror", (error) => errors.push(error.message))
    await page.goto(url)
    const figure = (name: string) => page.getByRole("row", { name }).getByRole("cell").first()
    await expect(figure("on one device that keeps a piece")).toHaveText("10.0 MB")
    await page.getByLabel("Size of one recording").fill("1000")
    await expect(figure("on one device that keeps a piece")).toHaveText("50.0 MB")
    await expect(page.getByText("With 90 % of the devices there")).toContainText("99.50 %")
    await page.getByLabel("Devices that keep one").fill("20")
    await expect(page.getByRole("alert")).toHaveText("More devices must keep a piece than there are pieces.")
    await page.getByRole("button", { name: "Start values" }).click()
    await expect(page.getByRole("alert")).toHaveText("")
    await expect(page.getByRole("img")).toHaveAttribute("aria-label", /99\.50 %/)
    expect(errors).toEqual([])
  })

  for (const [name, options] of [
    ["dark", { colorScheme: "dark" }],
    ["phone", { viewport: { width: 360, height: 740 }, colorScheme: "light" }],
  ] as const) {
    test(`${name}: everything fits and can be read`, async () => {
      const page = await browser.newPage(options)
      await page.goto(url)
      await expect(page.getByRole("heading", { level: 1 })).toBeVisible()
      const [width, inner] = await page.evaluate(() => [document.documentElement.scrollWidth, window.innerWidth])
      expect(width).toBeLessThanOrEqual(inner!)
      await page.screenshot({ path: `test-results/capacity-${name}.png`, fullPage: true })
      const background = await page.evaluate(() => getComputedStyle(document.body).backgroundColor)
      expect(background).toBe(options.colorScheme === "dark" ? "rgb(12, 17, 20)" : "rgb(239, 242, 243)")
      await page.keyboard.press("Tab")
      await expect(page.getByLabel("Devices", { exact: true })).toBeFocused()
    })
  }
})
