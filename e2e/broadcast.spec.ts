/** A broadcast: one page on stage, two that watch without devices, and one that only hands streams on. */
import { mkdirSync } from "node:fs"
import { expect, type Page, test } from "@playwright/test"
import { type Person, type Stage, setStage } from "./browsers.ts"
import { eventually, seenPictures } from "./observe.ts"
import { callPath, onlyFrom, readStats, waitForMembers } from "./room-page.ts"

const ADA = 11
const PICTURES = process.env.HOLOMESH_SCREENSHOTS

test.describe.configure({ mode: "serial" })

test.describe("a broadcast", () => {
  let stage: Stage
  let ada: Person
  let bob: Person
  let cleo: Person
  let rob: Person
  const ids: Record<string, string> = {}
  const path = callPath("broadcast")

  test.beforeAll(async () => {
    stage = await setStage()
    ada = await stage.open("ada", ADA, path("Ada", "&mode=stage"))
    rob = await stage.open("rob", 22, path("Rob", "&mode=relay"), { init: countDeviceRequests, colorScheme: "dark" })
    bob = await stage.open("bob", 33, path("Bob", "&mode=audience"), { init: countDeviceRequests, colorScheme: "dark" })
    const phone = { width: 390, height: 780 }
    cleo = await stage.open("cleo", 44, path("Cleo", "&mode=audience&uplink=1"), { init: countDeviceRequests, viewport: phone })
    for (const person of [ada, bob, cleo, rob]) {
      await waitForMembers(person.page, 4)
      ids[person.name] = await person.page.evaluate(() => globalThis.holomesh.room?.local.id ?? "")
    }
  })
  test.afterAll(async () => stage.close())

  test("is seen by an audience that was never asked for a device and publishes nothing", async () => {
    for (const person of [bob, cleo]) {
      await eventually(
        `${person.name} sees ada`,
        () => seenPictures(person.page),
        (seen) => seen.some(({ code }) => code === ADA),
      )
      await expect(person.page.getByRole("article")).toHaveCount(1)
      await expect(person.page.getByRole("button", { name: "Camera" })).toHaveCount(0)
    }
    for (const person of [bob, cleo, rob]) {
      expect(await person.page.evaluate(() => (globalThis as { deviceRequests?: number }).deviceRequests)).toBe(0)
      expect((await readStats(person.page)).send).toEqual([])
    }
    await expect(ada.page.locator(".call-status")).toHaveText("You are on stage, 3 watching")
    await expect(bob.page.locator(".call-status")).toHaveText("1 on stage, 3 watching")
  })

  test("a page that is a relay only shows nothing, and counts what it hands on", async () => {
    await expect(rob.page.getByRole("article")).toHaveCount(0)
    await expect(rob.page.getByRole("heading", { name: "This browser hands streams on" })).toBeVisible()
    await onlyFrom(bob.page, ids.ada!, ids.rob!)
    await eventually(
      "rob hands ada's streams on to bob",
      () => readStats(rob.page),
      ({ relay }) => relay.streams.some(({ children }) => children.some(({ peer, chunks }) => peer === ids.bob && chunks > 50)),
      30_000,
    )
    const facts = rob.page.locator(".relay-facts")
    await expect(facts).toContainText(/Handed on\s*[1-9]/)
    await expect(facts).toContainText(/To\s*[1-9]\d* members?/)
    const chunks = async () => Number((await fact(rob.page, "Chunks handed over")).replace(/\D/g, ""))
    const before = await chunks()
    await expect.poll(chunks, { timeout: 10_000 }).toBeGreaterThan(before)
    expect(
      (await readStats(rob.page)).receive.filter(({ kind, renderedFrames }) => kind === "video" && renderedFrames > 0),
    ).toEqual([])
  })

  test("the network panel shows who feeds whom, to the eye, the keyboard and a screen reader", async () => {
    await bob.page.keyboard.press("n")
    const panel = bob.page.getByRole("complementary", { name: "Network" })
    const streams = panel.getByRole("combobox", { name: "Stream", exact: true })
    await expect(streams).toBeVisible({ timeout: 15_000 })
    await streams.selectOption({ label: await labelOf(streams.locator("option"), /picture/) })
    const rows = panel.getByRole("table")
    // Reports come in after the first question.
    await expect(rows.getByRole("row", { name: /^Rob \(relay only\).*reported/ })).toBeVisible({ timeout: 15_000 })
    await expect(rows.getByRole("row", { name: /^You Rob/ })).toContainText("measured here")
    await expect(rows.getByRole("row", { name: /^Ada publishes it/ })).toContainText(/sends [\d.,]+ [kM]bit/)
    const own = panel.locator(".tree-node.own")
    await expect(own).toHaveAttribute("aria-label", /^You: [\d.,]+ [kM]bit\/s.*takes it from Rob/)
    await own.focus()
    await bob.page.keyboard.press("ArrowUp")
    await expect(panel.getByRole("button", { name: /^Rob \(relay only\)/ })).toBeFocused()
    await bob.page.keyboard.press("ArrowUp")
    await expect(panel.getByRole("button", { name: /^Ada: sends/ })).toBeFocused()
    await expect(panel.locator(".tree-details")).toContainText("Ada: sends")
    // Redrawing every second takes the focus from nobody.
    await bob.page.waitForTimeout(2_500)
    await expect(panel.getByRole("button", { name: /^Ada: sends/ })).toBeFocused()
    await picture(bob.page, "network-dark")
    await openOnPhone(cleo.page)
    await expect(cleo.page.getByRole("complementary", { name: "Network" }).locator(".tree-node.own")).toBeVisible({
      timeout: 15_000,
    })
    await picture(cleo.page, "network-phone")
    await picture(rob.page, "relay-dark")
    await ada.page.keyboard.press("n")
    await expect(ada.page.locator(".tree-node", { hasText: "Rob" })).toBeVisible({ timeout: 15_000 })
    // On the picture for people there are figures of a few seconds.
    if (PICTURES !== undefined) await ada.page.waitForTimeout(5_000)
    await picture(ada.page, "network-light")
  })

  test("the limit of an uplink can be changed while the broadcast runs", async () => {
    const page = ada.page
    const uplink = page.getByRole("complementary", { name: "Network" }).getByLabel("Own uplink")
    await expect(cleo.page.getByRole("complementary", { name: "Network" }).getByLabel("Own uplink")).toHaveValue("1")
    await uplink.selectOption("1")
    await eventually(
      "no more than 1 Mbit/s is allowed over all links that carry a stream",
      () => readStats(page),
      ({ links, send }) => {
        const served = new Set(send.flatMap(({ subscribers }) => subscribers))
        const rates = links.filter(({ peer }) => served.has(peer)).map(({ rate = 0 }) => rate)
        return rates.length > 0 && rates.reduce((sum, rate) => sum + rate, 0) <= 1_010_000
      },
    )
    const { relay } = await readStats(page)
    expect(relay.promisedBitrate).toBeLessThanOrEqual(1e6)
    expect(relay.uplinkLimit).toBe(1e6)
    await expect(page.locator(".tree-node.own")).toHaveAttribute("aria-label", /uplink limited to 1 Mbit\/s/)
    await uplink.selectOption("0")
    // How fast the links grow again is the path's business, and a busy machine's.
    await eventually(
      "nothing is limited any more",
      () => readStats(page),
      ({ relay }) => relay.uplinkLimit === undefined,
    )
    await expect(page.locator(".tree-node.own")).not.toHaveAttribute("aria-label", /uplink limited/)
    for (const person of [ada, bob, cleo, rob]) expect(person.errors).toEqual([])
  })
})

test("a new room can be a broadcast; its invitation is for the audience", async () => {
  const stage = await setStage()
  try {
    const { page } = await stage.open("ada", ADA, "/")
    // The lobby shows the camera; nobody needs to wait for it, see lobby.spec.
    await expect(page.locator(".preview-hint")).toBeHidden()
    await picture(page, "lobby")
    await page.getByRole("button", { name: "Start a broadcast" }).click()
    await expect(page.getByRole("article", { name: "Guest" })).toBeVisible({ timeout: 30_000 })
    expect(new URL(page.url()).searchParams.get("mode")).toBe("stage")
    const link = new URL(await page.getByRole("textbox", { name: "Invitation link" }).inputValue())
    expect(link.searchParams.get("mode")).toBe("audience")
    const guest = await stage.open("bob", 33, link.pathname + link.search + link.hash, { init: countDeviceRequests })
    await picture(guest.page, "lobby-audience")
    await guest.page.getByRole("button", { name: "Watch the broadcast" }).click()
    await eventually(
      "bob sees ada",
      () => seenPictures(guest.page),
      (seen) => seen.some(({ code }) => code === ADA),
    )
    expect(await guest.page.evaluate(() => (globalThis as { deviceRequests?: number }).deviceRequests)).toBe(0)
  } finally {
    await stage.close()
  }
})

/** Runs in the page: counts how often it asks for a camera, a microphone or a screen. */
function countDeviceRequests(): void {
  const counter = globalThis as { deviceRequests?: number }
  counter.deviceRequests = 0
  const { mediaDevices } = navigator
  for (const name of ["getUserMedia", "getDisplayMedia"] as const) {
    const open = mediaDevices[name].bind(mediaDevices)
    mediaDevices[name] = (wanted) => {
      counter.deviceRequests = (counter.deviceRequests ?? 0) + 1
      return open(wanted)
    }
  }
}

async function fact(page: Page, title: string): Promise<string> {
  return (await page.locator(".relay-facts div", { hasText: title }).locator("dd").textContent()) ?? ""
}

async function labelOf(options: ReturnType<Page["locator"]>, pattern: RegExp): Promise<string> {
  const labels = await options.allTextContents()
  return labels.find((label) => pattern.test(label)) ?? ""
}

async function openOnPhone(page: Page): Promise<void> {
  await page.getByRole("button", { name: "More" }).click()
  await page.getByRole("button", { name: "Network" }).click()
}

/** For people to look at, where `HOLOMESH_SCREENSHOTS` names a folder. */
async function picture(page: Page, name: string): Promise<void> {
  if (PICTURES === undefined) return
  mkdirSync(PICTURES, { recursive: true })
  await page.screenshot({ path: `${PICTURES}/${name}.png` })
}
