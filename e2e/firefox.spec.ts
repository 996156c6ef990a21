/** A call between Chromium and Firefox: pictures and sound both ways, with the fallbacks Firefox needs. */
import { type Browser, expect, type Page, test } from "@playwright/test"
import { type Person, type Stage, setStage, toneOf } from "./browsers.ts"
import { firefoxMissing, hasSound, openFirefox } from "./firefox.ts"
import { eventually, heardTones, seenPictures } from "./observe.ts"
import { callPath, inRoom, readStats, waitForMembers } from "./room-page.ts"

const CODE = 21
/** Tone of Firefox's made-up microphone. */
const FIREFOX_HERTZ = 1_000

const missing = firefoxMissing()
if (missing !== undefined) console.log(`Chromium ↔ Firefox is not tested: ${missing}`)

test.describe.configure({ mode: "serial" })

test.describe("Chromium and Firefox in one call", () => {
  test.skip(missing !== undefined, missing)
  let stage: Stage
  let chromium: Person
  let fox: { browser: Browser; page: Page; errors: string[] }

  test.beforeAll(async () => {
    stage = await setStage()
    const path = callPath("two-browsers")
    chromium = await stage.open("chromium", CODE, path("chromium"))
    fox = await openFirefox(stage.url + path("firefox"))
    await Promise.all([inRoom(chromium.page, 60_000), inRoom(fox.page, 60_000)])
    await Promise.all([waitForMembers(chromium.page, 2, 60_000), waitForMembers(fox.page, 2, 60_000)])
  })
  test.afterAll(async () => {
    await fox?.browser.close()
    await stage?.close()
  })

  test("Firefox shows the moving picture of Chromium", async () => {
    const look = () => seenPictures(fox.page).then((tiles) => tiles.find((tile) => tile.code === CODE))
    const first = await eventually("Chromium's picture", look, (tile) => tile?.frame !== undefined, 60_000)
    await eventually("another frame of it", look, (tile) => tile?.frame !== undefined && tile.frame !== first?.frame)
  })

  test("Chromium shows the moving picture of Firefox, in a codec that Firefox encodes fast enough", async () => {
    const received = async () => (await readStats(chromium.page)).receive.find(({ kind }) => kind === "video")
    const first = await eventually("Firefox's picture", received, (stats) => (stats?.renderedFrames ?? 0) > 0, 60_000)
    await eventually(
      "sixty more frames of it",
      received,
      (stats) => (stats?.renderedFrames ?? 0) > first!.renderedFrames + 60,
      60_000,
    )
    const sent = (await readStats(fox.page)).send.find(({ kind }) => kind === "video")
    expect(["av01", "vp09", "vp8", "avc1"]).toContain(sent?.codec.split(".")[0])
    expect((await received())?.codec).toBe(sent?.codec)
    expect((await received())?.decoderErrors).toBe(0)
  })

  test("each hears the other", async () => {
    const sound = await hasSound(fox.page)
    if (!sound) console.log("Sound with Firefox is not tested: it finds no sound device on this machine")
    test.skip(!sound, "Firefox finds no sound device on this machine")
    for (const [page, hertz] of [
      [chromium.page, FIREFOX_HERTZ],
      [fox.page, toneOf(CODE)],
    ] as const) {
      await eventually(
        `a tone of ${hertz} Hz`,
        () => heardTones(page),
        (heard) => heard.some((tone) => Math.abs(tone.hertz - hertz) < 25 && tone.level > -60),
        60_000,
      )
    }
  })

  test("both are in one group, and nothing failed in the page", async () => {
    const [a, b] = await Promise.all([readStats(chromium.page), readStats(fox.page)])
    expect(a.room.epoch).toBe(b.room.epoch)
    expect(a.room.code).toBe(b.room.code)
    expect(fox.errors).toEqual([])
  })
})
