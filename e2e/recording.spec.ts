/** Recordings: everybody is in them, the file has its length and can be jumped in, and a page whose timers sleep records all the same. */
import { cpSync, readFileSync, writeFileSync } from "node:fs"
import { expect, type Page, test } from "@playwright/test"
import { eventually } from "./observe.ts"
import { type OwnSite, openSite } from "./own-site.ts"

/** As an application's bundler does: the library names the package, the application says where it is. */
function nameLibrary(folder: string): void {
  const library = readFileSync(`${folder}/holomesh.js`, "utf8")
  expect(library).toContain('import("mediabunny")')
  writeFileSync(`${folder}/holomesh.js`, library.replace('import("mediabunny")', 'import("/mediabunny.js")'))
  cpSync(
    new URL("../node_modules/mediabunny/dist/bundles/mediabunny.min.mjs", import.meta.url).pathname,
    `${folder}/mediabunny.js`,
  )
}

test.describe("recording a call", () => {
  test.describe.configure({ timeout: 120_000 })
  let site: OwnSite
  let rooms = 0

  test.beforeAll(async () => {
    site = await openSite("e2e/recording/page.ts", nameLibrary)
  })
  test.afterAll(() => site.close())

  /** @param sleepy its timers run once a second, as those of a tab that nobody looks at */
  async function join(room: string | undefined, name: string, sleepy = false): Promise<{ page: Page; room: string }> {
    const page = await site.page(undefined, async (fresh) => {
      if (!sleepy) return
      await fresh.addInitScript(() => {
        const every = globalThis.setInterval
        globalThis.setInterval = ((run: TimerHandler, ms = 0, ...rest: unknown[]) =>
          every(run, Math.max(1_000, ms), ...rest)) as typeof setInterval
      })
    })
    await page.waitForFunction(() => "recordingPage" in globalThis)
    const to = room ?? (await page.evaluate((fresh) => globalThis.recordingPage.newRoom(fresh), `recording-${++rooms}`))
    await page.evaluate(([where, who]) => globalThis.recordingPage.join(where, who), [to, name] as const)
    return { page, room: to }
  }

  const sees = (page: Page, names: readonly string[]) =>
    eventually(
      `${names.join(" and ")} can be seen and heard`,
      () => page.evaluate(() => globalThis.recordingPage.seen()),
      (seen) => names.every((name) => seen.includes(name)),
      60_000,
    )

  test("has its length and an index, holds picture and sound, and does not need the page's timers", async () => {
    const ada = await join(undefined, "Ada", true)
    const bob = await join(ada.room, "Bob")
    await bob.page.evaluate(() => globalThis.recordingPage.publish())
    await sees(ada.page, ["Bob"])
    const recording = ada.page.evaluate(() => globalThis.recordingPage.record(8_000, {}, [2, 7, 2.5]))
    await ada.page.waitForFunction(() => globalThis.recordingPage.isRecording())
    await bob.page.waitForTimeout(4_500)
    await bob.page.evaluate(() => globalThis.recordingPage.turnBlue())
    const { same, type, name, seekable, durationMs, played, said, loudness, size } = await recording
    expect({ same, seekable, type }).toEqual({ same: true, seekable: true, type: "video/webm" })
    expect(name).toMatch(/^recording-\d+ .*\.webm$/)
    expect(size).toBeGreaterThan(5_000)
    expect(durationMs).toBeGreaterThan(7_000)
    expect(Math.abs(played.duration * 1_000 - durationMs)).toBeLessThan(500)
    expect(played).toMatchObject({ width: 320, height: 240 })
    // Back and forth in the file: the picture there is the one of that time.
    const [early, late, earlyAgain] = played.colours
    for (const place of [early!, earlyAgain!]) expect(place.red).toBeGreaterThan(place.blue + 80)
    expect(late!.blue).toBeGreaterThan(late!.red + 80)
    // Ten a second were asked for; one a second is what timers of a sleeping page would have given.
    expect(said.video.packets / said.video.seconds).toBeGreaterThan(5)
    expect(Math.abs(said.audio.seconds - said.video.seconds)).toBeLessThan(0.7)
    expect(said.mimeType).toMatch(/vp0?9.*opus|vp8.*opus/)
    // A tone of amplitude 0.3, in every second but for what joining takes.
    for (const second of loudness.slice(1, -1)) expect(second).toBeGreaterThan(0.05)
    expect(await ada.page.evaluate(() => globalThis.recordingPage.cancelled())).toBe("Aborted")
  })

  test("holds those who were chosen; the browser's own recorder takes over where the library is not wanted", async () => {
    const ada = await join(undefined, "Ada")
    const bob = await join(ada.room, "Bob")
    const cem = await join(ada.room, "Cem")
    await bob.page.evaluate(() => globalThis.recordingPage.publish())
    await cem.page.evaluate(() => globalThis.recordingPage.publish())
    await cem.page.evaluate(() => globalThis.recordingPage.turnBlue())
    await sees(ada.page, ["Bob", "Cem"])
    const onlyBob = await ada.page.evaluate(() => globalThis.recordingPage.record(3_000, { only: "Bob" }, [2]))
    expect(onlyBob.played.colours[0]!.red).toBeGreaterThan(onlyBob.played.colours[0]!.blue + 80)
    const onlyCem = await ada.page.evaluate(() => globalThis.recordingPage.record(3_000, { only: "Cem", muxer: false }, [2]))
    expect(onlyCem.played.colours[0]!.blue).toBeGreaterThan(onlyCem.played.colours[0]!.red + 80)
    expect(onlyCem).toMatchObject({ seekable: false })
    const own = await bob.page.evaluate(() => globalThis.recordingPage.ownLoudness())
    expect(Math.max(...own.muted)).toBeLessThan(0.001)
    expect(Math.max(...own.heard)).toBeGreaterThan(0.05)
    // What makes the difference: the browser's file does not say how long it is.
    expect(onlyBob.played.duration).toBeGreaterThan(2)
    expect(onlyCem.played.duration).toBe(-1)
  })
})
