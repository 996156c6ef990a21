/** Five pages keep a recorded clip; its publisher and two others leave for good; a newcomer plays it, bit by bit as it was. */
import type { Page } from "@playwright/test"
import { expect, test } from "@playwright/test"
import type { Seen } from "./memory/page.ts"
import { eventually } from "./observe.ts"
import { type OwnSite, openSite } from "./own-site.ts"

interface Keeper {
  id: string
  page: Page
  list(): Promise<Seen[]>
  /** Says good-bye and never comes back. */
  leave(): Promise<void>
}

test.describe("a room that remembers", () => {
  test.describe.configure({ timeout: 240_000 })
  let site: OwnSite
  let rooms = 0

  test.beforeAll(async () => {
    site = await openSite("e2e/memory/page.ts")
  })
  test.afterAll(() => site.close())

  async function join(room: string | undefined, name: string): Promise<Keeper & { room: string }> {
    const page = await site.page()
    await page.waitForFunction(() => "memoryPage" in globalThis)
    const to = room ?? (await page.evaluate((fresh) => globalThis.memoryPage.newRoom(fresh), `memory-${++rooms}`))
    const id = await page.evaluate(([where, who]) => globalThis.memoryPage.join(where, who), [to, name] as const)
    return {
      id,
      page,
      room: to,
      list: () => page.evaluate(() => globalThis.memoryPage.list()),
      async leave() {
        await page.evaluate(() => globalThis.memoryPage.leave())
        await page.context().close()
      },
    }
  }

  const members = (keepers: readonly Keeper[], count: number) =>
    eventually(
      `${count} members`,
      () => Promise.all(keepers.map(({ page }) => page.evaluate(() => globalThis.memoryPage.members()))),
      (seen) => seen.every((number) => number === count),
      60_000,
    )

  /** Everybody knows it, and knows that it would survive the next one who goes. */
  const safe = (keepers: readonly Keeper[], id: string) =>
    eventually(
      "kept by all who are here",
      async () =>
        (await Promise.all(keepers.map((keeper) => keeper.list()))).map((items) => items.find((item) => item.id === id)),
      (items) => {
        const here = keepers.map((keeper) => keeper.id).sort()
        return items.every((item) => {
          const holders = item?.holders.map((holder) => holder.id).sort()
          return item?.readable === true && String(holders) === String(here) && (keepers.length < 3 || item.needed.length === 0)
        })
      },
      90_000,
    )

  test("plays a clip whose publisher has left for good, and cannot fetch one that was revoked", async () => {
    const ada = await join(undefined, "Ada")
    const others: Keeper[] = []
    for (const name of ["Bob", "Cem", "Dia", "Eli"]) others.push(await join(ada.room, name))
    await members([ada, ...others], 5)
    await others[0]!.page.evaluate(() => globalThis.memoryPage.publish())
    const clip = await ada.page.evaluate(() => globalThis.memoryPage.record(3_000, "clip.webm"))
    expect(clip.item.size).toBeGreaterThan(1_000)
    expect(clip.progress.at(-1)).toBe(clip.item.size)
    const secret = await ada.page.evaluate(() => globalThis.memoryPage.put(300_000, "secret.bin"))
    await safe([ada, ...others], clip.item.id)
    await safe([ada, ...others], secret.item.id)
    // Nobody but the publisher has the whole.
    const [item] = await others[1]!.list().then((items) => items.filter(({ id }) => id === clip.item.id))
    for (const holder of item!.holders) expect(holder.share < 1 || holder.id === ada.id).toBe(true)

    expect(await others[2]!.page.evaluate((id) => globalThis.memoryPage.revoke(id), secret.item.id)).toBe("NotAllowed")
    expect(await others[0]!.page.evaluate((id) => globalThis.memoryPage.get(id), secret.item.id)).toEqual({
      digest: secret.digest,
      name: "secret.bin",
    })
    await ada.page.evaluate((id) => globalThis.memoryPage.revoke(id), secret.item.id)
    for (const keeper of others) {
      await eventually(
        "the revoked one is gone",
        () => keeper.list(),
        (items) => items.length === 1,
        20_000,
      )
      expect(await keeper.page.evaluate((id) => globalThis.memoryPage.get(id), secret.item.id)).toEqual({ code: "ItemNotFound" })
    }

    await ada.leave()
    await safe(others, clip.item.id)
    await others.shift()!.leave()
    await safe(others, clip.item.id)
    await others.shift()!.leave()
    await safe(others, clip.item.id)

    const newcomer = await join(ada.room, "Fay")
    await members([newcomer, ...others], 3)
    await eventually(
      "the newcomer knows the clip",
      () => newcomer.list(),
      (items) => items.some(({ id, readable }) => id === clip.item.id && readable),
      60_000,
    )
    expect(await newcomer.page.evaluate((id) => globalThis.memoryPage.get(id), clip.item.id)).toEqual({
      digest: clip.digest,
      name: "clip.webm",
    })
    const played = await newcomer.page.evaluate((id) => globalThis.memoryPage.play(id), clip.item.id)
    expect(played).toMatchObject({ width: 160, height: 120 })
    expect(played.shown).toBeGreaterThan(3)
    expect(await newcomer.page.evaluate((id) => globalThis.memoryPage.get(id), secret.item.id)).toEqual({ code: "ItemNotFound" })
  })

  test("finds after a reload what this browser kept", async () => {
    const ada = await join(undefined, "Ada")
    const bob = await join(ada.room, "Bob")
    await members([ada, bob], 2)
    const { item, digest } = await ada.page.evaluate(() => globalThis.memoryPage.put(200_000, "kept.bin"))
    const shareOf = (items: Seen[], id: string) => items[0]?.holders.find((holder) => holder.id === id)?.share ?? 0
    await eventually(
      "Bob keeps it",
      () => bob.list(),
      (items) => shareOf(items, bob.id) >= 1,
      60_000,
    )
    expect((await bob.page.evaluate(() => globalThis.memoryPage.usage())).persistent).toBe(true)
    await bob.page.reload()
    await bob.page.waitForFunction(() => "memoryPage" in globalThis)
    const back = await bob.page.evaluate(([room, name]) => globalThis.memoryPage.join(room, name), [ada.room, "Bob"] as const)
    expect(back).toBe(bob.id)
    await eventually(
      "Ada sees it there again",
      () => ada.list(),
      (items) => shareOf(items, bob.id) >= 1,
      60_000,
    )
    await ada.leave()
    await members([bob], 1)
    expect(await bob.page.evaluate((id) => globalThis.memoryPage.get(id), item.id)).toEqual({ digest, name: "kept.bin" })
  })
})
