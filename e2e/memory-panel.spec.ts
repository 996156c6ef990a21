/** The demo's panel of the room's memory: two people record, keep, see who keeps what, play, and take back. */
import { mkdirSync } from "node:fs"
import { join } from "node:path"
import { expect, type Page, test } from "@playwright/test"
import { type Person, type Stage, setStage } from "./browsers.ts"
import { callPath, waitForMembers } from "./room-page.ts"

const SCREENSHOTS = process.env.HOLOMESH_SCREENSHOTS

test.describe.configure({ mode: "serial", timeout: 120_000 })

test.describe("room memory in the demo", () => {
  let stage: Stage
  let ada: Person
  let bob: Person
  const path = callPath("memory-panel")

  test.beforeAll(async () => {
    stage = await setStage()
    ada = await stage.open("ada", 11, path("ada"))
    bob = await stage.open("bob", 22, path("bob"), { colorScheme: "dark" })
    for (const { page } of [ada, bob]) await waitForMembers(page, 2)
  })
  test.afterAll(async () => stage.close())

  const panel = (page: Page) => page.getByRole("complementary", { name: "Room memory" })
  async function shot(page: Page, name: string): Promise<void> {
    if (SCREENSHOTS === undefined) return
    mkdirSync(SCREENSHOTS, { recursive: true })
    await page.screenshot({ path: join(SCREENSHOTS, `${name}.png`) })
  }

  test("a recording is kept by both and played by the other", async () => {
    for (const { page } of [ada, bob]) await page.keyboard.press("r")
    await expect(panel(ada.page)).toBeVisible()
    await expect(panel(ada.page).getByText("Nothing yet.")).toBeVisible()
    await panel(ada.page).getByLabel("It stays").selectOption({ label: "1 week" })
    await panel(ada.page).getByRole("button", { name: "Record the call" }).click()
    await expect(panel(ada.page).getByRole("timer")).toContainText("Recording, 0:0")
    await expect(panel(ada.page).getByRole("timer")).toContainText(/0:(0[3-9]|[1-5]\d)/, { timeout: 20_000 })
    await panel(ada.page).getByRole("button", { name: "Stop and keep" }).click()
    const item = panel(bob.page).getByRole("listitem").filter({ hasText: "from ada, stays 7 more days" })
    await expect(item).toBeVisible({ timeout: 20_000 })
    await item.getByText("Who keeps it").click()
    await expect(item.getByRole("list").getByRole("listitem")).toHaveCount(2, { timeout: 30_000 })
    await item.getByRole("button", { name: /^Play/ }).click()
    await expect(item.locator("video")).toBeVisible({ timeout: 20_000 })
    await expect.poll(() => item.locator("video").evaluate((video: HTMLVideoElement) => video.videoWidth)).toBe(1280)
    await shot(bob.page, "memory-dark")
    await expect(item.getByRole("button", { name: /^Take back/ })).toBeHidden()
    await panel(ada.page).getByText("Who keeps it").click()
    await shot(ada.page, "memory-light")
    await ada.page.setViewportSize({ width: 390, height: 780 })
    await shot(ada.page, "memory-mobile")
    await ada.page.setViewportSize({ width: 1280, height: 800 })
  })

  test("a file is kept too, and taking it back removes it everywhere", async () => {
    await panel(ada.page)
      .getByLabel("Files to keep")
      .setInputFiles({ name: "plan.txt", mimeType: "text/plain", buffer: Buffer.from("to be taken back") })
    const theirs = panel(bob.page).getByRole("listitem").filter({ hasText: "plan.txt" })
    await expect(theirs).toBeVisible({ timeout: 20_000 })
    await panel(ada.page).getByRole("button", { name: "Take back: plan.txt" }).click()
    await ada.page.getByRole("dialog").getByRole("button", { name: "Take back" }).click()
    await expect(theirs).toBeHidden({ timeout: 20_000 })
    await expect(panel(ada.page).getByRole("listitem").filter({ hasText: "plan.txt" })).toBeHidden()
    for (const { errors } of [ada, bob]) expect(errors).toEqual([])
  })
})
