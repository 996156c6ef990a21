/** Two tabs of one browser in one room: one storage between them, kept by whichever is there. */
import { type BrowserContext, expect, type Page, test } from "@playwright/test"
import { eventually } from "./observe.ts"
import { type OwnSite, openSite } from "./own-site.ts"

test.describe("several tabs of one browser", () => {
  test.describe.configure({ timeout: 120_000 })
  let site: OwnSite

  test.beforeAll(async () => {
    site = await openSite("e2e/memory/page.ts")
  })
  test.afterAll(() => site.close())

  async function tab(context: BrowserContext): Promise<Page> {
    const page = await site.page(context)
    await page.waitForFunction(() => "memoryPage" in globalThis)
    return page
  }

  const join = (page: Page, room: string, name: string) =>
    page.evaluate(([where, who]) => globalThis.memoryPage.join(where, who), [room, name] as const)
  const list = (page: Page) => page.evaluate(() => globalThis.memoryPage.list())
  const get = (page: Page, id: string) => page.evaluate((one) => globalThis.memoryPage.get(one), id)

  test("the second works with the storage of the first, goes on when that is closed, and leaves it to a third", async () => {
    const context = await site.browser.newContext()
    const first = await tab(context)
    const room = await first.evaluate(() => globalThis.memoryPage.newRoom("tabs"))
    const firstId = await join(first, room, "Ada")
    const one = await first.evaluate(() => globalThis.memoryPage.put(60_000, "one.bin"))
    const second = await tab(context)
    const secondId = await join(second, room, "Ada again")
    expect(secondId).not.toBe(firstId)
    // What the first one kept is there without a byte of it having travelled.
    expect(await get(second, one.item.id)).toEqual({ digest: one.digest, name: "one.bin" })
    const two = await second.evaluate(() => globalThis.memoryPage.put(60_000, "two.bin"))
    for (const page of [first, second]) {
      expect((await page.evaluate(() => globalThis.memoryPage.usage())).persistent).toBe(true)
      expect((await list(page)).map(({ id }) => id).sort()).toEqual([one.item.id, two.item.id].sort())
    }
    expect((await list(second))[0]!.holders.map(({ id }) => id)).toEqual([firstId])

    // As somebody closes a tab: nothing is said to anybody.
    await first.close()
    const closedAt = Date.now()
    expect(await get(second, two.item.id)).toEqual({ digest: two.digest, name: "two.bin" })
    expect(Date.now() - closedAt).toBeLessThan(5_000)
    await eventually(
      "the second tab keeps it now",
      () => list(second),
      (items) => items.length === 2 && items.every(({ holders }) => holders.map(({ id }) => id).join() === secondId),
      20_000,
    )
    const third = await tab(context)
    await join(third, room, "Ada back")
    await second.close()
    expect(await get(third, one.item.id)).toEqual({ digest: one.digest, name: "one.bin" })
    // The identity that this browser keeps is free again, and with it the right to take back what it has put there.
    expect(await third.evaluate((id) => globalThis.memoryPage.revoke(id), one.item.id)).toBeUndefined()
    expect((await list(third)).map(({ id }) => id)).toEqual([two.item.id])
    await context.close()
  })
})
