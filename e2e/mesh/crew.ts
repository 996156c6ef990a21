/** A publisher and its viewers in pages of their own, spread over two browsers, on a site and server made for them. */
import { rmSync } from "node:fs"
import type { Browser, BrowserContext, Page } from "@playwright/test"
import { eventually } from "../observe.ts"
import { buildSite, launch } from "../own-site.ts"
import { serveSite } from "../page-site.ts"
import type { FrameCounts, Place, Sight } from "./page.ts"

export const CODE = 77
/** So long both ways must have been there. */
const SETTLED_MS = 3_000

export interface Member {
  name: string
  id: string
  page: Page
  sight(): Promise<Sight>
  mark(): Promise<void>
  place(): Promise<Place>
  /** Pictures that a publisher encoded, or that came to a viewer and were decoded there. */
  frames(): Promise<FrameCounts>
  /** Bytes of media that left the page, and when that was; ms. */
  sent(): Promise<{ bytes: number; at: number }>
  /** Says good-bye. */
  leave(): Promise<void>
  /** The process behind the page is gone from one moment to the next: nobody is told anything. */
  crash(): Promise<void>
}

export interface Crew {
  publisher: Member
  /** Those that are still there. */
  viewers: Member[]
  /** The publisher's picture stops, or goes on. */
  pause(paused: boolean): Promise<void>
  /** One more viewer. @param relays whether it hands streams on; by default as the crew does */
  join(relays?: boolean): Promise<Member>
  /** Everybody's place in the tree as it really is. */
  places(): Promise<Map<string, Place>>
  /** Waits until every viewer is fed in two ways, and was for a few seconds: whoever else goes, somebody still feeds it. */
  settled(timeoutMs?: number): Promise<Map<string, Place>>
  /** The viewer that most others take the picture from, of those on whom nobody depends alone, if there is one. */
  busiest(): Promise<Member>
  close(): Promise<void>
}

interface CrewOptions {
  relays?: boolean
  prepare?: (page: Page) => Promise<void>
}

/**
 * @param copies how many of each stream the publisher may send itself
 * @param options `relays: false`: viewers hand nothing on; `prepare` is called before a page is loaded
 */
export async function openCrew(viewers: number, copies: number, { relays = true, prepare }: CrewOptions = {}): Promise<Crew> {
  const folder = await buildSite("e2e/mesh/page.ts")
  const server = await serveSite(folder)
  const browsers: Browser[] = [await launch(), await launch()]
  const url = `http://localhost:${server.port}/`
  let opened = 0

  async function open(): Promise<{ context: BrowserContext; page: Page }> {
    // Without the right to use devices a browser keeps addresses to itself that the impairment of links needs.
    const permissions = prepare === undefined ? [] : ["camera", "microphone"]
    const context = await browsers[opened++ % browsers.length]!.newContext({ viewport: { width: 400, height: 300 }, permissions })
    const page = await context.newPage()
    await prepare?.(page)
    if (process.env.HOLOMESH_E2E_LOG) page.on("console", (message) => console.log(message.text()))
    await page.goto(url)
    await page.waitForFunction(() => "meshPage" in globalThis)
    return { context, page }
  }

  function member(name: string, id: string, { context, page }: { context: BrowserContext; page: Page }): Member {
    const gone = () => {
      crew.viewers = crew.viewers.filter((viewer) => viewer.id !== id)
    }
    return {
      name,
      id,
      page,
      sight: () => page.evaluate(() => globalThis.meshPage.sight()),
      mark: () => page.evaluate(() => globalThis.meshPage.mark()),
      place: () => page.evaluate(() => globalThis.meshPage.place()),
      frames: () => page.evaluate(() => globalThis.meshPage.frames()),
      sent: () => page.evaluate(() => globalThis.meshPage.sent()),
      async leave() {
        gone()
        await page.evaluate(() => globalThis.meshPage.leave())
        await context.close()
      },
      async crash() {
        gone()
        const session = await context.newCDPSession(page)
        const crashed = new Promise<void>((resolve) => page.once("crash", () => resolve()))
        // There is nobody left to answer this.
        session.send("Page.crash").catch(() => undefined)
        await crashed
      },
    }
  }

  const first = await open()
  const room = await first.page.evaluate(() => globalThis.meshPage.newRoom())
  const id = await first.page.evaluate(([to, code, most]) => globalThis.meshPage.publish(to, code, most), [
    room,
    CODE,
    copies,
  ] as const)
  const crew: Crew = {
    publisher: member("publisher", id, first),
    viewers: [],
    pause: (paused) => first.page.evaluate((stops) => globalThis.meshPage.pause(stops), paused),
    async join(handsOn = relays) {
      const name = `viewer ${opened}`
      const opening = await open()
      const joined = member(
        name,
        await opening.page.evaluate(([to, own, on]) => globalThis.meshPage.watch(to, own, on), [room, name, handsOn] as const),
        opening,
      )
      crew.viewers.push(joined)
      return joined
    },
    async places() {
      const all = await Promise.all([crew.publisher, ...crew.viewers].map((each) => each.place()))
      return new Map(all.map((place) => [place.id, place]))
    },
    async settled(timeoutMs = 60_000) {
      let since = Number.POSITIVE_INFINITY
      const places = await eventually(
        "nobody depends on one relay",
        async () => [...(await crew.places()).values()],
        (all) => {
          const settles = crew.viewers.every(({ id: gone }) => reached(all, id, gone).size === all.length - 1)
          since = settles ? Math.min(since, Date.now()) : Number.POSITIVE_INFINITY
          return Date.now() - since >= SETTLED_MS
        },
        timeoutMs,
      )
      return new Map(places.map((place) => [place.id, place]))
    },
    async busiest() {
      const places = await crew.places()
      const all = [...places.values()]
      const count = (viewer: Member) => places.get(viewer.id)?.children.length ?? 0
      const spared = crew.viewers.filter(
        (viewer) => count(viewer) > 0 && reached(all, crew.publisher.id, viewer.id).size === all.length - 1,
      )
      const [most] = [...(spared.length > 0 ? spared : crew.viewers)].sort((a, b) => count(b) - count(a))
      if (most === undefined) throw new Error("no viewers")
      return most
    },
    async close() {
      await Promise.all(browsers.map((browser) => browser.close().catch(() => undefined)))
      await server.close()
      rmSync(folder, { recursive: true, force: true })
    },
  }
  for (let count = 0; count < viewers; count++) await crew.join()
  return crew
}

/** Who would still be fed, over however many relays, when this member goes. */
function reached(places: readonly Place[], publisher: string, gone: string): Set<string> {
  const fed = new Set([publisher])
  for (let before = 0; before < fed.size; ) {
    before = fed.size
    for (const { id, parents } of places) {
      if (id !== gone && parents.some(({ peer, role }) => role !== "asked" && peer !== gone && fed.has(peer))) fed.add(id)
    }
  }
  return fed
}
