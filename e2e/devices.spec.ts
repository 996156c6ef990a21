/** Cameras, microphones, permissions, autoplay and hidden tabs: what happens to the call, and what the person sees of it. */
import { expect, type Page, test } from "@playwright/test"
import type { FreezeCause } from "../src/room/types.ts"
import { openBare } from "./bare-browser.ts"
import { type Person, type Stage, setStage, toneOf } from "./browsers.ts"
import { ImpairmentProxy, type ProxyPeer } from "./network/proxy.ts"
import { impair } from "./network/rig.ts"
import { eventually, heardTones, seenPictures } from "./observe.ts"
import { callPath, inRoom, readStats } from "./room-page.ts"

const CODES = { ada: 11, bob: 22, cleo: 33, dora: 44 }

/** Runs in the page before everything else: devices that can be pulled out and put back, as the browser would tell it. */
function makePluggable(): void {
  const { mediaDevices } = navigator
  const gone = new Set<string>()
  const open = new Set<MediaStreamTrack>()
  const ask = mediaDevices.getUserMedia.bind(mediaDevices)
  const list = mediaDevices.enumerateDevices.bind(mediaDevices)
  mediaDevices.getUserMedia = async (wanted = {}) => {
    if ((wanted.video && gone.has("video")) || (wanted.audio && gone.has("audio"))) {
      throw new DOMException("Requested device not found", "NotFoundError")
    }
    const stream = await ask(wanted)
    for (const track of stream.getTracks()) open.add(track)
    return stream
  }
  mediaDevices.enumerateDevices = async () => (await list()).filter(({ kind }) => !gone.has(kind.replace("input", "")))
  const pluggable = {
    /** The device is gone from the list; its tracks end, and the browser says so. */
    pull(kind: "audio" | "video"): void {
      gone.add(kind)
      for (const track of open) {
        if (track.kind !== kind || track.readyState === "ended") continue
        track.stop()
        track.dispatchEvent(new Event("ended"))
      }
      mediaDevices.dispatchEvent(new Event("devicechange"))
    },
    putBack(kind: "audio" | "video"): void {
      gone.delete(kind)
      mediaDevices.dispatchEvent(new Event("devicechange"))
    },
    /** Tracks of a kind that still run. */
    running: (kind: string) => [...open].filter((track) => track.kind === kind && track.readyState === "live").length,
  }
  Object.assign(globalThis, { pluggable })
}

type Watched = Pick<Person, "page" | "name">

interface Pluggable {
  pull(kind: "audio" | "video"): void
  putBack(kind: "audio" | "video"): void
  running(kind: string): number
}

const plug = (page: Page, what: "pull" | "putBack", kind: "audio" | "video") =>
  page.evaluate(([name, which]) => (globalThis as unknown as { pluggable: Pluggable }).pluggable[name](which), [
    what,
    kind,
  ] as const)

const running = (page: Page, kind: "audio" | "video") =>
  page.evaluate((which) => (globalThis as unknown as { pluggable: Pluggable }).pluggable.running(which), kind)

async function sees(person: Watched, code: number): Promise<void> {
  await eventually(
    `${person.name} sees ${code}`,
    () => seenPictures(person.page),
    (seen) => seen.some((tile) => tile.code === code && tile.frame !== undefined),
  )
}

/** The number in the picture of a camera changes. */
async function seesMotion(person: Watched, code: number): Promise<void> {
  await sees(person, code)
  const frame = async () => (await seenPictures(person.page)).find((tile) => tile.code === code)?.frame
  const before = await frame()
  await eventually(`${code} moves at ${person.name}`, frame, (now) => now !== undefined && now !== before)
}

async function hears(person: Watched, code: number): Promise<void> {
  await eventually(
    `${person.name} hears ${code}`,
    () => heardTones(person.page),
    (heard) => heard.some((tone) => Math.abs(tone.hertz - toneOf(code)) < 25 && tone.level > -60),
  )
}

const button = (person: Person, name: "Camera" | "Microphone") => person.page.locator(`.controls button[aria-label="${name}"]`)
const toast = (person: Person, text: RegExp) => person.page.locator(".toasts").getByText(text)

test.describe("devices in a call", () => {
  test.describe.configure({ mode: "default" })
  let stage: Stage
  const path = callPath("devices")
  let ada: Person
  let bob: Person

  test.beforeAll(async () => {
    stage = await setStage()
    ada = await stage.open("ada", CODES.ada, path("ada"))
    await inRoom(ada.page)
    bob = await stage.open("bob", CODES.bob, path("bob"), { init: makePluggable })
    await sees(ada, CODES.bob)
    await sees(bob, CODES.ada)
  })
  test.afterAll(async () => stage.close())

  test("a camera that is pulled out: both sides are told, and it goes on when it is back, as the same track", async () => {
    const tile = ada.page.locator("[data-participant]")
    const before = (await readStats(bob.page)).send.filter(({ kind }) => kind === "video").map(({ streamId }) => streamId)
    await plug(bob.page, "pull", "video")
    await expect(toast(bob, /Your camera is gone/)).toBeVisible()
    await expect(button(bob, "Camera")).toHaveAttribute("aria-pressed", "false")
    // Not a picture that stands still: the others see that there is none.
    await expect(tile).not.toHaveClass(/has-picture/)
    await plug(bob.page, "putBack", "video")
    await expect(button(bob, "Camera")).toHaveAttribute("aria-pressed", "true")
    await expect(tile).toHaveClass(/has-picture/)
    await seesMotion(ada, CODES.bob)
    const after = (await readStats(bob.page)).send.filter(({ kind }) => kind === "video").map(({ streamId }) => streamId)
    expect(after).toEqual(before)
  })

  test("a microphone that ends although another is there: its place is taken at once", async () => {
    await hears(ada, CODES.bob)
    await bob.page.evaluate(() => {
      const own = globalThis.holomesh.room?.publications.find(({ kind }) => kind === "audio")
      own?.track?.stop()
      own?.track?.dispatchEvent(new Event("ended"))
    })
    await expect(toast(bob, /The microphone is now/)).toBeVisible()
    await expect(button(bob, "Microphone")).toHaveAttribute("aria-pressed", "true")
    await hears(ada, CODES.bob)
    expect(await running(bob.page, "audio")).toBe(1)
  })

  test("mute lets go of the camera, keeps the microphone, and lets go of it too when the person chose so", async () => {
    await button(bob, "Camera").click()
    await expect(button(bob, "Camera")).toHaveAttribute("aria-pressed", "false")
    expect(await running(bob.page, "video")).toBe(0)
    // A device that comes meanwhile does not turn the camera on behind the person's back.
    await bob.page.evaluate(() => navigator.mediaDevices.dispatchEvent(new Event("devicechange")))
    await button(bob, "Microphone").click()
    await expect(button(bob, "Microphone")).toHaveAttribute("aria-pressed", "false")
    await bob.page.waitForTimeout(700)
    expect([await running(bob.page, "video"), await running(bob.page, "audio")]).toEqual([0, 1])
    // The tone goes on into the muted microphone.
    await expect(toast(bob, /You are talking, but your microphone is off/)).toBeVisible()
    await button(bob, "Microphone").click()
    await bob.page.getByRole("button", { name: "More" }).click()
    await bob.page.getByRole("button", { name: "Settings" }).click()
    await bob.page.getByLabel(/Switch the microphone off/).check()
    await bob.page.keyboard.press("Escape")
    await button(bob, "Microphone").click()
    await expect.poll(() => running(bob.page, "audio")).toBe(0)
    await button(bob, "Microphone").click()
    await button(bob, "Camera").click()
    await expect(button(bob, "Camera")).toHaveAttribute("aria-pressed", "true")
    await hears(ada, CODES.bob)
    await seesMotion(ada, CODES.bob)
  })

  test("refused devices: said in words, joined without, and started as soon as they are allowed", async () => {
    // Without the fake dialogue the browser does what the permissions say, as for a person.
    const flags = (usual: string[]) => usual.filter((flag) => !flag.startsWith("--use-fake-ui"))
    const cleo = await stage.open("cleo", CODES.cleo, "/script-tag/", { flags, refuseDevices: true })
    const devtools = await cleo.page.context().newCDPSession(cleo.page)
    const { browserContextId } = (await devtools.send("Target.getTargetInfo")).targetInfo
    if (browserContextId === undefined) throw new Error("no browser context")
    const permit = async (setting: "granted" | "denied") => {
      for (const name of ["camera", "microphone"]) {
        await devtools.send("Browser.setPermission", { permission: { name }, setting, origin: stage.url, browserContextId })
      }
    }
    await permit("denied")
    await cleo.page.goto(stage.url + path("cleo"))
    await inRoom(cleo.page)
    await expect(toast(cleo, /not allowed to use the (camera|microphone)/).first()).toBeVisible()
    for (const name of ["Camera", "Microphone"] as const)
      await expect(button(cleo, name)).toHaveAttribute("aria-pressed", "false")
    await sees(cleo, CODES.ada)
    await permit("granted")
    for (const name of ["Camera", "Microphone"] as const) await expect(button(cleo, name)).toHaveAttribute("aria-pressed", "true")
    await seesMotion(ada, CODES.cleo)
    await hears(ada, CODES.cleo)
    await cleo.close()
  })

  test("sound that the browser blocks: a button, the picture all the same, and one gesture unlocks", async () => {
    // Without devices: a page that captures may play.
    const dora = await openBare(stage.url + path("dora"), CODES.dora, {
      devices: false,
      flags: ["--autoplay-policy=document-user-activation-required"],
    })
    const { page } = dora
    try {
      const look = () =>
        page.evaluate(() => {
          const button = document.querySelector<HTMLElement>(".unlock")
          const box = button?.getBoundingClientRect()
          const videos = [...document.querySelectorAll<HTMLVideoElement>("[data-participant] video")]
          return {
            touched: navigator.userActivation.hasBeenActive,
            words: button === null || button.hidden ? "" : button.textContent.trim(),
            x: box === undefined ? 0 : box.x + box.width / 2,
            y: box === undefined ? 0 : box.y + box.height / 2,
            playing: videos.length > 0 && videos.every((video) => !video.paused),
            silent: videos.some((video) => video.muted),
          }
        })
      const blocked = await eventually("the button", look, ({ words, playing }) => words === "Turn sound on" && playing)
      expect(blocked).toMatchObject({ touched: false, silent: true })
      await seesMotion({ page, name: "dora" }, CODES.ada)
      await dora.click(blocked.x, blocked.y)
      await eventually("sound", look, ({ words, playing, silent }) => words === "" && playing && !silent)
      await hears({ page, name: "dora" }, CODES.ada)
    } finally {
      await dora.close()
    }
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
    // Those who were here before may still be waited for.
    const tile = ada.page.getByRole("article", { name: "bob" })
    const words = tile.locator(".tile-connection")
    await expect(words).toHaveText("The camera there gives few pictures", { timeout: 6_000 })
    await expect(tile.locator(".tile-quality")).toContainText("Connection:")
    await crank(false)
    await expect.poll(() => cause("source")).toBeGreaterThan(before)
    await expect(words).toBeHidden({ timeout: 20_000 })
  })

  test("the report for a bug tracker holds figures and no names", async () => {
    const text = await ada.page.evaluate(() => globalThis.holomesh.room?.diagnostics())
    const report = JSON.parse(text ?? "{}") as { receive: unknown[]; log: string[] }
    expect(report.receive.length).toBeGreaterThan(0)
    expect(report.log.length).toBeGreaterThan(0)
    for (const secret of ["bob", "devices-room", "#k="]) expect(text).not.toContain(secret)
  })

  test("nobody's page complained", () => {
    // Frames on their way between threads when a device is taken away are collected by the browser, now and then with this remark.
    const remark = /favicon|ERR_CONNECTION|A VideoFrame was garbage collected/
    const real = [...ada.errors, ...bob.errors].filter((text) => !remark.test(text))
    expect(real).toEqual([])
  })
})

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
  test("moves when the network does", async () => {
    const stage = await setStage()
    const proxy = new ImpairmentProxy()
    try {
      const path = callPath("weather")
      const enter = async (name: "ada" | "bob", seed: number): Promise<Person & { peer: ProxyPeer }> => {
        const person = await stage.open(name, CODES[name], "/script-tag/")
        const peer = await proxy.addPeer(seed, { loss: 0, delayMs: 20 })
        await impair(person.page, peer)
        await person.page.goto(stage.url + path(name))
        return { ...person, peer }
      }
      const ada = await enter("ada", 1)
      const bob = await enter("bob", 2)
      await sees(ada, CODES.bob)
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
    } finally {
      await stage.close()
      await proxy.close()
    }
  })
})
