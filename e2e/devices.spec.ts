/** Cameras, microphones, permissions and autoplay: what happens to the call, and what the person sees of it. */
import { expect, type Page, test } from "@playwright/test"
import { openBare } from "./bare-browser.ts"
import { type Person, type Stage, setStage } from "./browsers.ts"
import { eventually } from "./observe.ts"
import { callPath, inRoom, readStats } from "./room-page.ts"
import { hears, sees, seesMotion } from "./sees-and-hears.ts"

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
    await expect.poll(() => running(bob.page, "video")).toBe(0)
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
