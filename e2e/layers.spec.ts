/** What a picture is sent as: sizes that start and stop with demand, temporal layers, two descriptions, shares, codecs for each receiver. */
import { expect, type Page, test } from "@playwright/test"
import type { LayerInfo, PublishOptions, RoomStats } from "../src/room/types.ts"
import { type Person, type Stage, setStage } from "./browsers.ts"
import { PICTURE } from "./clips.ts"
import { eventually, seenPictures, watchFrames } from "./observe.ts"
import { callPath, readStats, waitForMembers } from "./room-page.ts"

/** Number in the picture that Ada draws; her camera's is another. */
const DRAWN = 77
const FPS = 20

declare global {
  /** Ada's drawing, and what happened at this page; set by these tests. */
  var drawn: { track: MediaStreamTrack } | undefined
  var told: string[] | undefined
}

test.describe.configure({ mode: "serial" })

test.describe("layers", () => {
  let stage: Stage
  let ada: Person
  let bob: Person
  const path = callPath("layers")

  test.beforeAll(async () => {
    stage = await setStage()
    ada = await stage.open("ada", 11, path("ada"), { flags: shareFlags })
    bob = await stage.open("bob", 22, path("bob"))
    await waitForMembers(ada.page, 2)
    await waitForMembers(bob.page, 2)
    await unpublishPictures(bob.page)
  })
  test.afterAll(async () => stage.close())

  test("only the size that somebody wants is encoded, and changes leave no gap", async () => {
    await publishDrawing(ada.page, {})
    await seesDrawing(bob.page)
    expect(await layerAt(bob.page)).toMatchObject({ spatial: 1, spatialLayers: 2, width: 640, height: 360, reason: "best" })
    await running(ada.page, [1])

    const watch = await watchFrames(bob.page, DRAWN)
    await atSubscription(bob.page, "thumbnail")
    await layerBecomes(bob.page, (layer) => layer.spatial === 0 && layer.reason === "size")
    await running(ada.page, [0])
    await eventually(
      "the small picture",
      () => shownWidth(bob.page),
      (width) => width === 320,
    )
    await atSubscription(bob.page, "spotlight")
    await layerBecomes(bob.page, (layer) => layer.spatial === 1 && layer.reason === "best")
    await eventually(
      "the large picture",
      () => shownWidth(bob.page),
      (width) => width === 640,
    )
    await running(ada.page, [1])
    const gap = Math.round(await watch.longestGapMs())
    test.info().annotations.push({ type: "longest gap between pictures through two changes of size", description: `${gap} ms` })
    // A change that waits for nothing takes a keyframe interval or a timeout, both over two seconds.
    expect(gap).toBeLessThan(2_000)
    await moves(bob.page)
  })

  test("a hidden picture costs nothing and comes back", async () => {
    await atSubscription(bob.page, "hidden")
    await layerBecomes(bob.page, (layer) => layer.spatial === undefined && layer.reason === "hidden")
    await running(ada.page, [])
    const [before] = await pictures(ada.page)
    await bob.page.waitForTimeout(1_500)
    expect((await pictures(ada.page)).map(({ frames }) => frames)).toContain(before?.frames)
    await atSubscription(bob.page, "spotlight")
    await moves(bob.page)
    await running(ada.page, [1])
  })

  test("a pinned size stays, a cap holds, and each says why", async () => {
    await atSubscription(bob.page, "pin")
    await layerBecomes(bob.page, (layer) => layer.spatial === 0 && layer.reason === "pinned")
    await atSubscription(bob.page, "cap")
    await layerBecomes(bob.page, (layer) => layer.spatial === 0 && layer.reason === "policy")
    await atSubscription(bob.page, "free")
    await layerBecomes(bob.page, (layer) => layer.spatial === 1 && layer.reason === "best")
  })

  test("without the upper temporal layer half of the pictures come", async () => {
    const full = await shownShare(bob.page)
    await atSubscription(bob.page, "half")
    await halfOf(full, bob.page)
    await atSubscription(bob.page, "free")
    await moves(bob.page)
  })

  test("two descriptions play at the full rate together, and each alone at half of it", async () => {
    await publishDrawing(ada.page, { mode: "descriptions" })
    await seesDrawing(bob.page)
    await layerBecomes(bob.page, (layer) => layer.descriptions?.join() === "0,1")
    const both = await shownShare(bob.page)
    for (const alone of [0, 1]) {
      await atSubscription(bob.page, "description", alone)
      await layerBecomes(bob.page, (layer) => layer.descriptions?.join() === String(alone))
      await eventually(
        "the other is not sent",
        () => pictures(ada.page),
        (sent) => sent.every(({ description, subscribers }) => subscribers.length === (description === alone ? 1 : 0)),
      )
      await halfOf(both, bob.page)
      await moves(bob.page)
    }
    await atSubscription(bob.page, "descriptions")
    await layerBecomes(bob.page, (layer) => layer.descriptions?.join() === "0,1")
    await eventually(
      "the full rate again",
      () => shownShare(bob.page),
      (share) => share / both > 0.75,
    )
  })

  test("each receiver gets a codec that it can show", async () => {
    await publishDrawing(ada.page, {})
    await seesDrawing(bob.page)
    const first = await layerAt(bob.page)
    expect(first?.codec).toMatch(/^(av01|vp09)/)
    const cleo = await stage.open("cleo", 33, path("cleo"), { init: showsVp8Only })
    await waitForMembers(cleo.page, 3)
    await unpublishPictures(cleo.page)
    await seesDrawing(cleo.page)
    // Until the second encoding runs she may show the first with a decoder of our own. Bob has what he had, or, on a slow machine, hers.
    await layerBecomes(cleo.page, ({ codec }) => codec === "vp8")
    await eventually(
      "nothing else is sent to cleo",
      async () => (await readStats(cleo.page)).receive.filter(({ kind }) => kind === "video"),
      (streams) => streams.every(({ codec }) => codec === "vp8"),
    )
    await moves(cleo.page)
    await moves(bob.page)
    await cleo.close()
    await eventually(
      "bob's codec as before",
      () => layerAt(bob.page),
      (layer) => layer?.codec === first?.codec,
      60_000,
    )
    await eventually(
      "no second encoding",
      () => pictures(ada.page),
      (sent) => sent.every(({ codec }) => codec === first?.codec),
    )
    await moves(bob.page)
  })

  test("a share is set up for text, pauses and goes on without another picker", async () => {
    await publishDrawing(ada.page, { source: "screen" })
    await eventually(
      "bob gets the share",
      () => sources(bob.page),
      (list) => list.includes("screen"),
    )
    await showShare(bob.page)
    await seesDrawing(bob.page)
    const [sent] = await pictures(ada.page)
    expect(sent).toMatchObject({ width: 1280, height: 720, settings: { contentHint: "text", frameRate: 15 } })
    await ada.page.evaluate(() => globalThis.holomesh.room?.publications.find(({ source }) => source === "screen")?.mute())
    await eventually(
      "paused at bob's",
      () => muteAt(bob.page),
      (muted) => muted === true,
    )
    await ada.page.evaluate(() => globalThis.holomesh.room?.publications.find(({ source }) => source === "screen")?.unmute())
    await eventually(
      "not paused",
      () => muteAt(bob.page),
      (muted) => muted === false,
    )
    await moves(bob.page)
    await unpublishPictures(ada.page)
  })

  test("the end of the shared tab ends the share everywhere, with one event", async () => {
    const shared = await ada.page.context().newPage()
    await shared.setContent("<title>Shared tab</title><h1>Slides</h1>")
    await ada.page.bringToFront()
    await ada.page.evaluate(async () => {
      const { room } = globalThis.holomesh
      if (room === undefined) throw new Error("not in a room")
      const told: string[] = []
      globalThis.told = told
      room.on("shareEnded", ({ publications }) => told.push(`shareEnded ${publications.map(({ kind }) => kind)}`))
      room.on("deviceLost", () => told.push("deviceLost"))
      await room.publish(await navigator.mediaDevices.getDisplayMedia({ video: true }))
    })
    await bob.page.evaluate(() => {
      const told: string[] = []
      globalThis.told = told
      globalThis.holomesh.room?.on("trackEnded", ({ subscription }) => told.push(`trackEnded ${subscription.source}`))
    })
    await eventually(
      "bob gets the share",
      () => sources(bob.page),
      (list) => list.includes("screen"),
    )
    await shared.close()
    await eventually(
      "told once at ada's",
      () => ada.page.evaluate(() => globalThis.told),
      (told) => told?.length === 1,
    )
    await eventually(
      "told once at bob's",
      () => bob.page.evaluate(() => globalThis.told),
      (told) => told?.length === 1,
    )
    await ada.page.waitForTimeout(500)
    expect(await ada.page.evaluate(() => globalThis.told)).toEqual(["shareEnded video"])
    expect(await bob.page.evaluate(() => globalThis.told)).toEqual(["trackEnded screen"])
    expect(await sources(bob.page)).not.toContain("screen")
    expect(await ada.page.evaluate(() => globalThis.holomesh.room?.publications.map(({ source }) => source))).not.toContain(
      "screen",
    )
  })

  test("no page reported an error", () => {
    // Frames on their way between threads when a source is given up are collected by the browser, now and then with this remark.
    const remark = /A VideoFrame was garbage collected/
    for (const person of [ada, bob]) expect(person.errors.filter((error) => !remark.test(error))).toEqual([])
  })
})

/** A browser that really captures a tab, without asking: one with devices of its own invention would invent the screen as well. */
function shareFlags(usual: string[]): string[] {
  const real = usual.filter((flag) => !/^--use-(fake|file)-/.test(flag))
  return [...real, "--auto-select-tab-capture-source-by-title=Shared tab"]
}

/** Runs in a page that decodes VP8 and nothing else. */
function showsVp8Only(): void {
  const ask = VideoDecoder.isConfigSupported.bind(VideoDecoder)
  VideoDecoder.isConfigSupported = async (config) => (config.codec === "vp8" ? ask(config) : { supported: false, config })
}

/** Publishes a drawing that carries {@link DRAWN} and counts its pictures, in the place of what the page published before. */
async function publishDrawing(page: Page, options: PublishOptions): Promise<void> {
  await unpublishPictures(page)
  await page.evaluate(
    async ({ options, layout, number, fps }) => {
      globalThis.drawn?.track.stop()
      const zoom = options.source === "screen" ? 4 : 2
      const canvas = document.createElement("canvas")
      canvas.width = layout.width * zoom
      canvas.height = layout.height * zoom
      const context = canvas.getContext("2d")
      if (context === null) throw new Error("no 2d context")
      context.scale(zoom, zoom)
      const squares = (top: number, value: number) => {
        for (let bit = 0; bit < 8; bit++) {
          context.fillStyle = (value >> bit) & 1 ? "#eee" : "#111"
          context.fillRect(layout.left + bit * layout.square, top, layout.square, layout.square)
        }
      }
      let count = 0
      const draw = () => {
        context.fillStyle = "#666"
        context.fillRect(0, 0, layout.width, layout.height)
        squares(layout.idTop, number)
        squares(layout.frameTop, count & 255)
        context.fillStyle = "#ddd"
        context.fillRect((count * 5) % (layout.width - 16), 150, 16, 24)
        count++
      }
      draw()
      const [track] = canvas.captureStream(fps).getVideoTracks()
      if (track === undefined) throw new Error("no track")
      globalThis.drawn = { track }
      const timer = setInterval(() => (track.readyState === "live" ? draw() : clearInterval(timer)), 1_000 / fps)
      // So little that even a slow link has room for it: what the network allows is not the subject here.
      await globalThis.holomesh.room?.publish(track, { maxBitrate: 200_000, ...options })
    },
    { options, layout: PICTURE, number: DRAWN, fps: FPS },
  )
}

async function unpublishPictures(page: Page): Promise<void> {
  await page.evaluate(async () => {
    for (const publication of globalThis.holomesh.room?.publications ?? []) {
      if (publication.kind !== "video") continue
      await publication.unpublish()
      // As an application does that is done with a camera; pictures still on their way are then closed by whoever gets them.
      publication.track?.stop()
    }
  })
}

async function seesDrawing(page: Page): Promise<void> {
  await eventually(
    "the drawing is seen",
    () => seenPictures(page),
    (seen) => seen.some(({ code }) => code === DRAWN),
  )
}

/** The drawing is shown, and another picture of it a moment later. */
async function moves(page: Page): Promise<void> {
  const numberOf = async () => (await seenPictures(page)).find(({ code }) => code === DRAWN)?.frame
  const first = await eventually("the drawing", numberOf, (frame) => frame !== undefined)
  await eventually("the drawing moves", numberOf, (frame) => frame !== undefined && frame !== first)
}

type Wish = "thumbnail" | "spotlight" | "hidden" | "pin" | "cap" | "half" | "free" | "description" | "descriptions"

/** What the application of `page` asks of the picture it receives. */
async function atSubscription(page: Page, wish: Wish, number = 0): Promise<void> {
  await page.evaluate(
    ({ wish, number }) => {
      const all = [...(globalThis.holomesh.room?.participants.values() ?? [])].flatMap(({ subscriptions }) => subscriptions)
      const subscription = all.find(({ kind }) => kind === "video")
      if (subscription === undefined) throw new Error("no picture is received")
      const uncapped = { maxSpatial: 255, maxTemporal: 255, maxQuality: 255 }
      if (wish === "thumbnail") subscription.setDisplaySize({ width: 200, height: 112 })
      else if (wish === "spotlight") subscription.setDisplaySize({ width: 1280, height: 720 })
      else if (wish === "hidden") subscription.setDisplaySize("hidden")
      else if (wish === "pin") subscription.pinLayer(0)
      else if (wish === "description") subscription.setDescriptions([number])
      else if (wish === "descriptions") subscription.setDescriptions(undefined)
      else {
        subscription.pinLayer(undefined)
        if (wish === "cap") subscription.setPolicy({ ...uncapped, maxSpatial: 0 })
        else subscription.setPolicy(wish === "half" ? { ...uncapped, maxTemporal: 0 } : uncapped)
      }
    },
    { wish, number },
  )
}

/** A tile of the tests' own: the page shows shares elsewhere. */
async function showShare(page: Page): Promise<void> {
  await page.evaluate(() => {
    const all = [...(globalThis.holomesh.room?.participants.values() ?? [])].flatMap(({ subscriptions }) => subscriptions)
    const share = all.find(({ source }) => source === "screen")
    if (share === undefined) throw new Error("no share")
    const tile = document.createElement("div")
    tile.dataset.participant = "share"
    const video = document.createElement("video")
    video.muted = true
    video.autoplay = true
    video.srcObject = new MediaStream([share.track])
    tile.append(video)
    document.body.append(tile)
  })
}

function layerAt(page: Page): Promise<LayerInfo | undefined> {
  return page.evaluate(() => {
    const all = [...(globalThis.holomesh.room?.participants.values() ?? [])].flatMap(({ subscriptions }) => subscriptions)
    return all.find(({ kind }) => kind === "video")?.layer
  })
}

async function layerBecomes(page: Page, check: (layer: LayerInfo) => boolean): Promise<void> {
  await eventually(
    "the layer",
    () => layerAt(page),
    (layer) => layer !== undefined && check(layer),
  )
}

function muteAt(page: Page): Promise<boolean | undefined> {
  return page.evaluate(() => {
    const all = [...(globalThis.holomesh.room?.participants.values() ?? [])].flatMap(({ subscriptions }) => subscriptions)
    return all.find(({ kind }) => kind === "video")?.muted
  })
}

function sources(page: Page): Promise<string[]> {
  return page.evaluate(() =>
    [...(globalThis.holomesh.room?.participants.values() ?? [])].flatMap(({ subscriptions }) =>
      subscriptions.map(({ source }) => source),
    ),
  )
}

async function pictures(page: Page): Promise<RoomStats["send"]> {
  return (await readStats(page)).send.filter(({ kind }) => kind === "video")
}

/** Exactly these sizes are encoded. */
async function running(page: Page, rungs: number[]): Promise<void> {
  await eventually(
    `sizes ${rungs} run`,
    async () => (await pictures(page)).flatMap(({ active, spatial }) => (active ? [spatial] : [])),
    (seen) => seen.join() === rungs.join(),
  )
}

function shownWidth(page: Page): Promise<number> {
  return page.evaluate(() =>
    Math.max(0, ...[...document.querySelectorAll<HTMLVideoElement>("[data-participant] video")].map((video) => video.videoWidth)),
  )
}

/**
 * Share of the drawn pictures that the page really shows, over the next forty it shows. Told by their numbers, not by the clock: what
 * keeps the machine busy delays the drawing as well. They come in the order of their making, always.
 */
async function shownShare(page: Page): Promise<number> {
  const numbers = await shownNumbers(page, 40)
  // Numbers wrap at 256; a step back looks like a very long one forward.
  const steps = numbers.slice(1).map((number, index) => (number - numbers[index]! + 256) % 256)
  expect(steps.every((step) => step < 128)).toBe(true)
  return steps.length / steps.reduce((sum, step) => sum + step, 0)
}

/** The first pictures after a wish may be from before it, and a window in which the machine stood still says nothing. */
async function halfOf(full: number, page: Page): Promise<void> {
  await eventually(
    "half of the pictures",
    () => shownShare(page),
    (share) => share / full > 0.35 && share / full < 0.65,
  )
}

/** The number in each of the next pictures that the tile of the drawing presents. */
function shownNumbers(page: Page, count: number): Promise<number[]> {
  return page.evaluate(
    async ({ count, layout }) => {
      const tiles = [...document.querySelectorAll<HTMLVideoElement>("[data-participant] video")]
      const video = tiles.find(({ videoWidth }) => videoWidth > 0)
      const context = new OffscreenCanvas(layout.width, layout.height).getContext("2d", { willReadFrequently: true })
      if (video === undefined || context === null) throw new Error("no picture is shown")
      const numbers: number[] = []
      const read = () => {
        context.drawImage(video, 0, 0, layout.width, layout.height)
        let value = 0
        for (let bit = 0; bit < 8; bit++) {
          const at = layout.left + bit * layout.square + layout.square / 2
          const [luma = 0] = context.getImageData(at, layout.frameTop + layout.square / 2, 1, 1).data
          if (luma > 128) value |= 1 << bit
        }
        numbers.push(value)
      }
      await new Promise<void>((resolve) => {
        const next = () => {
          read()
          if (numbers.length < count) video.requestVideoFrameCallback(next)
          else resolve()
        }
        video.requestVideoFrameCallback(next)
      })
      return numbers
    },
    { count, layout: PICTURE },
  )
}
