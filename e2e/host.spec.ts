/** A host lets people in, silences, removes, and shares its rights, all from the demo's own buttons. */
import { mkdirSync } from "node:fs"
import { expect, type Page, test } from "@playwright/test"
import { type Person, type Stage, setStage } from "./browsers.ts"
import { eventually, seenPictures } from "./observe.ts"
import { callPath, readStats, waitForMembers } from "./room-page.ts"

const PICTURES = process.env.HOLOMESH_SCREENSHOTS
const BOB = 22

test.describe.configure({ mode: "serial" })

test.describe("a room with a host", () => {
  let stage: Stage
  let ada: Person
  let bob: Person
  let cleo: Person
  const path = callPath("hosted")

  test.beforeAll(async () => {
    stage = await setStage()
    ada = await stage.open("ada", 11, path("Ada"))
    await waitForMembers(ada.page, 1)
  })
  test.afterAll(async () => stage.close())

  test("asks the host before it lets anybody in", async () => {
    await ada.page.keyboard.press("u")
    await panelOf(ada.page).getByLabel("Who can come in").selectOption({ label: "Whoever a host lets in" })
    bob = await stage.open("bob", BOB, path("Bob"), { colorScheme: "dark" })
    await expect(bob.page.getByText("The host has been asked to let you in …")).toBeVisible({ timeout: 20_000 })
    const knock = ada.page.getByRole("region", { name: "Somebody asks to come in" })
    await expect(knock).toContainText("Bob asks to come in")
    await expect(panelOf(ada.page).getByRole("list", { name: "At the door" })).toContainText("Bob")
    await expect(ada.page.getByRole("button", { name: "People, 1 at the door" })).toBeVisible()
    await picture(ada.page, "host-door")
    await knock.getByRole("button", { name: "Let in" }).click()
    await waitForMembers(bob.page, 2)
    await expect(knock).toBeHidden()
    await eventually(
      "ada sees bob",
      () => seenPictures(ada.page),
      (seen) => seen.some(({ code }) => code === BOB),
    )
  })

  test("tells whoever is declined at once", async () => {
    const eve = await stage.open("eve", 55, path("Eve"))
    const row = panelOf(ada.page).getByRole("list", { name: "At the door" })
    await expect(row).toContainText("Eve", { timeout: 20_000 })
    await row.getByRole("button", { name: "Not now: Eve" }).click()
    await expect(eve.page.getByText("The host did not let you in.")).toBeVisible({ timeout: 10_000 })
    expect((await readStats(ada.page)).room.members).toBe(2)
    await eve.close()
  })

  test("silences everybody; nobody but a host can", async () => {
    await expect(ada.page.getByRole("listitem").filter({ hasText: "Bob" })).toBeVisible()
    await ada.page.getByRole("button", { name: "Mute everybody" }).click()
    await expect(bob.page.getByText("Ada asked you to be silent. Your microphone is off.")).toBeVisible({ timeout: 10_000 })
    await expect(bob.page.getByRole("button", { name: "Microphone" })).toHaveAttribute("aria-pressed", "false")
    await expect(panelOf(ada.page).getByRole("listitem").filter({ hasText: "Bob" })).toContainText("microphone off")
    // The one who was asked decides when to speak again.
    await bob.page.getByRole("button", { name: "Microphone" }).click()
    await expect(panelOf(ada.page).getByRole("listitem").filter({ hasText: "Bob" })).not.toContainText("microphone off")
    await bob.page.keyboard.press("u")
    await expect(panelOf(bob.page).getByRole("listitem").filter({ hasText: "Ada" }).locator(".person-facts")).toHaveText("host")
    await expect(panelOf(bob.page).getByRole("button", { name: /Mute/ })).toHaveCount(0)
    const refused = await bob.page.evaluate(async () => {
      const { room } = globalThis.holomesh
      const calls = [room?.host.muteAll(), room?.host.set({ admission: "locked" }), room?.host.admit("mk1x")]
      const results = await Promise.allSettled(calls)
      return results.map((result) => (result.status === "rejected" ? result.reason.code : "done"))
    })
    expect(refused).toEqual(["NotAllowed", "NotAllowed", "NotAllowed"])
  })

  test("gives the right to another member, who lets somebody in with it", async () => {
    await panelOf(ada.page).getByRole("button", { name: "Make host: Bob" }).click()
    await expect(bob.page.getByText("You are a host of this room now")).toBeVisible({ timeout: 10_000 })
    cleo = await stage.open("cleo", 33, path("Cleo"), { viewport: { width: 390, height: 780 } })
    const row = panelOf(bob.page).getByRole("list", { name: "At the door" })
    await row.getByRole("button", { name: "Let in: Cleo" }).click({ timeout: 20_000 })
    await waitForMembers(cleo.page, 3)
    await picture(bob.page, "host-people-dark")
  })

  test("takes the right back, and orders are worth nothing from then on", async () => {
    await panelOf(ada.page).getByRole("button", { name: "Take host rights: Bob" }).click()
    await expect(bob.page.getByText("You are not a host of this room any more")).toBeVisible({ timeout: 10_000 })
    const refused = await bob.page.evaluate(() =>
      globalThis.holomesh.room?.host.muteAll().catch((error: { code: string }) => error.code),
    )
    expect(refused).toBe("NotAllowed")
  })

  test("shows only chosen people when the host wants that", async () => {
    await eventually(
      "cleo sees bob",
      () => seenPictures(cleo.page),
      (seen) => seen.some(({ code }) => code === BOB),
    )
    await ada.page.evaluate(async () => {
      await globalThis.holomesh.room?.host.set({ publish: "token" })
    })
    await eventually(
      "bob is not shown any more, ada is",
      () => seenPictures(cleo.page),
      (seen) => seen.some(({ code }) => code === 11) && !seen.some(({ code }) => code === BOB),
    )
    await expect(bob.page.getByText("Only people whom the host chooses are seen and heard now.")).toBeVisible()
    await panelOf(ada.page).getByRole("button", { name: "Let speak: Bob" }).click()
    await eventually(
      "bob is shown again",
      () => seenPictures(cleo.page),
      (seen) => seen.some(({ code }) => code === BOB),
    )
    await openOnPhone(cleo.page)
    await picture(cleo.page, "people-phone")
    await cleo.page.keyboard.press("Escape")
  })

  test("removes somebody, whose link is worth nothing then; the others' addresses follow", async () => {
    const before = ada.page.url()
    await panelOf(ada.page).getByRole("button", { name: "Remove: Bob" }).click()
    const dialog = ada.page.getByRole("dialog", { name: "Remove Bob?" })
    await expect(dialog).toBeVisible()
    await picture(ada.page, "host-remove")
    await dialog.getByRole("button", { name: "Remove" }).click()
    await expect(bob.page.getByText("You were removed from this room.")).toBeVisible({ timeout: 15_000 })
    await waitForMembers(cleo.page, 2)
    await expect.poll(() => ada.page.url()).not.toBe(before)
    await expect.poll(() => new URL(cleo.page.url()).hash).toBe(new URL(ada.page.url()).hash)
    await expect(panelOf(ada.page).getByRole("listitem").filter({ hasText: "Bob" })).toHaveCount(0)
    for (const person of [ada, bob, cleo]) expect(person.errors).toEqual([])
    // Whoever loads the page again comes back with the new link.
    const cleoId = await cleo.page.evaluate(() => globalThis.holomesh.room?.local.id)
    await ada.page.evaluate(async () => {
      await globalThis.holomesh.room?.host.set({ admission: "invited" })
    })
    await cleo.page.reload()
    await waitForMembers(cleo.page, 2)
    expect(cleoId).toMatch(/^mk1/)
  })
})

function panelOf(page: Page) {
  return page.getByRole("complementary", { name: "People" })
}

async function openOnPhone(page: Page): Promise<void> {
  await page.getByRole("button", { name: "More" }).click()
  await page.getByRole("button", { name: "People" }).click()
}

/** For people to look at, where `HOLOMESH_SCREENSHOTS` names a folder. */
async function picture(page: Page, name: string): Promise<void> {
  if (PICTURES === undefined) return
  mkdirSync(PICTURES, { recursive: true })
  await page.screenshot({ path: `${PICTURES}/${name}.png` })
}
