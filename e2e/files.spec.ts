/** A folder goes from one page to another: offered, fetched with progress, interrupted and gone on with, saved; liars are found out. */
import { createHash } from "node:crypto"
import { mkdirSync, mkdtempSync, readFileSync, rmSync, writeFileSync } from "node:fs"
import { tmpdir } from "node:os"
import { join } from "node:path"
import { type Download, expect, type Page, test } from "@playwright/test"
import { RunningProgram } from "../server/testing/program.ts"
import { type Person, type Stage, setStage } from "./browsers.ts"
import { callPath, newSecret, waitForMembers } from "./room-page.ts"

const PICTURES = process.env.HOLOMESH_SCREENSHOTS
const BIG = 6_000_000

test.describe.configure({ mode: "serial" })

test.describe("files between two tabs", () => {
  let stage: Stage
  let ada: Person
  let bob: Person
  const secret = newSecret()
  const path = callPath("files", "/", secret)

  test.beforeAll(async () => {
    stage = await setStage()
    ada = await stage.open("ada", 11, path("Ada"))
    // Files go beside Ada's picture and sound; two more cameras would only keep the machine busy.
    bob = await stage.open("bob", 22, path("Bob", "&mode=audience"), { colorScheme: "dark" })
    for (const person of [ada, bob]) await waitForMembers(person.page, 2)
  })
  test.afterAll(async () => stage.close())

  test("one file is offered, fetched and saved as it was", async () => {
    await ada.page.keyboard.press("f")
    const content = Buffer.from("minutes of the meeting\n")
    await panelOf(ada.page)
      .getByLabel("Files to share")
      .setInputFiles({ name: "minutes.txt", mimeType: "text/plain", buffer: content })
    await expect(panelOf(ada.page).getByRole("list", { name: "You share" })).toContainText("minutes.txt")
    await expect(bob.page.getByText("Ada shares minutes.txt")).toBeVisible({ timeout: 15_000 })
    await bob.page.keyboard.press("f")
    const row = panelOf(bob.page).getByRole("listitem").filter({ hasText: "minutes.txt" })
    await row.getByRole("button", { name: "Get minutes.txt" }).click()
    const download = bob.page.waitForEvent("download")
    await row.getByRole("button", { name: "Save minutes.txt" }).click({ timeout: 20_000 })
    expect(await savedBytes(download)).toEqual(content)
  })

  test("a folder comes with its paths; what was cancelled goes on where it was", async () => {
    const sha = await shareFolder(ada.page)
    const row = panelOf(bob.page).getByRole("listitem").filter({ hasText: "trip" })
    await expect(row).toContainText("3 files")
    await row.getByRole("button", { name: "Get trip" }).click()
    const bar = row.getByRole("progressbar")
    await expect.poll(async () => Number(await bar.getAttribute("value")), { timeout: 20_000 }).toBeGreaterThan(0.3)
    await picture(bob.page, "files-dark")
    await row.getByRole("button", { name: "Cancel trip" }).click()
    const before = await sentBytes(ada.page)
    expect(before).toBeLessThan(BIG)
    // What a page sends of files by default is little enough to be cancelled in its middle; from here on it need not take that long.
    await ada.page.evaluate(() => globalThis.holomesh.room?.files.setUploadRate(undefined))
    await row.getByRole("button", { name: "Get trip" }).click()
    await row.getByText("Single files").click({ timeout: 30_000 })
    // Nothing was sent twice but what was under way when it was cancelled.
    expect(await sentBytes(ada.page)).toBeLessThan(BIG + 3_000_000)
    const download = bob.page.waitForEvent("download")
    await row.getByRole("button", { name: "trip/pictures/big.bin" }).click()
    expect(
      createHash("sha256")
        .update(await savedBytes(download))
        .digest("hex"),
    ).toBe(sha)
    await picture(bob.page, "files-fetched-dark")
    await picture(ada.page, "files-light")
    for (const person of [ada, bob]) expect(person.errors).toEqual([])
  })

  test("somebody who comes later sees what is shared, and gets it", async () => {
    const cleo = await stage.open("cleo", 33, path("Cleo", "&mode=audience"), { viewport: { width: 390, height: 780 } })
    await waitForMembers(cleo.page, 3)
    const names = await cleo.page.evaluate(async () => {
      const { room } = globalThis.holomesh
      if (room === undefined) throw new Error("not in a room")
      while (room.files.offers.length < 2) await new Promise((resolve) => setTimeout(resolve, 100))
      const offer = room.files.offers.find(({ name }) => name === "trip")
      if (offer === undefined) throw new Error("no offer")
      const fetched = await room.files.fetch(offer)
      const texts = await Promise.all(
        fetched.files.filter(({ size }) => size < 100).map(async (file) => (await fetched.open(file.path)).text()),
      )
      return { files: fetched.files.map((file) => file.path), texts }
    })
    expect(names.files).toEqual(["trip/a.txt", "trip/notes/b.txt", "trip/pictures/big.bin"])
    expect(names.texts).toEqual(["a", "b"])
    await cleo.page.getByRole("button", { name: "More" }).click()
    await cleo.page.getByRole("button", { name: "Files" }).click()
    await picture(cleo.page, "files-phone")
    await cleo.close()
  })

  test("a command sends a folder to a page, and fetches what a page shares", async () => {
    const folder = mkdtempSync(join(tmpdir(), "holomesh-disk-"))
    const main = new URL("../dist/server/main.js", import.meta.url).pathname
    const command = (verb: string, ...args: string[]) =>
      new RunningProgram(main, [
        "dir",
        verb,
        ...args,
        `ws://127.0.0.1:${stage.server.port}/files#k=${secret}`,
        "--bind",
        "127.0.0.1",
      ])
    mkdirSync(join(folder, "disk/deep"), { recursive: true })
    writeFileSync(join(folder, "disk/deep/hello.txt"), "from the disk")
    const sender = command("send", join(folder, "disk"), "--json")
    try {
      const { id } = JSON.parse(await sender.firstLine())
      const text = await bob.page.evaluate(async (wanted) => {
        const { room } = globalThis.holomesh
        if (room === undefined) throw new Error("not in a room")
        const find = () => room.files.offers.find((offer) => offer.id === wanted)
        while (find() === undefined) await new Promise((resolve) => setTimeout(resolve, 100))
        const fetched = await room.files.fetch(find()!)
        return (await fetched.open("deep/hello.txt")).text()
      }, id)
      expect(text).toBe("from the disk")
      const trip = await ada.page.evaluate(() => globalThis.holomesh.room?.files.shares.find(({ name }) => name === "trip")?.id)
      const fetching = await command("fetch", String(trip), join(folder, "trip")).ended
      expect([fetching.status, fetching.error.includes("kind:")]).toEqual([0, false])
      expect(readFileSync(join(folder, "trip/trip/notes/b.txt"), "utf8")).toBe("b")
      expect(readFileSync(join(folder, "trip/trip/pictures/big.bin"))).toHaveLength(BIG)
      expect((await sender.stop("SIGINT")).status).toBe(0)
    } finally {
      void sender.stop("SIGKILL")
      rmSync(folder, { recursive: true, force: true })
    }
    for (const person of [ada, bob]) await waitForMembers(person.page, 2)
  })

  test("what is not shared any more is not found, and a policy refuses", async () => {
    const codes = await bob.page.evaluate(async () => {
      const { room } = globalThis.holomesh
      const offer = room?.files.offers.find(({ name }) => name === "minutes.txt")
      if (room === undefined || offer === undefined) throw new Error("no offer")
      Object.assign(globalThis, { staleOffer: offer })
      return room.files.offers.length
    })
    expect(codes).toBe(2)
    await ada.page.evaluate(() => {
      const { room } = globalThis.holomesh
      room?.capabilities.announce({ policy: { participants: [room.local] } })
    })
    await panelOf(ada.page).getByRole("button", { name: "Stop sharing minutes.txt" }).click()
    await expect(panelOf(bob.page).getByRole("listitem").filter({ hasText: "minutes.txt" })).toHaveCount(0)
    const outcome = await bob.page.evaluate(async () => {
      const { room } = globalThis.holomesh
      if (room === undefined) throw new Error("not in a room")
      const stale = (globalThis as unknown as { staleOffer: (typeof room.files.offers)[number] }).staleOffer
      const left = room.files.offers[0]
      if (left === undefined) throw new Error("no offer")
      const code = (error: { code?: string }) => error.code ?? String(error)
      return Promise.all([
        room.files.fetch(stale).then(() => "fetched", code),
        room.files.fetch(left).then(() => "fetched", code),
      ])
    })
    expect(outcome).toEqual(["BlobNotFound", "BlobRefused"])
    for (const person of [ada, bob]) expect(person.errors).toEqual([])
  })
})

function panelOf(page: Page) {
  return page.getByRole("complementary", { name: "Files" })
}

/** The browser is another process: what it saved is asked for. */
async function savedBytes(download: Promise<Download>): Promise<Buffer> {
  const folder = mkdtempSync(join(tmpdir(), "holomesh-download-"))
  try {
    const file = join(folder, "saved")
    await (await download).saveAs(file)
    return readFileSync(file)
  } finally {
    rmSync(folder, { recursive: true, force: true })
  }
}

async function sentBytes(page: Page): Promise<number> {
  return page.evaluate(() => globalThis.holomesh.room?.files.sentBytes ?? 0)
}

/** Three files, one of them large; gives the hash of that one. */
async function shareFolder(page: Page): Promise<string> {
  return page.evaluate(async (size) => {
    const { room } = globalThis.holomesh
    if (room === undefined) throw new Error("not in a room")
    const big = Uint8Array.from({ length: size }, (_, i) => (i * 7 + (i >> 9)) & 0xff)
    await room.files.share([
      { path: "trip/a.txt", file: new Blob(["a"]) },
      { path: "trip/notes/b.txt", file: new Blob(["b"]) },
      { path: "trip/pictures/big.bin", file: new Blob([big]) },
    ])
    const digest = new Uint8Array(await crypto.subtle.digest("SHA-256", big))
    return [...digest].map((byte) => byte.toString(16).padStart(2, "0")).join("")
  }, BIG)
}

/** For people to look at, where `HOLOMESH_SCREENSHOTS` names a folder. */
async function picture(page: Page, name: string): Promise<void> {
  if (PICTURES === undefined) return
  mkdirSync(PICTURES, { recursive: true })
  await page.screenshot({ path: `${PICTURES}/${name}.png` })
}
