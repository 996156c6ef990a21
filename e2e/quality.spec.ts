/** A tab that nobody looks at, a network that gets worse, a camera that stands still: the sound that is played, the words that are shown. */
import { expect, type Page, test } from "@playwright/test"
import type { FreezeCause } from "../src/room/types.ts"
import { openBare } from "./bare-browser.ts"
import { type Person, type Stage, setStage } from "./browsers.ts"
import { ImpairmentProxy, type ProxyPeer } from "./network/proxy.ts"
import { impair } from "./network/rig.ts"
import { eventually } from "./observe.ts"
import { callPath, readStats } from "./room-page.ts"
import { hears, sees, seesMotion } from "./sees-and-hears.ts"

const CODES = { ada: 11, bob: 22 }

test.describe("a hidden tab", () => {
  test("goes on hearing and being heard, and knows when it is looked at again", async () => {
    const stage = await setStage()
    const path = callPath("hidden")
    const flags = ["--autoplay-policy=no-user-gesture-required"]
    const bob = await openBare(stage.url + path("bob"), CODES.bob, { devices: true, flags })
    try {
      const ada = await stage.open("ada", CODES.ada, path("ada"))
      const { page } = bob
      await hears(ada, CODES.bob)
      await hears({ page, name: "bob" }, CODES.ada)
      const visibility = () => page.evaluate(() => document.visibilityState)
      const sound = async (of: Page) => {
        const stream = (await readStats(of)).receive.find(({ kind }) => kind === "audio")
        return { at: Date.now(), concealedMs: stream?.concealedMs ?? -1, played: stream?.renderedFrames ?? -1 }
      }
      await bob.hide()
      await eventually("bob is hidden", visibility, (state) => state === "hidden")
      await ada.page.waitForTimeout(2_000)
      const before = [await sound(page), await sound(ada.page)] as const
      await ada.page.waitForTimeout(12_000)
      expect(await visibility()).toBe("hidden")
      const after = [await sound(page), await sound(ada.page)] as const
      for (const index of [0, 1] as const) {
        const elapsedMs = after[index].at - before[index].at
        const concealedMs = after[index].concealedMs - before[index].concealedMs
        // 50 packets a second come and are played.
        expect((after[index].played - before[index].played) / (elapsedMs / 20)).toBeGreaterThan(0.95)
        expect(concealedMs / elapsedMs).toBeLessThan(0.02)
      }
      expect(await page.evaluate(() => globalThis.holomesh.room?.state)).toBe("connected")
      await seesMotion(ada, CODES.bob)
      await bob.show()
      await eventually("bob is visible", visibility, (state) => state === "visible")
      await hears({ page, name: "bob" }, CODES.ada)
      await seesMotion({ page, name: "bob" }, CODES.ada)
      const words = () => page.evaluate(() => document.querySelector<HTMLElement>("[data-participant] .tile-connection")?.hidden)
      await eventually("no complaint", words, (hidden) => hidden === true)
    } finally {
      await bob.close()
      await stage.close()
    }
  })
})

test.describe("the quality that people see", () => {
  test.describe.configure({ mode: "serial" })
  let stage: Stage
  let proxy: ImpairmentProxy
  let ada: Person & { peer: ProxyPeer }
  let bob: Person & { peer: ProxyPeer }

  test.beforeAll(async () => {
    stage = await setStage()
    proxy = new ImpairmentProxy()
    const path = callPath("weather")
    const enter = async (name: "ada" | "bob", seed: number): Promise<Person & { peer: ProxyPeer }> => {
      const person = await stage.open(name, CODES[name], "/script-tag/")
      const peer = await proxy.addPeer(seed, { loss: 0, delayMs: 20 })
      await impair(person.page, peer)
      await person.page.goto(stage.url + path(name))
      return { ...person, peer }
    }
    ada = await enter("ada", 1)
    bob = await enter("bob", 2)
    await sees(ada, CODES.bob)
  })
  test.afterAll(async () => {
    await stage.close()
    await proxy.close()
  })

  test("moves when the network does", async () => {
    const tile = ada.page.locator("[data-participant]")
    const mark = tile.locator(".tile-quality")
    const words = tile.locator(".tile-connection")
    await expect(mark).toHaveAttribute("data-level", "good", { timeout: 20_000 })
    await expect(words).toBeHidden()
    bob.peer.change({ loss: 0.7 })
    await expect(mark).toHaveAttribute("data-level", /poor|lost/, { timeout: 6_000 })
    await expect(words).toHaveText(/Weak connection|Nothing arrives/)
    const receive = (await readStats(ada.page)).receive.filter(({ quality }) => quality !== undefined)
    expect(receive.some(({ quality }) => quality?.reason === "network")).toBe(true)
    bob.peer.change({ loss: 0 })
    await expect(mark).toHaveAttribute("data-level", "good", { timeout: 40_000 })
    await expect(words).toBeHidden()
  })

  test("a picture that stands still is counted with its cause, and the tile says so", async () => {
    const bobs = await bob.page.evaluate(() => globalThis.holomesh.room?.local.id)
    const cause = async (name: FreezeCause) => {
      const { receive } = await readStats(ada.page)
      return (
        receive.find(({ freezes, participant }) => freezes !== undefined && participant === bobs)?.freezes?.causes[name] ?? -1
      )
    }
    const before = await cause("source")
    // A camera that this test turns the crank of.
    await bob.page.evaluate(async () => {
      const canvas = document.createElement("canvas")
      canvas.width = 320
      canvas.height = 180
      const context = canvas.getContext("2d")
      const state = { stopped: false, n: 0 }
      setInterval(() => {
        if (state.stopped || context === null) return
        context.fillStyle = `hsl(${state.n++ % 360} 60% 40%)`
        context.fillRect(0, 0, 320, 180)
      }, 50)
      const [track] = canvas.captureStream(20).getVideoTracks()
      const camera = globalThis.holomesh.room?.publications.find(({ kind }) => kind === "video")
      if (track !== undefined) await camera?.replaceTrack(track)
      Object.assign(globalThis, { crank: state })
    })
    const crank = (stopped: boolean) =>
      bob.page.evaluate((value) => {
        ;(globalThis as unknown as { crank: { stopped: boolean } }).crank.stopped = value
      }, stopped)
    await bob.page.waitForTimeout(3_000)
    await crank(true)
    const tile = ada.page.locator("[data-participant]")
    const words = tile.locator(".tile-connection")
    await expect(words).toHaveText("The camera there gives few pictures", { timeout: 20_000 })
    await expect(tile.locator(".tile-quality")).toContainText("Connection:")
    await crank(false)
    await expect.poll(() => cause("source")).toBeGreaterThan(before)
    await expect(words).toBeHidden({ timeout: 20_000 })
  })
})
