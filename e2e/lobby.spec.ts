/** Whoever presses Join while camera and microphone are still being opened: waits a moment, and is not without them afterwards. */
import { expect, type Page, test } from "@playwright/test"
import { type Person, type Stage, setStage } from "./browsers.ts"
import { eventually } from "./observe.ts"
import { inRoom, leaveRoom } from "./room-page.ts"

interface SlowDevices {
  /** Whether the lobby was still shown when the devices came. */
  cameInLobby?: boolean
  /** What the lobby's status said, whoever was there to see it. */
  said?: string[]
  /** The person answers the browser's question. */
  answer?: () => void
}

test.describe.configure({ mode: "serial" })

test.describe("devices that are slow", () => {
  let stage: Stage
  let ada: Person

  test.beforeAll(async () => {
    stage = await setStage()
    ada = await stage.open("ada", 11, "/?delay=1200", { init: slowDevices })
  })
  test.afterAll(async () => stage.close())

  test("are waited for, and the page says so", async () => {
    const { page } = ada
    await page.getByRole("textbox", { name: "Your name" }).fill("Ada")
    await page.getByRole("button", { name: "Start the call" }).click()
    await inRoom(page)
    await publishes(page, ["audio", "video"])
    const { cameInLobby, said } = await page.evaluate(() => {
      const { cameInLobby, said } = globalThis as SlowDevices
      return { cameInLobby, said }
    })
    expect(cameInLobby).toBe(true)
    expect(said).toContain("Starting your camera and microphone …")
    await leaveRoom(page)
  })

  test("are not waited for without end: they join the call when they come", async () => {
    const { page } = ada
    await page.goto(`${stage.url}/?delay=answer`)
    await page.getByRole("button", { name: "Start the call" }).click()
    await inRoom(page)
    await expect(page.getByRole("button", { name: "Camera" })).toHaveAttribute("aria-pressed", "false")
    await publishes(page, [])
    await page.evaluate(() => (globalThis as SlowDevices).answer?.())
    await publishes(page, ["audio", "video"])
    await expect(page.getByRole("button", { name: "Camera" })).toHaveAttribute("aria-pressed", "true")
    expect(ada.errors).toEqual([])
  })
})

const publishes = (page: Page, kinds: readonly string[]) =>
  eventually(
    `published: ${kinds.join(", ") || "nothing"}`,
    () => page.evaluate(() => (globalThis.holomesh.room?.publications ?? []).map(({ kind }) => kind).sort()),
    (seen) => String(seen) === String(kinds),
  )

/** Runs in the page: devices take as long as `?delay=` says, or until they are answered for. */
function slowDevices(): void {
  const page = globalThis as SlowDevices
  const delay = new URL(location.href).searchParams.get("delay")
  if (delay === null) return
  const said: string[] = []
  page.said = said
  new MutationObserver(() => {
    const words = document.querySelector(".join-status")?.textContent ?? ""
    if (words !== "" && said.at(-1) !== words) said.push(words)
  }).observe(document, { subtree: true, childList: true, characterData: true })
  const { mediaDevices } = navigator
  const open = mediaDevices.getUserMedia.bind(mediaDevices)
  const ready = new Promise<void>((resolve) => {
    if (delay === "answer") page.answer = resolve
    else setTimeout(resolve, Number(delay))
  })
  mediaDevices.getUserMedia = async (wanted) => {
    await ready
    page.cameInLobby = document.querySelector(".lobby") !== null
    return open(wanted)
  }
}
